//! What a request says of a function, and the configuration of its queue that this makes.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use weir_core::api::{Config, Kind, Redrive};
use weir_push::Settings as PushSettings;
use weir_push::settings::{Concurrency, Mode, REQUEST_MS_MAX, Timeouts};

use crate::functions::{Command, Note};
use crate::native::Problem;
use crate::native::bounds::LONGEST_MS;
use crate::native::endpoint::within;
use crate::native::jobs::options::{KeepSettings, RetrySettings};
use crate::native::push::note_of;
use crate::native::queues::{LimiterUseSettings, Settings, default_config};
use crate::push;

/// How long one call may take, where nothing is said.
const TIMEOUT_MS: u64 = 60_000;
/// Longest description in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Most calls at once that can be asked for.
const CONCURRENCY_MAX: u64 = weir_push::settings::CONCURRENCY_MAX as u64;

/// Most processes of a function at once: those of `weir work`.
const PROCESSES_MAX: u64 = 1_000;
/// Most arguments of a command, its program included.
const ARGUMENTS_MAX: usize = 100;
/// Longest argument in bytes.
const ARGUMENT_BYTES_MAX: usize = 4_096;

/// A function. What is absent has its default. Behind it stand the workers that lease from its queue, unless `url`, `push` or
/// `command` says what else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "FunctionSettings")]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionSettings {
    /// What it is for: up to 1 024 bytes.
    #[serde(default)]
    description: String,
    /// The URL behind it, in place of `push` where nothing else is said of that: the payload is sent with POST, and the
    /// answer is the result.
    url: Option<String>,
    /// The URL behind it, with all that a push target may have. Its `mode` is `payload` unless it says otherwise.
    #[schemars(with = "Option<PushSettings>")]
    push: Option<Pushed>,
    /// The command behind it, its program first: the server runs a process for each call. Only where the server's
    /// configuration allows it (`functions.allow_commands`).
    command: Option<Vec<String>>,
    /// How long one attempt may take. Default 60 000.
    timeout_ms: Option<u64>,
    /// How calls are tried again that nobody waits for, and those that ask for it. Default: as for jobs.
    retry: Option<RetrySettings>,
    /// How many calls may be under way at once at the URL, or have a process. Default: as many as the URL can take, up to 100;
    /// 1 process. Workers are as many as there are; a limiter bounds them.
    concurrency: Option<u32>,
    /// All limiters of which a call takes a slot before it starts; at most 8.
    limiters: Option<Vec<LimiterUseSettings>>,
    /// Name of the queue that calls go to which failed for good. Default: none, they are kept as failed jobs.
    dead_letters: Option<String>,
    /// What remains of completed calls. Default: an hour's, and the last 10 000.
    keep_completed: Option<KeepSettings>,
    /// What remains of failed calls. Default: 30 days', and the last 100 000.
    keep_failed: Option<KeepSettings>,
}

/// A push target of a function.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    settings: PushSettings,
    /// What it says itself, and the function's settings therefore cannot say.
    has_concurrency: bool,
    has_timeouts: bool,
}

impl<'de> Deserialize<'de> for Pushed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        let mode = members.entry("mode").or_insert(Value::Null);
        if mode.is_null() {
            *mode = "payload".into();
        }
        let (has_concurrency, has_timeouts) = (members.contains_key("concurrency"), members.contains_key("timeouts"));
        let settings = serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            D::Error::custom(if path == "." { inner.to_string() } else { format!("{path}: {inner}") })
        })?;
        Ok(Self { settings, has_concurrency, has_timeouts })
    }
}

impl JsonSchema for Pushed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        PushSettings::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        PushSettings::json_schema(generator)
    }
}

