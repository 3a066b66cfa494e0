//! Jobs to be added.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Error;
use crate::settings::{Keep, Retry};

/// A job to be added. What is not said is as its queue says.
///
/// ```
/// # use std::time::Duration;
/// # use weir_client::NewJob;
/// let job = NewJob::new("ada@example.org").name("welcome").priority(1).delay(Duration::from_secs(60)).attempts(5);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a job does nothing until it is added"]
pub struct NewJob<T> {
    data: T,
    options: Options,
    /// Written already: each may carry something of another type.
    children: Vec<Result<Box<RawValue>, Error>>,
    /// How many jobs it is with all that are below it.
    count: usize,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_completed: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_failed: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication: Option<Deduplication>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<OnFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Place>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, serde_json::Value>,
}

/// Which later jobs a job keeps away from its queue.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Clone, Debug, Serialize)]
pub struct Deduplication {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    extend: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reschedule: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_last_if_active: bool,
}

impl Deduplication {
    /// Until the job has finished or was removed, others of this id are not added.
    pub fn until_finished(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ttl_ms: None,
            extend: false,
            replace: false,
            reschedule: false,
            keep_last_if_active: false,
        }
    }

    /// For this time, whether the job is done or not, others of this id are not added.
    pub fn for_time(id: impl Into<String>, time: Duration) -> Self {
        Self { ttl_ms: Some(ms(time)), ..Self::until_finished(id) }
    }

    /// The job runs once this time has passed without another one of this id; each of these takes its place. The job
    /// needs a delay of the same length.
    pub fn debounce(id: impl Into<String>, quiet: Duration) -> Self {
        Self { extend: true, replace: true, ..Self::for_time(id, quiet) }
    }

    /// Until the job has finished or was removed, others of this id are not added; each gives the job, while that is
    /// still delayed, its own delay, counted from now, and changes nothing else of it.
    pub fn reschedule(id: impl Into<String>) -> Self {
        Self { reschedule: true, ..Self::until_finished(id) }
    }

    /// Never two at once, and none lost: the last one of this id that came while the job was being worked on is added
    /// once that has finished.
    pub fn keep_last_if_active(id: impl Into<String>) -> Self {
        Self { keep_last_if_active: true, ..Self::until_finished(id) }
    }
}

/// What becomes of a parent when a child fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It goes on waiting, until the child is retried and completes, or is removed.
    Wait,
    /// It fails, too.
    Fail,
    /// It takes the child for done, and finds the failure where the result would be.
    Ignore,
    /// It forgets the child.
    Remove,
    /// It runs at once, whatever its other children do.
    Continue,
}

/// A job of some queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub(crate) queue: String,
    pub(crate) id: String,
}

/// What the server is sent.
#[derive(Serialize)]
struct Written<'a, T> {
    data: &'a T,
    #[serde(flatten)]
    options: &'a Options,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<&'a RawValue>,
}

impl<T> NewJob<T> {
    /// A job that carries `data`.
    pub fn new(data: T) -> Self {
        Self { data, options: Options::default(), children: Vec::new(), count: 1 }
    }

    /// What kind of job it is: up to 256 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// An id of your own choice: up to 256 bytes, not only digits. While a job of this id is in the queue, finished or
    /// not, another one is not added.
    pub fn custom_id(mut self, id: impl Into<String>) -> Self {
        self.options.custom_id = Some(id.into());
        self
    }

