//! Waiting for the end of a job: who asked is told when it is completed, has failed for good, or is removed, and how it
//! stands when the time is over.
//!
//! A job that is kept is described as it stands once its command is carried out, history and all. Of one that is gone
//! there is no row any more: it is told by what was at hand, result or failure included.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::describe::known;
use super::finish::End;
use super::{Engine, Stop};
use crate::api::job::{Attempt, Extra, Job, JobRef, JobState};
use crate::api::{Error, Output, QueueId, Reply, Token};
use crate::head::Head;
use crate::kv::State;
use crate::spec::Spec;
use crate::time::Time;

/// Jobs whose end somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    waits: BTreeMap<Token, Wait>,
    by_job: FxHashMap<u64, SmallVec<[Token; 1]>>,
    ends: BTreeSet<(Time, Token)>,
    /// Jobs that have ended, and what is known of them without reading.
    ended: Vec<Job>,
    /// Whether answers wait for rows to be loaded.
    pub(super) stalled: bool,
}

#[derive(Debug)]
struct Wait {
    until: Time,
    /// The job as it stood when it was asked for.
    job: Box<Job>,
}

impl Awaited {
    /// When the first wait is over.
    pub(super) fn next(&self) -> Time {
        if self.stalled { Time::NEVER } else { self.ends.first().map_or(Time::NEVER, |&(at, _)| at) }
    }

    fn insert(&mut self, token: Token, wait: Wait) {
        self.ends.insert((wait.until, token));
        self.by_job.entry(wait.job.id).or_default().push(token);
        self.waits.insert(token, wait);
    }

    fn remove(&mut self, token: Token) -> Option<Wait> {
        let wait = self.waits.remove(&token)?;
        self.ends.remove(&(wait.until, token));
        if let Some(tokens) = self.by_job.get_mut(&wait.job.id) {
            tokens.retain(|other| *other != token);
            if tokens.is_empty() {
                self.by_job.remove(&wait.job.id);
            }
        }
        Some(wait)
    }

    /// Answers all who wait for a job.
    fn answer(&mut self, job: &Job, out: &mut Output) {
        for token in self.by_job.get(&job.id).cloned().unwrap_or_default() {
            self.remove(token);
            out.replies.push((token, Ok(Reply::Job(Box::new(job.clone())))));
        }
    }

    /// Those who wait for jobs of a queue.
    fn of(&self, queue: QueueId) -> Vec<Token> {
        self.waits.iter().filter(|(_, wait)| wait.job.queue == queue).map(|(token, _)| *token).collect()
    }
}

impl Engine {
    pub(super) fn describe_job<S: State>(
        &mut self,
        state: &mut S,
        token: Token,
        id: QueueId,
        job: JobRef,
        wait_ms: u64,
        out: &mut Output,
    ) -> Result<(), Stop> {
        let found = match self.queue(id) {
            Ok(queue) => self.resolve(state, queue, job)?,
            Err(error) => {
                out.replies.push((token, Err(error)));
                return Ok(());
            }
        };
        let found = match found {
            Some(job) => self.describe(state, id, job)?,
            None => None,
        };
        let Some(job) = found.map(Box::new) else {
            out.replies.push((token, Err(Error::JobNotFound)));
            return Ok(());
        };
        if is_finished(&job) || wait_ms == 0 || self.waits_ended {
            out.replies.push((token, Ok(Reply::Job(job))));
        } else {
            let until = self.now.after(Duration::from_millis(wait_ms));
            self.awaited.insert(token, Wait { until, job });
        }
        Ok(())
    }

