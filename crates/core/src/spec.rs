//! The options of a job: what its sender said of it beyond what every message has. One row, for those that have any.

use crate::api::QueueId;
use crate::api::job::{Backoff, JobDedup, JobOptions, Keep, OnChildFailure, Retry};
use crate::codec::{Reader, Unreadable, Writer};

/// Version 2 knows duplicates that move the time.
const VERSION: u8 = 2;
const WHAT: &str = "the options of a job";

const HAS_RETRY: u64 = 1;
const HAS_TIMEOUT: u64 = 1 << 1;
const HAS_KEEP_COMPLETED: u64 = 1 << 2;
const HAS_KEEP_FAILED: u64 = 1 << 3;
const HAS_CUSTOM_ID: u64 = 1 << 4;
const HAS_DEDUP: u64 = 1 << 5;
const HAS_PARENT: u64 = 1 << 6;
const HAS_CHILDREN: u64 = 1 << 7;
const CHILD_FAILED: u64 = 1 << 8;

const DEDUP_TTL: u8 = 1;
const DEDUP_EXTEND: u8 = 2;
const DEDUP_REPLACE: u8 = 4;
const DEDUP_KEEP_LAST: u8 = 8;
const DEDUP_RESCHEDULE: u8 = 16;

/// What is kept of a job's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) custom_id: Option<[u8; 16]>,
    pub(crate) retry: Option<Retry>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) keep_completed: Option<Keep>,
    pub(crate) keep_failed: Option<Keep>,
    pub(crate) dedup: Option<JobDedup>,
    /// The job that waits for this one.
    pub(crate) parent: Option<(QueueId, u64)>,
    pub(crate) on_failure: OnChildFailure,
    /// Children that have not finished, and all that were ever added.
    pub(crate) children: Option<(u64, u64)>,
    /// Whether a child failed with which this one fails too, as soon as it waits.
    pub(crate) child_failed: bool,
}

