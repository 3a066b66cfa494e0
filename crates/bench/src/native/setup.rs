//! Queues and limiters over the native API, as workloads need them.

use serde_json::{Value, json};

use crate::wire::{Connection, call};

/// Where jobs have the key of a keyed limiter.
pub(crate) const KEY: &str = "data.key";

/// A limiter of a queue.
pub(crate) struct LimiterUse {
    pub(crate) name: &'static str,
    /// Where jobs have their key; `None` for one key for all.
    pub(crate) key: Option<&'static str>,
}

/// Terms that count like any others and are never in the way.
pub(crate) fn wide() -> Value {
    json!({ "windows": [{ "max": 1_000_000_000, "per_ms": 1_000 }], "concurrency": 1_000_000_000 })
}

/// Creates a limiter, or changes its terms.
pub(crate) async fn put_limiter(connection: &mut Connection, name: &str, terms: &Value) -> anyhow::Result<()> {
    connection.ask(&call("PUT", &format!("/v1/limiters/{name}"), &terms.to_string())).await?;
    Ok(())
}

/// Creates a queue of which nothing remains when its jobs are done, with leases that outlive every workload.
pub(crate) async fn create_queue(
    connection: &mut Connection,
    name: &str,
    limiter: Option<LimiterUse>,
) -> anyhow::Result<()> {
    let limiters: Vec<_> = limiter
        .iter()
        .map(|LimiterUse { name, key }| match key {
            Some(key) => json!({ "limiter": name, "key": key }),
            None => json!({ "limiter": name }),
        })
        .collect();
    let mut settings = json!({ "lease_ms": 3_600_000, "keep_completed": { "count": 0 } });
    if !limiters.is_empty()
        && let Some(members) = settings.as_object_mut()
    {
        members.insert("limiters".to_owned(), limiters.into());
    }
    let content = json!({ "name": name, "settings": settings });
    connection.ask(&call("POST", "/v1/queues", &content.to_string())).await?;
    Ok(())
}

/// Lets nothing remain of the queue's completed jobs.
pub(crate) async fn keep_nothing(connection: &mut Connection, queue: &str) -> anyhow::Result<()> {
    let settings = json!({ "keep_completed": { "count": 0 } });
    connection.ask(&call("PATCH", &format!("/v1/queues/{queue}"), &settings.to_string())).await?;
    Ok(())
}

/// A request that adds `jobs`.
pub(crate) fn add(queue: &str, jobs: impl Iterator<Item = String>) -> Vec<u8> {
    let mut content = String::from("{\"jobs\":[");
    for (at, job) in jobs.enumerate() {
        if at > 0 {
            content.push(',');
        }
        content.push_str(&job);
    }
    content.push_str("]}");
    call("POST", &format!("/v1/queues/{queue}/jobs"), &content)
}

/// A job with `key` in its data, which has `body_bytes` bytes wherever that is not too few.
pub(crate) fn job(key: u64, priority: u32, body_bytes: usize) -> String {
    let begun = format!("{{\"key\":{key},\"text\":\"");
    let text = "x".repeat(body_bytes.saturating_sub(begun.len() + 2));
    let priority = if priority == 0 { String::new() } else { format!(",\"priority\":{priority}") };
    format!("{{\"data\":{begun}{text}\"}}{priority}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_data_of_the_length_asked_for() {
        for key in [0, 17, 99_999] {
            let job: Value = serde_json::from_str(&job(key, 3, 256)).unwrap();
            assert_eq!(job["data"].to_string().len(), 256);
            assert_eq!((job["data"]["key"].as_u64(), job["priority"].as_u64()), (Some(key), Some(3)));
        }
    }
}
