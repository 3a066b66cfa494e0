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
    /// Maps a queue to a function.
    CreateEventSourceMapping,
    /// Describes a mapping.
    GetEventSourceMapping,
    /// Lists mappings.
    ListEventSourceMappings,
    /// Changes a mapping.
    UpdateEventSourceMapping,
    /// Takes a mapping away.
    DeleteEventSourceMapping,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 9] = [
        Self::Invoke,
        Self::GetFunction,
        Self::GetFunctionConfiguration,
        Self::ListFunctions,
        Self::CreateEventSourceMapping,
        Self::GetEventSourceMapping,
        Self::ListEventSourceMappings,
        Self::UpdateEventSourceMapping,
        Self::DeleteEventSourceMapping,
    ];

    /// AWS's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoke => "Invoke",
            Self::GetFunction => "GetFunction",
            Self::GetFunctionConfiguration => "GetFunctionConfiguration",
            Self::ListFunctions => "ListFunctions",
            Self::CreateEventSourceMapping => "CreateEventSourceMapping",
            Self::GetEventSourceMapping => "GetEventSourceMapping",
            Self::ListEventSourceMappings => "ListEventSourceMappings",
            Self::UpdateEventSourceMapping => "UpdateEventSourceMapping",
            Self::DeleteEventSourceMapping => "DeleteEventSourceMapping",
        }
    }
}

/// An operation, and the part of the path that names what it is about, percent-encoded as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// What it is about; empty for a list, and for what is to be made.
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
        ("POST", ["event-source-mappings"]) => routed(Operation::CreateEventSourceMapping, ""),
        ("GET", ["event-source-mappings"]) => routed(Operation::ListEventSourceMappings, ""),
        ("GET", ["event-source-mappings", uuid]) => routed(Operation::GetEventSourceMapping, *uuid),
        ("PUT", ["event-source-mappings", uuid]) => routed(Operation::UpdateEventSourceMapping, *uuid),
        ("DELETE", ["event-source-mappings", uuid]) => routed(Operation::DeleteEventSourceMapping, *uuid),
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
            ("POST", "/2015-03-31/event-source-mappings/", Operation::CreateEventSourceMapping, ""),
            ("GET", "/2015-03-31/event-source-mappings/", Operation::ListEventSourceMappings, ""),
            ("GET", "/2015-03-31/event-source-mappings/u", Operation::GetEventSourceMapping, "u"),
            ("PUT", "/2015-03-31/event-source-mappings/u", Operation::UpdateEventSourceMapping, "u"),
            ("DELETE", "/2015-03-31/event-source-mappings/u", Operation::DeleteEventSourceMapping, "u"),
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