impl Spec {
    /// What is to be kept of `options`, for a job whose parent is `parent`.
    pub(crate) fn new(options: &JobOptions, parent: Option<(QueueId, u64)>) -> Self {
        Self {
            custom_id: options.custom_id,
            retry: options.retry.clone(),
            timeout_ms: options.timeout_ms,
            keep_completed: options.keep_completed,
            keep_failed: options.keep_failed,
            dedup: options.dedup,
            parent,
            on_failure: options.on_failure,
            children: None,
            child_failed: false,
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn write(&self) -> Writer {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let mut writer = Writer::new(VERSION);
        writer.number(
            flag(HAS_RETRY, self.retry.is_some())
                | flag(HAS_TIMEOUT, self.timeout_ms.is_some())
                | flag(HAS_KEEP_COMPLETED, self.keep_completed.is_some())
                | flag(HAS_KEEP_FAILED, self.keep_failed.is_some())
                | flag(HAS_CUSTOM_ID, self.custom_id.is_some())
                | flag(HAS_DEDUP, self.dedup.is_some())
                | flag(HAS_PARENT, self.parent.is_some())
                | flag(HAS_CHILDREN, self.children.is_some())
                | flag(CHILD_FAILED, self.child_failed),
        );
        if let Some(retry) = &self.retry {
            write_retry(&mut writer, retry);
        }
        if let Some(timeout_ms) = self.timeout_ms {
            writer.number(timeout_ms);
        }
        for keep in [self.keep_completed, self.keep_failed].into_iter().flatten() {
            write_keep(&mut writer, keep);
        }
        if let Some(hash) = self.custom_id {
            writer.fixed(&hash);
        }
        if let Some(dedup) = &self.dedup {
            write_dedup(&mut writer, dedup);
        }
        if let Some((queue, job)) = self.parent {
            writer.number(queue.0);
            writer.number(job);
        }
        writer.byte(policy_byte(self.on_failure));
        if let Some((unfinished, all)) = self.children {
            writer.number(unfinished);
            writer.number(all);
        }
        writer
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let flags = reader.number()?;
        let mut spec = Spec::default();
        if flags & HAS_RETRY != 0 {
            spec.retry = Some(read_retry(&mut reader)?);
        }
        if flags & HAS_TIMEOUT != 0 {
            spec.timeout_ms = Some(reader.number()?);
        }
        if flags & HAS_KEEP_COMPLETED != 0 {
            spec.keep_completed = Some(read_keep(&mut reader)?);
        }
        if flags & HAS_KEEP_FAILED != 0 {
            spec.keep_failed = Some(read_keep(&mut reader)?);
        }
        if flags & HAS_CUSTOM_ID != 0 {
            spec.custom_id = Some(reader.fixed()?);
        }
        if flags & HAS_DEDUP != 0 {
            spec.dedup = Some(read_dedup(&mut reader)?);
        }
        if flags & HAS_PARENT != 0 {
            spec.parent = Some((QueueId(reader.number()?), reader.number()?));
        }
        spec.on_failure = read_policy(reader.byte()?).ok_or_else(|| reader.damaged())?;
        if flags & HAS_CHILDREN != 0 {
            spec.children = Some((reader.number()?, reader.number()?));
        }
        spec.child_failed = flags & CHILD_FAILED != 0;
        reader.end()?;
        Ok(spec)
    }
}

pub(crate) fn policy_byte(policy: OnChildFailure) -> u8 {
    match policy {
        OnChildFailure::Wait => 0,
        OnChildFailure::Fail => 1,
        OnChildFailure::Ignore => 2,
        OnChildFailure::Remove => 3,
        OnChildFailure::Continue => 4,
    }
}

pub(crate) fn read_policy(byte: u8) -> Option<OnChildFailure> {
    let policies = [
        OnChildFailure::Wait,
        OnChildFailure::Fail,
        OnChildFailure::Ignore,
        OnChildFailure::Remove,
        OnChildFailure::Continue,
    ];
    policies.into_iter().find(|&policy| policy_byte(policy) == byte)
}

pub(crate) fn write_keep(writer: &mut Writer, keep: Keep) {
    writer.number(keep.age_ms);
    writer.number(keep.count);
}

pub(crate) fn read_keep(reader: &mut Reader<'_>) -> Result<Keep, Unreadable> {
    Ok(Keep { age_ms: reader.number()?, count: reader.number()? })
}

pub(crate) fn write_retry(writer: &mut Writer, retry: &Retry) {
    let Retry { attempts_max, backoff, jitter_permille, cap_ms } = retry;
    writer.number(u64::from(*attempts_max));
    writer.number(u64::from(*jitter_permille));
    writer.number(*cap_ms);
    match backoff {
        Backoff::Fixed { delay_ms } => {
            writer.byte(0);
            writer.number(*delay_ms);
        }
        Backoff::Exponential { delay_ms } => {
            writer.byte(1);
            writer.number(*delay_ms);
        }
        Backoff::List { delays_ms } => {
            writer.byte(2);
            writer.number(delays_ms.len() as u64);
            for &delay_ms in delays_ms {
                writer.number(delay_ms);
            }
        }
    }
}

pub(crate) fn read_retry(reader: &mut Reader<'_>) -> Result<Retry, Unreadable> {
    let (attempts_max, jitter_permille, cap_ms) = (reader.small()?, reader.small()?, reader.number()?);
    let backoff = match reader.byte()? {
        0 => Backoff::Fixed { delay_ms: reader.number()? },
        1 => Backoff::Exponential { delay_ms: reader.number()? },
        2 => {
            let mut delays_ms = Vec::new();
            for _ in 0..reader.number()? {
                delays_ms.push(reader.number()?);
            }
            Backoff::List { delays_ms }
        }
        _ => return Err(reader.damaged()),
    };
    Ok(Retry { attempts_max, backoff, jitter_permille, cap_ms })
}

fn write_dedup(writer: &mut Writer, dedup: &JobDedup) {
    let JobDedup { hash, ttl_ms, extend, replace, reschedule, keep_last_if_active } = *dedup;
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    writer.byte(
        flag(DEDUP_TTL, ttl_ms.is_some())
            | flag(DEDUP_EXTEND, extend)
            | flag(DEDUP_REPLACE, replace)
            | flag(DEDUP_RESCHEDULE, reschedule)
            | flag(DEDUP_KEEP_LAST, keep_last_if_active),
    );
    writer.fixed(&hash);
    if let Some(ttl_ms) = ttl_ms {
        writer.number(ttl_ms);
    }
}

fn read_dedup(reader: &mut Reader<'_>) -> Result<JobDedup, Unreadable> {
    let flags = reader.byte()?;
    Ok(JobDedup {
        hash: reader.fixed()?,
        ttl_ms: if flags & DEDUP_TTL == 0 { None } else { Some(reader.number()?) },
        extend: flags & DEDUP_EXTEND != 0,
        replace: flags & DEDUP_REPLACE != 0,
        reschedule: flags & DEDUP_RESCHEDULE != 0,
        keep_last_if_active: flags & DEDUP_KEEP_LAST != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_were_written() {
        let retry = Retry { backoff: Backoff::List { delays_ms: vec![1, 70_000] }, ..Retry::default() };
        let dedup = JobDedup {
            hash: [1; 16],
            ttl_ms: Some(5),
            extend: true,
            replace: false,
            reschedule: true,
            keep_last_if_active: true,
        };
        let full = Spec {
            custom_id: Some([2; 16]),
            retry: Some(retry),
            timeout_ms: Some(3),
            keep_completed: Some(Keep::ALL),
            keep_failed: Some(Keep::NONE),
            dedup: Some(dedup),
            parent: Some((QueueId(4), 5)),
            on_failure: OnChildFailure::Continue,
            children: Some((1, 2)),
            child_failed: true,
        };
        for spec in [Spec::default(), full] {
            assert_eq!(Spec::read(spec.write().finish()).as_ref(), Ok(&spec));
        }
    }
}
