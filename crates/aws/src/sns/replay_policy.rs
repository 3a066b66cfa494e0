//! The policy by which a topic's archive is replayed to a subscription.

use jiff::Timestamp;
use serde::Deserialize;

use crate::text;

/// What is to be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayPolicy {
    /// What was published from then on, in milliseconds since 1970.
    pub from_ms: u64,
    /// And before then; `None` for up to now.
    pub until_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Given {
    point_type: String,
    starting_point: String,
    ending_point: Option<String>,
}

impl ReplayPolicy {
    /// Reads the value of the attribute; an empty one, or an empty object, wants nothing replayed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &str) -> Result<Option<Self>, String> {
        if json.is_empty() || json.trim() == "{}" {
            return Ok(None);
        }
        if !json.trim_start().starts_with('{') {
            return Err("it is no JSON object".to_owned());
        }
        let given: Given = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if given.point_type != "Timestamp" {
            return Err(format!("PointType must be Timestamp, found {}", text::quote(&given.point_type, 64)));
        }
        let from_ms = moment("StartingPoint", &given.starting_point)?;
        let until_ms = given.ending_point.map(|point| moment("EndingPoint", &point)).transpose()?;
        if until_ms.is_some_and(|until_ms| until_ms <= from_ms) {
            return Err("EndingPoint must be later than StartingPoint".to_owned());
        }
        Ok(Some(Self { from_ms, until_ms }))
    }
}

fn moment(name: &str, point: &str) -> Result<u64, String> {
    let found = point.parse::<Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    found
        .ok_or_else(|| format!("{name} must be a time like 2026-01-31T09:30:00.000Z, found {}", text::quote(point, 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_from_when_and_perhaps_until_when() {
        let from = r#"{"PointType":"Timestamp","StartingPoint":"1970-01-01T00:00:01.500Z"}"#;
        assert_eq!(ReplayPolicy::parse(from), Ok(Some(ReplayPolicy { from_ms: 1_500, until_ms: None })));
        let both = r#"{"PointType":"Timestamp","StartingPoint":"1970-01-01T01:00:00+01:00","EndingPoint":"1970-01-01T00:00:02Z"}"#;
        assert_eq!(ReplayPolicy::parse(both), Ok(Some(ReplayPolicy { from_ms: 0, until_ms: Some(2_000) })));
        for nothing in ["", "{}", " {} "] {
            assert_eq!(ReplayPolicy::parse(nothing), Ok(None));
        }
    }

    #[test]
    fn a_bad_policy_is_refused_with_its_member() {
        for (json, reason) in [
            (r#"["Timestamp","1970-01-01T00:00:00Z",null]"#, "no JSON object"),
            (r#"{"PointType":"Timestamp"}"#, "StartingPoint"),
            (r#"{"PointType":"Message","StartingPoint":"1970-01-01T00:00:00Z"}"#, "PointType"),
            (r#"{"PointType":"Timestamp","StartingPoint":"yesterday"}"#, "StartingPoint"),
            (r#"{"PointType":"Timestamp","StartingPoint":"1969-01-01T00:00:00Z"}"#, "StartingPoint"),
            (r#"{"PointType":"Timestamp","StartingPoint":"1970-01-01T00:00:00Z","Until":""}"#, "Until"),
            (
                r#"{"PointType":"Timestamp","StartingPoint":"1970-01-02T00:00:00Z","EndingPoint":"1970-01-02T00:00:00Z"}"#,
                "EndingPoint",
            ),
        ] {
            let refused = ReplayPolicy::parse(json).unwrap_err();
            assert!(refused.contains(reason), "{json}: {refused}");
        }
    }
}