impl FunctionSettings {
    /// The configuration of the function's queue; `before` is the one that it has, if there is one.
    pub(super) fn config(&self, before: Option<&Config>, limits: &weir_aws::sqs::Limits) -> Result<Config, Problem> {
        if self.description.len() > DESCRIPTION_BYTES_MAX {
            let text = format!("must have at most {DESCRIPTION_BYTES_MAX} bytes, found {}", self.description.len());
            return Err(Problem::field("description", &text));
        }
        let (target, timeout_ms) = self.target()?;
        let mut config = default_config();
        // What others keep with the queue is not this one's to take away.
        config.notes = before.map(|before| before.notes.clone()).unwrap_or_default();
        let settings = Settings {
            retry: self.retry.clone(),
            limiters: self.limiters.clone(),
            keep_completed: self.keep_completed,
            keep_failed: self.keep_failed,
            ..Settings::default()
        };
        settings.apply(&mut config, Kind::Standard, limits)?;
        config.timeout_ms = Some(timeout_ms);
        // How often a call may fail is said by its attempts, and not by its leases.
        let redrive = |name: &String| Redrive { target: name.clone(), receives_max: u32::MAX };
        config.redrive = self.dead_letters.as_ref().map(redrive);
        let command = self.command.clone().map(|line| Command { line, concurrency: self.concurrency.unwrap_or(1) });
        Note::new(self.description.clone(), command).put(&mut config);
        match target {
            Some(mut target) => {
                let before = note_of(&config, None)?;
                if let Some(before) = &before {
                    target.keep_secrets_of(&before.target);
                }
                push::Note::new(target, before.is_some_and(|before| before.paused)).put(&mut config);
            }
            None => push::Note::remove(&mut config),
        }
        Ok(config)
    }

    /// The command behind the function.
    pub(super) fn command(&self) -> Option<&[String]> {
        self.command.as_deref()
    }

    /// The name of the queue for failed calls.
    pub(super) fn dead_letters(&self) -> Option<&str> {
        self.dead_letters.as_deref()
    }

    /// What stands in front of the names of a push target's fields.
    pub(super) fn field(&self, field: &str) -> String {
        match (&self.url, field) {
            (Some(_), "url") => field.to_owned(),
            _ => format!("push.{field}"),
        }
    }

    /// The push target, if there is to be one, and how long an attempt may take.
    fn target(&self) -> Result<(Option<PushSettings>, u64), Problem> {
        let timeout_ms = self.timeout_ms.unwrap_or(TIMEOUT_MS);
        let pushed = match (&self.url, &self.push) {
            (Some(_), Some(_)) => {
                return Err(Problem::field("url", "stands beside push, and only one of them can hold"));
            }
            (Some(url), None) => {
                let settings = serde_json::json!({ "url": url, "mode": "payload" });
                let settings =
                    serde_json::from_value(settings).map_err(|error| Problem::field("url", &error.to_string()))?;
                Some(Pushed { settings, has_concurrency: false, has_timeouts: false })
            }
            (None, pushed) => pushed.clone(),
        };
        if let Some(line) = &self.command {
            if pushed.is_some() {
                return Err(Problem::field("command", "stands beside a URL, and only one of them can hold"));
            }
            check_command(line)?;
            within("concurrency", self.concurrency.unwrap_or(1).into(), 1, PROCESSES_MAX)?;
            return Ok((None, within("timeout_ms", timeout_ms, 1, LONGEST_MS)?));
        }
        if let Some(concurrency) = self.concurrency {
            within("concurrency", concurrency.into(), 1, CONCURRENCY_MAX)?;
        }
        let Some(Pushed { mut settings, has_concurrency, has_timeouts }) = pushed else {
            if self.concurrency.is_some() {
                let text = "is for a URL or a command; workers are as many as there are, and a limiter bounds them";
                return Err(Problem::field("concurrency", text));
            }
            return Ok((None, within("timeout_ms", timeout_ms, 1, LONGEST_MS)?));
        };
        if settings.mode == Mode::Lambda {
            let text =
                "must be another one than lambda: its answer has no results. An event source mapping sends that event";
            return Err(Problem::field("push.mode", text));
        }
        match (self.concurrency, has_concurrency) {
            (Some(_), true) => {
                let text = "stands beside push.concurrency, and only one of them can hold";
                return Err(Problem::field("concurrency", text));
            }
            (Some(max), false) => settings.concurrency = Concurrency { max, min: 1, adaptive: false },
            (None, _) => {}
        }
        if has_timeouts {
            return Ok((Some(settings), within("timeout_ms", timeout_ms, 1, LONGEST_MS)?));
        }
        within("timeout_ms", timeout_ms, 1, REQUEST_MS_MAX)?;
        settings.timeouts = Timeouts {
            first_byte_ms: timeout_ms,
            total_ms: timeout_ms,
            callback_ms: timeout_ms,
            ..Timeouts::default()
        };
        Ok((Some(settings), timeout_ms))
    }
}

