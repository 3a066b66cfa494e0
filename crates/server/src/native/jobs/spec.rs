//! A job as a request describes it, and as the engine takes it.

use rand::random;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use weir_aws::sqs::payload::{Attribute, Payload, Value};
use weir_aws::sqs::{Deduplication, Limits, content_hash, custom_id_hash, id_hash, lane};
use weir_core::Time;
use weir_core::api::job::{JobDedup, JobOptions, NewJob, OnChildFailure, Parent, Retry};
use weir_core::api::{Kind, NewMessage, Queue};

use super::super::Problem;
use super::super::bounds::LONGEST_MS;
use super::super::endpoint::within;
use super::super::text::Text;
use super::attributes::Attributes;
use super::data::{CUSTOM_ID, NAME};
use super::job_ref::job_ref;
use super::options::{KeepSettings, RetrySettings};
use crate::fresh::now_ms;
use crate::limits::{self, Seen};

/// A job to be added.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "NewJob")]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec<'a> {
    /// Its queue. Default: that of the address, or of its parent.
    #[serde(borrow)]
    pub(crate) queue: Option<Text<'a>>,
    /// What kind of job it is: up to 256 bytes.
    #[serde(borrow)]
    name: Option<Text<'a>>,
    /// What the worker gets: any JSON. Over SQS its text is the body. Default `null`.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    /// Text, numbers and `{"binary": base64}` beside the data: SQS's message attributes.
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
    /// An id of your own choice: up to 256 bytes, not only digits. While a job of this id is in the queue, finished or
    /// not, another one is a duplicate of it, and is not added.
    #[serde(borrow)]
    custom_id: Option<Text<'a>>,
    /// 0 is leased first, then 1, 2, …. Default 0.
    priority: Option<u32>,
    /// Whether it goes before all others of its priority, the last one added first.
    lifo: Option<bool>,
    /// When it can be leased, in milliseconds from now. Default: that of the queue.
    delay_ms: Option<u64>,
    /// When it can be leased, in place of a delay: milliseconds since 1970.
    run_at_ms: Option<u64>,
    /// Its message group: on a FIFO queue one after the other, on a standard queue fairly beside other groups.
    #[serde(borrow)]
    group: Option<Text<'a>>,
    /// What other jobs are kept away by it.
    #[serde(borrow)]
    deduplication: Option<DeduplicationSpec<'a>>,
    /// How it is tried again. Default: the queue's way.
    retry: Option<RetrySettings>,
    /// How long one attempt may take, however often its lease is extended. Default: that of the queue.
    timeout_ms: Option<u64>,
    /// It fails as expired if it has not been started by then: milliseconds since 1970.
    expires_at_ms: Option<u64>,
    /// It fails as expired if it has not been started within so many milliseconds.
    ttl_ms: Option<u64>,
    /// What remains of it once it is completed. Default: as the queue says.
    keep_completed: Option<KeepSettings>,
    /// What remains of it once it has failed for good. Default: as the queue says.
    keep_failed: Option<KeepSettings>,
    /// A job that waits for this one.
    #[serde(borrow)]
    parent: Option<ParentSpec<'a>>,
    /// What becomes of its parent if it fails for good. Default `wait`.
    on_failure: Option<OnFailure>,
    /// Jobs that it waits for: added together with it, and run before it.
    #[serde(borrow, default)]
    pub(crate) children: Vec<Spec<'a>>,
}

/// Which later jobs a job keeps away.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "JobDeduplication")]
#[serde(deny_unknown_fields)]
pub(crate) struct DeduplicationSpec<'a> {
    /// Jobs of the same id are duplicates.
    #[serde(borrow)]
    id: Text<'a>,
    /// For how long. Default: until the job is finished or removed; on a FIFO queue its window.
    ttl_ms: Option<u64>,
    /// Whether each duplicate starts that time anew (debounce).
    #[serde(default)]
    extend: bool,
    /// Whether a duplicate takes the place of a job that is still delayed: its data, name, priority and delay.
    #[serde(default)]
    replace: bool,
    /// Whether a duplicate gives a job that is still delayed its own delay, counted from now, and changes nothing else of
    /// it. Means nothing with `replace`.
    #[serde(default)]
    reschedule: bool,
    /// Whether the last duplicate that came while the job was being worked on is added once that is finished.
    #[serde(default)]
    keep_last_if_active: bool,
}

/// A job that waits already, or is being worked on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewJobParent")]
#[serde(deny_unknown_fields)]
pub(crate) struct ParentSpec<'a> {
    /// Its queue.
    #[serde(borrow)]
    pub(crate) queue: Text<'a>,
    /// Its id, or the id that its sender chose.
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
}

