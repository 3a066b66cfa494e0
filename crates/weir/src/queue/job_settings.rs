//! Settings of a queue that concern jobs, as arguments: SQS does not have them.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::arguments::milliseconds;
use crate::job::retry_arguments::{Keep, RetryArguments};

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Settings for jobs")]
pub(crate) struct JobSettings {
    #[command(flatten)]
    retry: RetryArguments,
    /// How often a job may lose its worker; once more and it has failed.
    #[arg(long, value_name = "N")]
    stalls_max: Option<u32>,
    /// How long one attempt may take, however often its lease is extended; `none` for ever.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Timeout>,
    /// What remains of completed jobs: an age, a number of jobs, or both (1h,1000), `all` or `none`.
    #[arg(long, value_name = "KEEP")]
    keep_completed: Option<Keep>,
    /// What remains of failed jobs.
    #[arg(long, value_name = "KEEP")]
    keep_failed: Option<Keep>,
    /// A limiter that its jobs run under, with where their key and their cost stand: mail, or
    /// mail:key=data.customer,cost=attributes.pages. Can be given several times; all of them are named at once.
    #[arg(long = "limiter", value_name = "NAME[:key=PLACE][,cost=PLACE]")]
    limiters: Vec<LimiterUse>,
    /// Its jobs run under no limiter.
    #[arg(long, conflicts_with = "limiters")]
    no_limiters: bool,
}

impl JobSettings {
    /// The members of the native API's settings that are given.
    pub(super) fn members(&self) -> Map<String, Value> {
        let limiters = (self.no_limiters || !self.limiters.is_empty())
            .then(|| self.limiters.iter().map(|used| used.0.clone()).collect::<Vec<_>>());
        let members = [
            ("retry", self.retry.settings()),
            ("stalls_max", self.stalls_max.map(Value::from)),
            ("timeout_ms", self.timeout.as_ref().map(|Timeout(ms)| ms.map_or(Value::Null, Value::from))),
            ("keep_completed", self.keep_completed.as_ref().map(Keep::settings)),
            ("keep_failed", self.keep_failed.as_ref().map(Keep::settings)),
            ("limiters", limiters.map(Value::from)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// A time, or none.
#[derive(Clone, Debug, PartialEq)]
struct Timeout(Option<u64>);

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self(None)) } else { milliseconds(text).map(|ms| Self(Some(ms))) }
    }
}

/// A use of a limiter as the native API has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LimiterUse(Value);

impl LimiterUse {
    pub(crate) fn settings(&self) -> Value {
        self.0.clone()
    }
}

impl FromStr for LimiterUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A name may have colons itself.
        let (name, places) = match text.rsplit_once(':') {
            Some((name, places)) if places.starts_with("key=") || places.starts_with("cost=") => (name, places),
            _ => (text, ""),
        };
        let mut used = json!({ "limiter": name });
        for part in places.split(',').filter(|part| !part.is_empty()) {
            let (member, place) =
                part.split_once('=').filter(|(member, _)| matches!(*member, "key" | "cost")).ok_or_else(|| {
                    format!("has {part:?} where key=PLACE or cost=PLACE can stand, as in mail:key=data.customer")
                })?;
            if let Some(used) = used.as_object_mut() {
                used.insert(member.to_owned(), place.into());
            }
        }
        Ok(Self(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limiter_is_named_with_the_places_of_key_and_cost() {
        let used = |text: &str| text.parse::<LimiterUse>().map(|used| used.0);
        assert_eq!(used("mail"), Ok(json!({ "limiter": "mail" })));
        assert_eq!(used("eu:mail"), Ok(json!({ "limiter": "eu:mail" })));
        let both = json!({ "limiter": "mail", "key": "data.customer", "cost": "attributes.pages" });
        assert_eq!(used("mail:key=data.customer,cost=attributes.pages"), Ok(both));
        assert!(used("mail:key=group,price=2").is_err());
    }
}