/// Refuses what is no command.
fn check_command(line: &[String]) -> Result<(), Problem> {
    if line.is_empty() || line.len() > ARGUMENTS_MAX {
        let text = format!("must have from 1 to {ARGUMENTS_MAX} entries, found {}", line.len());
        return Err(Problem::field("command", &text));
    }
    for (at, argument) in line.iter().enumerate() {
        let text = match argument.len() {
            0 if at == 0 => "must not be empty".to_owned(),
            found if found > ARGUMENT_BYTES_MAX => {
                format!("must have at most {ARGUMENT_BYTES_MAX} bytes, found {found}")
            }
            _ if argument.contains('\0') => "must not have a NUL".to_owned(),
            _ => continue,
        };
        return Err(Problem::field(&format!("command[{at}]"), &text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use weir_aws::sqs::Limits;

    use super::*;
    use crate::native::decode;

    fn config(json: &str) -> Result<Config, Problem> {
        decode::body::<FunctionSettings>(json.as_bytes())?.config(None, &Limits::OURS)
    }

    fn refusal(json: &str) -> String {
        config(json).unwrap_err().detail().to_owned()
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
        for (json, text) in [
            (r#"{"url": "http://a", "push": {"url": "http://a"}}"#, "url: stands beside push"),
            (r#"{"concurrency": 3}"#, "concurrency: is for a URL or a command"),
            (r#"{"url": "http://a", "concurrency": 0}"#, "concurrency: must be from 1 to 10000, found 0"),
            (r#"{"push": {"url": "http://a", "concurrency": {}}, "concurrency": 1}"#, "concurrency: stands beside"),
            (r#"{"push": {"url": "http://a", "mode": "lambda"}}"#, "push.mode: must be another one"),
            (r#"{"push": {"url": "http://a", "batch": {"max": "x"}}}"#, "push: batch.max: invalid type"),
            (r#"{"url": "http://a", "timeout_ms": 3600001}"#, "timeout_ms: must be from 1 to 3600000, found 3600001"),
            (r#"{"retry": {"attempts_max": 0}}"#, "retry.attempts_max: must be from 1 to"),
            (r#"{"command": []}"#, "command: must have from 1 to 100 entries, found 0"),
            (r#"{"command": [""]}"#, "command[0]: must not be empty"),
            (r#"{"command": ["a\u0000"]}"#, "command[0]: must not have a NUL"),
            (r#"{"command": ["a"], "url": "http://a"}"#, "command: stands beside a URL"),
            (r#"{"command": ["a"], "concurrency": 1001}"#, "concurrency: must be from 1 to 1000, found 1001"),
            (r#"{"time": 1}"#, "time: unknown field `time`"),
        ] {
            let found = refusal(json);
            assert!(found.starts_with(text), "{json}: {found}");
        }
        assert!(refusal(&format!(r#"{{"description": "{}"}}"#, "x".repeat(1_025))).contains("found 1025"));
    }

    #[test]
    fn the_time_and_the_number_of_calls_hold_for_the_url_too() {
        let config = config(r#"{"url": "http://a", "timeout_ms": 5000, "concurrency": 7}"#).unwrap();
        assert_eq!(config.timeout_ms, Some(5_000));
        let target = push::Note::of(&config).unwrap().unwrap().target;
        assert_eq!((target.timeouts.total_ms, target.concurrency.max, target.concurrency.adaptive), (5_000, 7, false));
        assert_eq!(target.mode, Mode::Payload);
    }

    #[test]
    fn secrets_and_the_notes_of_others_stay_and_a_url_goes_when_workers_come() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let json = format!(r#"{{"push": {{"url": "http://a", "secrets": ["{secret}"]}}}}"#);
        let mut before = config(&json).unwrap();
        before.notes.push(("x".to_owned(), "y".to_owned()));
        let put = |json: &str| {
            let settings: FunctionSettings = serde_json::from_str(json).unwrap();
            settings.config(Some(&before), &Limits::OURS).unwrap()
        };
        let after = put(r#"{"url": "http://b"}"#);
        let target = push::Note::of(&after).unwrap().unwrap().target;
        assert_eq!((target.url.as_str(), target.secrets.unwrap().len()), ("http://b", 1));
        let after = put("{}");
        assert!(push::Note::of(&after).unwrap().is_none());
        assert!(after.notes.iter().any(|(name, _)| name == "x"));
    }
}
