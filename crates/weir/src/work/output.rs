//! What a process printed, as the result of its job.

use clap::ValueEnum;
use serde_json::Value;
use serde_json::value::RawValue;

/// What standard output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stdout {
    /// It is the result: JSON, or else text.
    Result,
    /// It goes to the log, line by line, once the process has ended.
    Log,
}

/// Longest result.
pub(super) const RESULT_BYTES_MAX: usize = 16 << 20;

/// The result that was printed: nothing, JSON, or else the text without the end of its last line.
pub(super) fn result(printed: &[u8]) -> Result<Option<Box<RawValue>>, String> {
    let too_long = || format!("it printed more than a result may have: {RESULT_BYTES_MAX} bytes");
    if printed.len() > RESULT_BYTES_MAX {
        return Err(too_long());
    }
    let text = String::from_utf8_lossy(printed);
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Ok(None);
    }
    if let Ok(json) = serde_json::from_str::<Box<RawValue>>(text) {
        return Ok(Some(json));
    }
    let quoted = Value::from(text).to_string();
    // In JSON a text is longer than it is by itself.
    if quoted.len() > RESULT_BYTES_MAX {
        return Err(too_long());
    }
    RawValue::from_string(quoted).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_text() {
        let read = |printed: &[u8]| result(printed).unwrap().map(|json| json.get().to_owned());
        assert_eq!(read(b" \n"), None);
        assert_eq!(read(b"{\"n\": 1.50}\n").as_deref(), Some("{\"n\": 1.50}"));
        assert_eq!(read(b"two words\n").as_deref(), Some("\"two words\""));
        assert_eq!(read(b"1\n2\n").as_deref(), Some("\"1\\n2\""));
        assert!(result(&vec![b'x'; RESULT_BYTES_MAX + 1]).is_err());
        assert!(result(&vec![b'"'; RESULT_BYTES_MAX]).is_err());
    }
}
