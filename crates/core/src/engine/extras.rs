//! What belongs to a job beside its payload: progress, result, log, and what became of its attempts. Rows of their own,
//! which the head counts, so that nothing has to be looked for when the job goes.

use crate::api::Namespace;
use crate::api::job::{FAILURES_KEPT, FailureKind, LOGS_KEPT};
use crate::codec::{Reader, Unreadable, Writer};
use crate::head::{Extras, failure_byte, read_failure};
use crate::keys::extra as key;
use crate::keys::extra::{ATTEMPT, FAILURE, LOG, PROGRESS, RESULT};
use crate::kv::State;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "an attempt of a job";

/// The rows of one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) namespace: Namespace,
    pub(super) job: u64,
}

/// What is known of an attempt that failed, beside what its worker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) grant: u32,
    pub(super) kind: FailureKind,
    pub(super) at: Time,
    /// Whether there is a row of what its worker said.
    pub(super) is_explained: bool,
}

impl Rows {
    pub(super) fn set_progress<S: State>(self, state: &mut S, extras: &mut Extras, progress: &[u8]) {
        if extras.progress {
            state.delete(&key(self.namespace, self.job, PROGRESS, 0));
        }
        state.insert_bulk(&key(self.namespace, self.job, PROGRESS, 0), &[progress]);
        extras.progress = true;
    }

    pub(super) fn set_result<S: State>(self, state: &mut S, extras: &mut Extras, result: Option<&[u8]>) {
        if extras.result {
            state.delete(&key(self.namespace, self.job, RESULT, 0));
        }
        if let Some(result) = result {
            state.insert_bulk(&key(self.namespace, self.job, RESULT, 0), &[result]);
        }
        extras.result = result.is_some();
    }

    /// Adds lines to the log; of more than are kept the oldest go.
    pub(super) fn add_logs<S: State>(self, state: &mut S, extras: &mut Extras, lines: &[Vec<u8>]) {
        for line in lines {
            state.insert_bulk(&key(self.namespace, self.job, LOG, extras.logs_next), &[line]);
            extras.logs_next += 1;
            if extras.logs_next - extras.logs_from > LOGS_KEPT {
                state.delete(&key(self.namespace, self.job, LOG, extras.logs_from));
                extras.logs_from += 1;
            }
        }
    }

    /// Removes all lines of the log but the newest.
    pub(super) fn trim_logs<S: State>(self, state: &mut S, extras: &mut Extras, max: u64) {
        let first = extras.logs_next.saturating_sub(max).max(extras.logs_from);
        for number in extras.logs_from..first {
            state.delete(&key(self.namespace, self.job, LOG, number));
        }
        extras.logs_from = first;
    }

    /// Adds an attempt to the history; of more than are kept the oldest goes.
    pub(super) fn add_failed<S: State>(
        self,
        state: &mut S,
        extras: &mut Extras,
        (grant, kind, at): (u32, FailureKind, Time),
        said: Option<&[u8]>,
    ) {
        let number = extras.failures;
        let failed = Failed { grant, kind, at, is_explained: said.is_some() };
        state.insert(&key(self.namespace, self.job, ATTEMPT, number), failed.write().finish());
        if let Some(said) = said {
            state.insert_bulk(&key(self.namespace, self.job, FAILURE, number), &[said]);
        }
        extras.failures += 1;
        if let Some(oldest) = number.checked_sub(FAILURES_KEPT as u64) {
            self.remove_failed(state, oldest);
        }
    }

    fn remove_failed<S: State>(self, state: &mut S, number: u64) {
        for which in [ATTEMPT, FAILURE] {
            state.delete(&key(self.namespace, self.job, which, number));
        }
    }

    /// Removes all of them.
    pub(super) fn remove<S: State>(self, state: &mut S, extras: &Extras) {
        if extras.progress {
            state.delete(&key(self.namespace, self.job, PROGRESS, 0));
        }
        if extras.result {
            state.delete(&key(self.namespace, self.job, RESULT, 0));
        }
        for number in failures_kept(extras) {
            self.remove_failed(state, number);
        }
        for number in extras.logs_from..extras.logs_next {
            state.delete(&key(self.namespace, self.job, LOG, number));
        }
    }
}

/// Numbers of the attempts of the history that are kept.
pub(super) fn failures_kept(extras: &Extras) -> std::ops::Range<u64> {
    extras.failures.saturating_sub(FAILURES_KEPT as u64)..extras.failures
}

impl Failed {
    fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(u64::from(self.grant));
        writer.byte(failure_byte(self.kind));
        writer.time(self.at);
        writer.byte(u8::from(self.is_explained));
        writer
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let grant = reader.small()?;
        let kind = read_failure(reader.byte()?).ok_or_else(|| reader.damaged())?;
        let failed = Failed { grant, kind, at: reader.time()?, is_explained: reader.byte()? != 0 };
        reader.end()?;
        Ok(failed)
    }
}
