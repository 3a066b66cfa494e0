//! A function as Lambda describes it.

use serde::Serialize;

use super::LATEST;

/// A function as Lambda describes it: what makes sense of a function that has no code here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Configuration {
    function_name: String,
    function_arn: String,
    description: String,
    /// Seconds.
    timeout: u64,
    version: &'static str,
    last_modified: String,
    state: &'static str,
    last_update_status: &'static str,
    package_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_config: Option<DeadLetters>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetters {
    target_arn: String,
}

impl Configuration {
    /// The description of a function that was changed last at `modified`, in the form of AWS.
    pub fn new(name: &str, arn: String, description: &str, timeout_ms: Option<u64>, modified: String) -> Self {
        Self {
            function_name: name.to_owned(),
            function_arn: arn,
            description: description.to_owned(),
            timeout: timeout_ms.unwrap_or_default().div_ceil(1_000),
            version: LATEST,
            last_modified: modified,
            state: "Active",
            last_update_status: "Successful",
            package_type: "Image",
            dead_letter_config: None,
        }
    }

    /// The same with the queue that calls go to which failed.
    #[must_use]
    pub fn with_dead_letters(self, arn: Option<String>) -> Self {
        Self { dead_letter_config: arn.map(|target_arn| DeadLetters { target_arn }), ..self }
    }

    /// The answer of `GetFunctionConfiguration`.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }
}

/// The answer of `GetFunction`.
pub fn function(configuration: &Configuration) -> Vec<u8> {
    let body = serde_json::json!({ "Configuration": configuration });
    body.to_string().into_bytes()
}

/// The answer of `ListFunctions`.
pub fn functions(functions: &[Configuration], next: Option<&str>) -> Vec<u8> {
    let mut body = serde_json::json!({ "Functions": functions });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("NextMarker".to_owned(), next.into());
    }
    body.to_string().into_bytes()
}
