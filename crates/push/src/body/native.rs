//! A job in the words of the native API.

use serde::Serialize;
use serde_json::value::RawValue;

use super::attributes;
use crate::message::{Message, Origin};

#[derive(Serialize)]
struct Job<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    data: &'a RawValue,
    attempt: u32,
    leases: u32,
    priority: u32,
    added_at_ms: u64,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    attributes: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Jobs<'a> {
    queue: &'a str,
    jobs: Vec<Job<'a>>,
}

fn job<'a>(message: &'a Message<'_>, queue: Option<&'a str>) -> Result<Job<'a>, String> {
    Ok(Job {
        id: message.id.to_string(),
        queue,
        name: message.name,
        custom_id: message.custom_id,
        group: message.group,
        data: serde_json::from_str(&message.data)
            .map_err(|error| format!("the data of the job is no JSON: {error}"))?,
        attempt: message.attempt,
        leases: message.leases,
        priority: message.priority,
        added_at_ms: message.sent_at_ms,
        attributes: attributes(message),
    })
}

/// One job.
pub(crate) fn one(origin: &Origin<'_>, message: &Message<'_>) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(message.data.len() + 256);
    super::push_json(&mut out, &job(message, Some(origin.queue))?);
    Ok(out)
}

/// A batch.
pub(crate) fn many(origin: &Origin<'_>, messages: &[Message<'_>]) -> Result<Vec<u8>, String> {
    let jobs = messages.iter().map(|message| job(message, None)).collect::<Result<_, _>>()?;
    let bytes: usize = messages.iter().map(|message| message.data.len() + 256).sum();
    let mut out = Vec::with_capacity(bytes);
    super::push_json(&mut out, &Jobs { queue: origin.queue, jobs });
    Ok(out)
}

/// What a template sees.
pub(crate) fn context(
    origin: &Origin<'_>,
    messages: &[Message<'_>],
    is_batch: bool,
) -> Result<serde_json::Value, String> {
    let value = |message| {
        let job = job(message, Some(origin.queue))?;
        serde_json::to_value(&job).map_err(|error| format!("the data of the job cannot be read: {error}"))
    };
    let jobs = messages.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    let mut context = serde_json::Map::new();
    context.insert("queue".to_owned(), origin.queue.into());
    match jobs.into_iter().collect::<Vec<_>>() {
        jobs if is_batch => drop(context.insert("jobs".to_owned(), jobs.into())),
        jobs => drop(context.insert("job".to_owned(), jobs.into_iter().next().unwrap_or_default())),
    }
    Ok(context.into())
}
