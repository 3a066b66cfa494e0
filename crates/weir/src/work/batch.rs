//! Many jobs, one process: a line for each, and a line back for each that has something to say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use weir_client::{Failure, Job};

use super::attempt::{judge, not_run};
use super::command::Template;
use super::output::{RESULT_BYTES_MAX, Stdout};
use super::process;
use super::stderr::Listener;

/// What a line of the input says of a job.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    attempt: u32,
    priority: u32,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attributes: &'a Map<String, Value>,
    data: &'a RawValue,
}

/// What a line of the output says of a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    id: String,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    retry: Option<bool>,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

type Outcome = Result<Option<Box<RawValue>>, Failure>;

/// Runs the process of a batch, and tells how each of its jobs ended.
pub(super) async fn run(template: Arc<Template>, jobs: Vec<Job<Box<RawValue>>>) -> Vec<Outcome> {
    let mut input = Vec::new();
    for job in &jobs {
        // A batch is written line by line; JSON may stand on several.
        let data = compact(&job.data);
        let line = Line {
            id: &job.id,
            name: job.name.as_deref(),
            custom_id: job.custom_id.as_deref(),
            group: job.group.as_deref(),
            attempt: job.attempt,
            priority: job.priority,
            attributes: &job.attributes,
            data: &data,
        };
        if let Err(error) = serde_json::to_writer(&mut input, &line) {
            return jobs.iter().map(|_| Err(Failure::new(&error))).collect();
        }
        input.push(b'\n');
    }
    let mut command = template.process();
    command.env("WEIR_BATCH", jobs.len().to_string());
    let patience = process::patience(template.timeout);
    let ended = match process::run(command, input, ToUs, patience, template.grace).await {
        Ok(ended) => ended,
        Err(error) => {
            let failure = not_run(&error);
            return jobs.iter().map(|_| Err(failure.clone())).collect();
        }
    };
    let rest = judge(&template, &ended);
    let (mut said, strange) = match template.stdout {
        Stdout::Log => (HashMap::new(), None),
        Stdout::Result => read(&ended.stdout),
    };
    let rest = rest.and_then(|()| strange.map_or(Ok(()), |strange| Err(Failure::new(strange))));
    jobs.iter().map(|job| said.remove(&job.id).unwrap_or_else(|| rest.clone().map(|()| None))).collect()
}

/// What was said of each job, and what could not be understood: jobs that nothing is said of have failed then, since it may
/// have been about them.
fn read(printed: &[u8]) -> (HashMap<String, Outcome>, Option<String>) {
    let (mut said, mut strange) = (HashMap::new(), None);
    let text = String::from_utf8_lossy(printed);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Said>(line) {
            Ok(about) => _ = said.insert(about.id.clone(), outcome(about)),
            Err(error) => _ = strange.get_or_insert(format!("line {} of what it printed: {error}", number + 1)),
        }
    }
    if printed.len() > RESULT_BYTES_MAX {
        strange.get_or_insert(format!("it printed more than {RESULT_BYTES_MAX} bytes"));
    }
    (said, strange)
}

fn outcome(said: Said) -> Outcome {
    let Some(error) = said.error else { return Ok(said.result) };
    let failure = match error {
        Value::String(message) => Failure::new(message),
        details => Failure::with_details(details),
    };
    Err(match (said.retry, said.retry_after_ms) {
        (Some(false), _) => failure.fatal(),
        (_, Some(ms)) => failure.retry_after(Duration::from_millis(ms)),
        _ => failure,
    })
}

/// JSON on one line.
fn compact(json: &RawValue) -> std::borrow::Cow<'_, RawValue> {
    use std::borrow::Cow;
    if !json.get().contains(['\n', '\r']) {
        return Cow::Borrowed(json);
    }
    // Outside of texts, where they stand escaped, ends of lines are nothing but space.
    let line = json.get().replace(['\n', '\r'], " ");
    RawValue::from_string(line).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Lines of a process go to our standard error: they are of no single job.
struct ToUs;

impl Listener for ToUs {
    async fn line(&mut self, line: String) {
        crate::output::note(&crate::output::clean(&line));
    }

    async fn progress(&mut self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_about_a_job() {
        let printed =
            "{\"id\": \"1\", \"result\": {\"n\": 1.0}}\n\n{\"id\": \"2\", \"error\": \"no\", \"retry\": false}\n";
        let (said, strange) = read(printed.as_bytes());
        assert_eq!(strange, None);
        assert_eq!(said["1"].as_ref().unwrap().as_ref().unwrap().get(), "{\"n\": 1.0}");
        assert!(format!("{:?}", said["2"]).contains("Fatal"));
    }

    #[test]
    fn a_line_that_is_none_of_ours_is_told_by_its_number() {
        let (said, strange) = read(b"{\"id\": \"1\"}\nhello\n");
        assert!(said.contains_key("1"));
        assert!(strange.unwrap().starts_with("line 2 of what it printed: expected value"));
    }

    #[test]
    fn json_of_several_lines_becomes_one() {
        let json = RawValue::from_string("{\n  \"a\": \"b\\nc\"\r\n}".to_owned()).unwrap();
        assert_eq!(compact(&json).get(), "{   \"a\": \"b\\nc\"  }");
    }
}