/// What becomes of a parent when a child fails for good.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailure {
    /// It goes on waiting, until the child is retried and completes, or is removed.
    #[default]
    Wait,
    /// It fails too, as do its own parents that say the same.
    Fail,
    /// It takes the child for done, and sees its failure among the results.
    Ignore,
    /// It forgets the child.
    Remove,
    /// It runs at once, whatever its other children do.
    Continue,
}

/// Longest name, custom id, group or deduplication id in bytes.
const TEXT_BYTES_MAX: usize = 256;

impl Spec<'_> {
    /// The parent that is not added together with the job.
    pub(super) fn parent(&self) -> Option<&ParentSpec<'_>> {
        self.parent.as_ref()
    }

    /// The same as a call whose caller waits for so long: it is tried once unless it says otherwise, and is not begun when
    /// nobody waits any more.
    pub(crate) fn called(mut self, wait_ms: u64) -> Self {
        self.retry.get_or_insert_with(RetrySettings::once);
        self.ttl_ms.get_or_insert(wait_ms);
        self
    }

    /// Refuses what a call cannot have.
    pub(in crate::native) fn check_call(&self) -> Result<(), Problem> {
        let given = [
            ("queue", self.queue.is_some(), "is that of the function"),
            ("parent", self.parent.is_some(), "belongs to jobs that are added to the queue of the function"),
            ("children", !self.children.is_empty(), "belong to jobs that are added to the queue of the function"),
        ];
        match given.into_iter().find(|(_, is_given, _)| *is_given) {
            Some((field, _, text)) => Err(Problem::field(field, text)),
            None => Ok(()),
        }
    }

    /// The job for the engine.
    pub(crate) fn job(&self, queue: &Queue, limits: &Limits, parent: Option<Parent>) -> Result<NewJob, Problem> {
        let bounded = |field: &str, text: &Option<Text<'_>>| match text {
            Some(text) => check_text(field, text),
            None => Ok(()),
        };
        bounded("name", &self.name)?;
        bounded("custom_id", &self.custom_id)?;
        bounded("group", &self.group)?;
        if self.custom_id.as_ref().is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(Problem::field("custom_id", "must not consist of digits only: such are the server's own ids"));
        }
        if queue.kind == Kind::Fifo && self.lifo == Some(true) {
            return Err(Problem::field("lifo", "a FIFO queue keeps the order of its groups"));
        }
        let mut attributes = Vec::new();
        let own = [(NAME, &self.name), (CUSTOM_ID, &self.custom_id)];
        for (name, value) in own {
            attributes.extend(value.as_ref().map(|text| Attribute {
                name,
                data_type: "String",
                value: Value::Text(text),
            }));
        }
        if let Some(given) = &self.attributes {
            attributes.reserve(given.len());
            given.push_to(&mut attributes, limits.attributes_max)?;
        }
        let body = self.data.map_or("null", RawValue::get);
        let bytes = body.len() as u64 + attributes.iter().map(Attribute::bytes).sum::<u64>();
        let most = limits.message_bytes(queue.config.message_bytes_max);
        if bytes > most {
            let text = format!("with name and attributes the job must have at most {most} bytes, found {bytes}");
            return Err(Problem::field("data", &text));
        }
        let group = self.group.as_deref();
        let limits = limits::of(&queue.config, &Seen { body, attributes: &attributes, group });
        let (dedup, told, job_dedup) = self.deduplication(queue, body)?;
        let options = self.options(parent, job_dedup)?;
        let uuid = random();
        let payload = Payload {
            uuid,
            group_id: group,
            deduplication: told,
            trace_header: None,
            attributes,
            body,
            is_json: true,
            publication: None,
        };
        let message = NewMessage {
            uuid,
            payload: payload.encode(),
            delay_ms: self.delay(queue)?,
            priority: self.priority.unwrap_or_default(),
            lane: group.map(lane),
            dedup,
            limits,
            options: (!options.is_default()).then(|| Box::new(options)),
        };
        Ok(NewJob { queue: queue.id, version: queue.version, message })
    }

    fn delay(&self, queue: &Queue) -> Result<Option<u64>, Problem> {
        if self.delay_ms.is_some() && self.run_at_ms.is_some() {
            return Err(Problem::field("run_at_ms", "stands beside delay_ms, and only one of them can hold"));
        }
        long("run_at_ms", self.run_at_ms)?;
        let run_in = self.run_at_ms.map(|at| at.saturating_sub(now_ms()));
        for (field, found) in [("delay_ms", long("delay_ms", self.delay_ms)?), ("run_at_ms", run_in)] {
            if let Some(found) = found.filter(|ms| *ms > queue.config.retention_ms) {
                return Err(beyond_retention(field, queue, found));
            }
        }
        Ok(self.delay_ms)
    }

    /// How duplicates are told: on a FIFO queue as over SQS, unless more is asked for than SQS has.
    #[expect(clippy::type_complexity, reason = "the three forms of one thing, taken apart at once")]
    fn deduplication<'s>(
        &'s self,
        queue: &Queue,
        body: &str,
    ) -> Result<(Option<[u8; 16]>, Option<Deduplication<'s>>, Option<JobDedup>), Problem> {
        let Some(asked) = &self.deduplication else {
            let by_content = queue.kind == Kind::Fifo && queue.config.content_deduplication;
            let hash = by_content.then(|| content_hash(body.as_bytes()));
            return Ok((hash, by_content.then_some(Deduplication::Content), None));
        };
        check_text("deduplication.id", &asked.id)?;
        let hash = id_hash(&asked.id);
        let told = Some(Deduplication::Id(&asked.id));
        let DeduplicationSpec { id: _, ttl_ms, extend, replace, reschedule, keep_last_if_active } = *asked;
        let plain = ttl_ms.is_none() && !extend && !replace && !reschedule && !keep_last_if_active;
        if queue.kind == Kind::Fifo && plain {
            return Ok((Some(hash), told, None));
        }
        let ttl_ms = ttl_ms.map(|ms| within("deduplication.ttl_ms", ms, 1, LONGEST_MS)).transpose()?;
        Ok((None, told, Some(JobDedup { hash, ttl_ms, extend, replace, reschedule, keep_last_if_active })))
    }

    fn options(&self, parent: Option<Parent>, dedup: Option<JobDedup>) -> Result<JobOptions, Problem> {
        let retry = match &self.retry {
            Some(settings) => {
                let mut retry = Retry::default();
                settings.apply(&mut retry, "retry")?;
                Some(retry)
            }
            None => None,
        };
        let ttl = long("ttl_ms", self.ttl_ms)?.map(|ms| now_ms().saturating_add(ms));
        let expires = match (self.expires_at_ms, ttl) {
            (Some(at), Some(ttl)) => Some(at.min(ttl)),
            (at, ttl) => at.or(ttl),
        };
        Ok(JobOptions {
            custom_id: self.custom_id.as_ref().map(|id| custom_id_hash(id)),
            lifo: self.lifo.unwrap_or_default(),
            run_at: self.run_at_ms.map(Time),
            retry,
            timeout_ms: self.timeout_ms.map(|ms| within("timeout_ms", ms, 1, LONGEST_MS)).transpose()?,
            expires_at: long("expires_at_ms", expires)?.map(Time),
            keep_completed: self.keep_completed.map(KeepSettings::keep),
            keep_failed: self.keep_failed.map(KeepSettings::keep),
            dedup,
            parent,
            on_failure: match self.on_failure.unwrap_or_default() {
                OnFailure::Wait => OnChildFailure::Wait,
                OnFailure::Fail => OnChildFailure::Fail,
                OnFailure::Ignore => OnChildFailure::Ignore,
                OnFailure::Remove => OnChildFailure::Remove,
                OnFailure::Continue => OnChildFailure::Continue,
            },
        })
    }
}

impl ParentSpec<'_> {
    pub(super) fn parent(&self, queue: &Queue) -> Parent {
        Parent::Existing { queue: queue.id, job: job_ref(&self.id) }
    }
}

pub(in crate::native) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        let text = format!("must have from 1 to {TEXT_BYTES_MAX} bytes, found {}", text.len());
        return Err(Problem::field(field, &text));
    }
    Ok(())
}

/// Refuses times that make no sense.
fn long(field: &'static str, ms: Option<u64>) -> Result<Option<u64>, Problem> {
    ms.map(|found| within(field, found, 0, LONGEST_MS)).transpose()
}

/// Refuses a time that a job would not see, because its queue keeps it for less long.
pub(super) fn beyond_retention(field: &str, queue: &Queue, found_ms: u64) -> Problem {
    let kept_ms = queue.config.retention_ms;
    let text = format!(
        "the queue {} keeps jobs for {kept_ms} ms (its retention_ms), and this is {found_ms} ms away; raise retention_ms",
        queue.name
    );
    Problem::field(field, &text)
}
