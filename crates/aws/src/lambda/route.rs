//! What a request to Lambda asks for, by its method and its path.

use super::Fault;

/// What every path starts with.
pub const PREFIX: &str = "/2015-03-31/";

/// An operation of Lambda that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Invokes a function.
    Invoke,
    /// Describes a function and where its code is.
    GetFunction,
    /// Describes a function.
    GetFunctionConfiguration,
    /// Lists functions.
    ListFunctions,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 4] =
        [Self::Invoke, Self::GetFunction, Self::GetFunctionConfiguration, Self::ListFunctions];

    /// AWS's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoke => "Invoke",
            Self::GetFunction => "GetFunction",
            Self::GetFunctionConfiguration => "GetFunctionConfiguration",
            Self::ListFunctions => "ListFunctions",
        }
    }
}

/// An operation, and the part of the path that names what it is about, percent-encoded as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// What it is about; empty for a list.
    pub subject: &'a str,
}

/// Finds out what is asked for.
///
/// # Errors
/// `UnknownOperationException` where nothing that is served is.
pub fn route<'a>(method: &str, path: &'a str) -> Result<Routed<'a>, Fault> {
    let routed = |operation, subject| Ok(Routed { operation, subject });
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("POST", ["functions", name, "invocations"]) => routed(Operation::Invoke, *name),
        ("GET", ["functions"]) => routed(Operation::ListFunctions, ""),
        ("GET", ["functions", name]) => routed(Operation::GetFunction, *name),
        ("GET", ["functions", name, "configuration"]) => routed(Operation::GetFunctionConfiguration, *name),
        _ => {
            let quoted: String = path.chars().take(256).collect();
            let message = format!(
                "{method} {quoted} is no operation that is served here. Functions are made by the native API (PUT /v1/functions/NAME)."
            );
            Err(Fault::new("UnknownOperationException", 404, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_and_path_say_what_is_asked_for() {
        for (method, path, operation, subject) in [
            ("POST", "/2015-03-31/functions/a%3Ab/invocations", Operation::Invoke, "a%3Ab"),
            ("GET", "/2015-03-31/functions/", Operation::ListFunctions, ""),
            ("GET", "/2015-03-31/functions/a", Operation::GetFunction, "a"),
            ("GET", "/2015-03-31/functions/a/configuration", Operation::GetFunctionConfiguration, "a"),
        ] {
            assert_eq!(route(method, path), Ok(Routed { operation, subject }), "{path}");
        }
        for (method, path) in [
            ("GET", "/2015-03-31/functions/a/invocations"),
            ("POST", "/2015-03-31/functions"),
            ("POST", "/2021-11-15/functions/a/response-streaming-invocations"),
        ] {
            assert_eq!(route(method, path).unwrap_err().code, "UnknownOperationException", "{path}");
        }
    }
}