    /// A job has ended, or is not in this queue any more: `head` is how it stood before.
    pub(super) fn ended(&mut self, id: QueueId, job: u64, head: &Head, spec: Option<&Spec>, end: Option<End<'_>>) {
        if let Some(end) = end {
            self.count_end(id, end);
        }
        if !self.awaited.by_job.contains_key(&job) {
            return;
        }
        let Some(queue) = self.queues.get(&id) else { return };
        let mut told = Job { due: None, finished_at: Some(self.now), ..known(queue, job, head, spec) };
        told.state = match end {
            Some(End::Completed(result)) => {
                told.result = result.map(|result| Extra::Inline(result.to_vec()));
                JobState::Completed
            }
            Some(End::Failed(kind, said)) => {
                let failure = said.map(|said| Extra::Inline(said.to_vec()));
                told.failed = Some(kind);
                told.history.push(Attempt { grant: head.grants, kind, at: self.now, failure });
                JobState::Failed
            }
            None => JobState::Removed,
        };
        self.awaited.ended.push(told);
    }

    /// All jobs of a queue were removed at once.
    pub(super) fn all_ended(&mut self, id: QueueId) {
        for token in self.awaited.of(id) {
            if let Some(wait) = self.awaited.waits.get(&token) {
                self.awaited.ended.push(removed((*wait.job).clone()));
            }
        }
    }

    /// Those who wait for jobs of a queue that is deleted.
    pub(super) fn refuse_awaiting(&mut self, id: QueueId, out: &mut Output) {
        for token in self.awaited.of(id) {
            self.awaited.remove(token);
            out.replies.push((token, Err(Error::QueueNotFound)));
        }
    }

    /// Answers those whose jobs have ended, after all that the command did.
    pub(super) fn answer_ended<S: State>(&mut self, state: &S, out: &mut Output) -> Result<(), Stop> {
        if self.awaited.stalled {
            return Ok(());
        }
        for told in std::mem::take(&mut self.awaited.ended) {
            let stored =
                if told.state == JobState::Removed { Ok(None) } else { self.describe(state, told.queue, told.id) };
            match stored {
                // One that was tried again at once has ended all the same.
                Ok(stored) => {
                    let job = stored.filter(is_finished).unwrap_or(told);
                    self.awaited.answer(&job, out);
                }
                Err(Stop::Need(needs)) => {
                    self.awaited.stalled = true;
                    self.awaited.ended.push(told);
                    out.needs.extend(needs);
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// Answers those whose time is over with how their jobs stand.
    pub(super) fn end_awaits<S: State>(&mut self, state: &S, out: &mut Output) -> Result<(), Stop> {
        while let Some(&(at, token)) = self.awaited.ends.first().filter(|_| !self.awaited.stalled) {
            if at > self.now {
                return Ok(());
            }
            match self.end_await(state, token, out) {
                Err(Stop::Need(needs)) => {
                    self.awaited.stalled = true;
                    out.needs.extend(needs);
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Answers one who waits for a job with how it stands now.
    pub(super) fn end_await<S: State>(&mut self, state: &S, token: Token, out: &mut Output) -> Result<(), Stop> {
        let Some(wait) = self.awaited.waits.get(&token) else { return Ok(()) };
        let now = self.describe(state, wait.job.queue, wait.job.id)?;
        if let Some(wait) = self.awaited.remove(token) {
            let job = now.unwrap_or_else(|| removed(*wait.job));
            out.replies.push((token, Ok(Reply::Job(Box::new(job)))));
        }
        Ok(())
    }

    /// Answers all who wait, with what was known when they asked.
    pub(super) fn end_all_awaits(&mut self, out: &mut Output) {
        // Of one that has ended meanwhile nothing may be stored any more.
        for told in std::mem::take(&mut self.awaited.ended) {
            self.awaited.answer(&told, out);
        }
        while let Some((&token, _)) = self.awaited.waits.first_key_value() {
            if let Some(wait) = self.awaited.remove(token) {
                // What was stored then may have been replaced by now.
                let job = Job { result: None, history: Vec::new(), ..*wait.job };
                out.replies.push((token, Ok(Reply::Job(Box::new(job)))));
            }
        }
    }
}

fn is_finished(job: &Job) -> bool {
    matches!(job.state, JobState::Completed | JobState::Failed)
}

/// A job of which there is nothing any more.
fn removed(job: Job) -> Job {
    Job { state: JobState::Removed, due: None, body: None, progress: None, result: None, history: Vec::new(), ..job }
}
