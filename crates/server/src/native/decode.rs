//! The body of a request as a typed value, and why it is none.

use serde::Deserialize;

use super::Problem;

/// Reads a body. None at all stands for an object without members.
pub(crate) fn body<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let bytes: &'a [u8] = if bytes.is_empty() { b"{}" } else { bytes };
    // Finding out where an error is costs more than reading, and so is only done once there is one.
    serde_json::from_slice(bytes).map_err(|error| match why::<T>(bytes) {
        Some(problem) => problem,
        None => Problem::bad(&plain(&error.to_string())),
    })
}

fn why<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let path = error.path().to_string();
    let inner = error.into_inner();
    let text = plain(&inner.to_string());
    Some(match inner.classify() {
        serde_json::error::Category::Data if path == "." => match unknown_field(&text) {
            Some(field) => Problem::bad(&text).of_field(field),
            None => Problem::bad(&text),
        },
        serde_json::error::Category::Data => Problem::field(&path, &text),
        _ => Problem::bad(&format!("the body is not JSON: {text}")),
    })
}

/// The field that an error of the decoder calls unknown.
fn unknown_field(text: &str) -> Option<&str> {
    text.strip_prefix("unknown field `")?.split('`').next()
}

/// The text of a decoder's error without the names that Rust has for numbers.
pub(crate) fn plain(text: &str) -> String {
    const NUMBERS: [(&str, &str); 6] = [
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number from 0 to 18446744073709551615"),
        ("i64", "a whole number"),
        ("f64", "a number"),
    ];
    let Some((before, after)) = text.split_once("expected ") else { return text.to_owned() };
    let (word, rest) = match after.find(' ') {
        Some(end) => after.split_at(end),
        None => (after, ""),
    };
    let Some((_, plain)) = NUMBERS.iter().find(|(name, _)| *name == word) else { return text.to_owned() };
    format!("{before}expected {plain}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Job {
        priority: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Jobs {
        jobs: Vec<Job>,
    }

    fn refusal(text: &str) -> String {
        body::<Jobs>(text.as_bytes()).unwrap_err().detail().to_owned()
    }

    #[test]
    fn refusals_name_field_limit_and_value() {
        assert_eq!(
            refusal(r#"{"jobs":[{"priority":1},{"priority":-1}]}"#),
            "jobs[1].priority: invalid value: integer `-1`, expected a whole number from 0 to 4294967295 at line 1 column 38"
        );
        let unknown = refusal(r#"{"jobs":[{"prioriti":1}]}"#);
        assert!(unknown.starts_with("jobs[0].prioriti: unknown field `prioriti`, expected `priority`"), "{unknown}");
        assert_eq!(refusal(""), "missing field `jobs` at line 1 column 2");
        let broken = refusal(r#"{"jobs":[}"#);
        assert!(broken.starts_with("the body is not JSON: expected value at line 1 column 10"), "{broken}");
    }
}