    /// Its group: on a FIFO queue one after the other, on others fairly beside other groups.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.options.group = Some(group.into());
        self
    }

    /// 0, the default, runs first, then 1, 2, ….
    pub fn priority(mut self, priority: u32) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// It goes before all others of its priority; of those added so, the newest first.
    pub fn lifo(mut self) -> Self {
        self.options.lifo = Some(true);
        self
    }

    /// It cannot run for so long.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay_ms = Some(ms(delay));
        self.options.run_at_ms = None;
        self
    }

    /// It cannot run before.
    pub fn run_at(mut self, time: SystemTime) -> Self {
        self.options.run_at_ms = Some(ms_of(time));
        self.options.delay_ms = None;
        self
    }

    /// It fails as expired if it has not been started within so long.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl_ms = Some(ms(ttl));
        self.options.expires_at_ms = None;
        self
    }

    /// It fails as expired if it has not been started by then.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.options.expires_at_ms = Some(ms_of(time));
        self.options.ttl_ms = None;
        self
    }

    /// How long one attempt may take, however often its lease is extended.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout_ms = Some(ms(timeout));
        self
    }

    /// Failures after which it is not tried again, from 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.options.retry.get_or_insert_default().attempts_max = Some(attempts);
        self
    }

    /// How it is tried again, in place of the queue's way.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.retry = Some(retry);
        self
    }

    /// What remains of it once it is completed.
    pub fn keep_completed(mut self, keep: Keep) -> Self {
        self.options.keep_completed = Some(keep);
        self
    }

    /// What remains of it once it has failed for good.
    pub fn keep_failed(mut self, keep: Keep) -> Self {
        self.options.keep_failed = Some(keep);
        self
    }

    /// Which later jobs it keeps away.
    pub fn deduplication(mut self, deduplication: Deduplication) -> Self {
        self.options.deduplication = Some(deduplication);
        self
    }

    /// A text or a number that stands beside the data: limiters can take keys from there, and over SQS it is a message
    /// attribute.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.options.attributes.insert(name.into(), value.into());
        self
    }

    /// A job of `queue` that runs before this one, and is added with it. This one then reads what came of it.
    pub fn child<U: Serialize>(mut self, queue: impl Into<String>, child: NewJob<U>) -> Self {
        self.count += child.count;
        self.children.push(child.in_queue(queue.into()).written());
        self
    }

    /// What becomes of its parent when this job fails for good. Default: [`OnFailure::Wait`].
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.options.on_failure = Some(on_failure);
        self
    }

    /// A job that waits already, or is being worked on, becomes its parent.
    pub fn parent(mut self, queue: impl Into<String>, id: impl Into<String>) -> Self {
        self.options.parent = Some(Place { queue: queue.into(), id: id.into() });
        self
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn in_queue(mut self, queue: String) -> Self {
        self.options.queue = Some(queue);
        self
    }
}

impl<T: Serialize> NewJob<T> {
    /// The job as the server is sent it.
    pub(crate) fn written(&self) -> Result<Box<RawValue>, Error> {
        let children = self.children.iter().map(|child| child.as_deref().map_err(Clone::clone));
        let children = children.collect::<Result<Vec<&RawValue>, Error>>()?;
        let written = Written { data: &self.data, options: &self.options, children };
        to_raw_value(&written).map_err(Error::encode("a job"))
    }
}

impl<T> From<T> for NewJob<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// Whole milliseconds, of what is shorter than one: one.
pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn ms_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, ms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written<T: Serialize>(job: &NewJob<T>) -> serde_json::Value {
        serde_json::from_str(job.written().unwrap().get()).unwrap()
    }

    #[test]
    fn what_is_not_said_is_not_sent() {
        assert_eq!(written(&NewJob::new(7)), json!({ "data": 7 }));
    }

    #[test]
    fn children_of_other_types_go_along() {
        let job = NewJob::new("sum")
            .child("parts", NewJob::new(1).on_failure(OnFailure::Fail))
            .child("parts", NewJob::new(("two", 2)).child("more", NewJob::new(())));
        let expected = json!({ "data": "sum", "children": [
            { "data": 1, "queue": "parts", "on_failure": "fail" },
            { "data": ["two", 2], "queue": "parts", "children": [{ "data": null, "queue": "more" }] },
        ] });
        assert_eq!(written(&job), expected);
    }

    #[test]
    fn a_child_that_cannot_be_written_is_told_when_the_job_is_added() {
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        let job = NewJob::new(()).child("parts", NewJob::new(unwritable));
        assert_eq!(job.written().unwrap_err().to_string(), "a job cannot be written as JSON: key must be a string");
    }

    #[test]
    fn the_later_of_two_ways_to_say_when_counts() {
        let at = UNIX_EPOCH + Duration::from_millis(5);
        let job = NewJob::new(()).delay(Duration::from_micros(1)).attempts(2);
        assert_eq!(written(&job), json!({ "data": null, "delay_ms": 1, "retry": { "attempts_max": 2 } }));
        assert_eq!(written(&NewJob::new(()).delay(Duration::MAX).run_at(at)), json!({ "data": null, "run_at_ms": 5 }));
    }
}
