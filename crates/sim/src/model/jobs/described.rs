//! Jobs as they are told.

use weir_core::api::job::{self, Extra, JobRef, JobState};
use weir_core::api::{Error, QueueId, Reply};

use super::super::{Checked, Model, payload_of};
use super::{Job, JobQueue, Standing, State};

impl Model {
    pub(in crate::model) fn described(
        &mut self,
        id: QueueId,
        reference: JobRef,
        reply: &Result<Reply, Error>,
        waited: bool,
        at: u64,
    ) -> Checked {
        if let JobRef::Deduplicating(hash) = reference {
            return self.keeper_told(id, hash, reply, at);
        }
        let found = self.find_job(id, reference);
        let told = match reply {
            Err(Error::JobNotFound) => {
                let Some(found) = found else { return Ok(()) };
                return self.job(found)?.see("was not found", |standing| standing.is_gone_from(id));
            }
            // One of which nothing is kept is told by what was at hand.
            Ok(Reply::Job(told)) if waited && (told.state == JobState::Removed || told.body.is_none()) => {
                let Some(found) = found else { return Ok(()) };
                return self.job(found)?.see("was removed", |standing| standing.is_gone_from(id));
            }
            Ok(Reply::Job(told)) => told,
            reply => return Err(format!("asking for a job was answered with {reply:?}")),
        };
        let config = self.job_queue(id)?.config();
        let found = found.ok_or_else(|| format!("job {} is there and was not to be", told.id))?;
        let job = self.job(found)?;
        if (told.queue, told.id) != (id, found) {
            return Err(format!("job {} was told of in place of job {found}", told.id));
        }
        job.see_in(id)?;
        job.see(&format!("is told as {told:?}"), |standing| told_as(standing, told))?;
        // Under limiters its keys belong to its lane.
        let lane = if config.limiters.is_empty() && !job.has_moved() { told.lane } else { job.lane };
        if told.progress.is_some() != job.progress.is_some()
            || told.state == JobState::Completed && told.result.is_some() != job.result.is_some()
        {
            return Err(format!("job {} is told without its progress or its result: {told:?}", job.number));
        }
        if !job.was_sent(told.sent_at.0, at) {
            return Err(format!("job {} is told as sent at {}", job.number, told.sent_at));
        }
        let certain = (told.priority, told.lifo, lane, &told.retry, told.logs, told.logs_from);
        let expected = (
            job.place.priority(),
            job.place.is_lifo(),
            job.lane,
            JobQueue::retry(&config, job),
            job.logs.len() as u64,
            job.logs_from,
        );
        if certain != expected {
            return Err(format!("job {} is told as {told:?}, not {expected:?}", job.number));
        }
        Ok(())
    }

    /// The job that is meant, if it may be there.
    pub fn find_job(&self, queue: QueueId, reference: JobRef) -> Option<u64> {
        match reference {
            JobRef::Id(id) => self.jobs.all.get(&id).filter(|job| job.may_be_in(queue)).map(|_| id),
            JobRef::Custom(hash) => {
                let named = |job: &Job| job.queue == queue && job.options.custom_id == Some(hash);
                self.jobs.all.iter().rev().find(|(_, job)| named(job)).map(|(id, _)| *id)
            }
            // It is only asked for to be described.
            JobRef::Deduplicating(_) => None,
        }
    }

    /// What comes along with a job: its payload, progress, result and failures.
    pub fn job_payloads(&self, told: &job::Job) -> Vec<Vec<u8>> {
        let Some(job) = self.jobs.all.get(&told.id) else { return Vec::new() };
        let mut payloads = Vec::new();
        payloads.extend(told.body.is_some().then(|| payload_of(job.number, job.bytes as usize)));
        payloads.extend(job.progress.clone().filter(|_| told.progress.is_some()));
        let stored = |extra: &Option<Extra>| matches!(extra, Some(Extra::Stored(_)));
        if stored(&told.result) {
            payloads.push(job.result.clone().unwrap_or_default());
        }
        for attempt in told.history.iter().filter(|attempt| stored(&attempt.failure)) {
            payloads.push(job.failures.get(&attempt.grant).cloned().unwrap_or_default());
        }
        payloads
    }
}

/// Whether a job that stands so is told so.
fn told_as(standing: &Standing, told: &job::Job) -> bool {
    let state = match standing.state {
        State::Ready => told.state == JobState::Ready,
        State::Delayed => told.state == JobState::Delayed && told.due.is_some_and(|due| standing.due.includes(due.0)),
        State::Leased => told.state == JobState::Leased && told.due.is_some_and(|due| standing.due.includes(due.0)),
        State::Waiting => told.state == JobState::Waiting,
        State::Completed => told.state == JobState::Completed && told.failed.is_none(),
        State::Failed(kind) => told.state == JobState::Failed && told.failed == Some(kind),
        State::Removed | State::KeptBack => false,
    };
    let finished = !standing.is_finished() || told.finished_at.is_some_and(|at| standing.due.includes(at.0));
    let history = told.history.len() == standing.history.len()
        && told.history.iter().zip(&standing.history).all(|(told, kept)| (told.grant, told.kind) == *kept);
    state
        && finished
        && history
        && (standing.is_finished() || told.cancel_requested == standing.cancel)
        && (told.parent, told.children) == (standing.flow.parent, standing.flow.told_children())
        && (told.grants, told.failures, told.stalls) == (standing.receives, standing.failures, standing.stalls)
}
