//! Adding jobs: all of a command's or none, to one queue or several.

use std::time::Duration;

use super::flows::Membership;
use super::send::{Known, within};
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::job::{Added, JobOptions, NewJob};
use crate::api::{ADD_MAX, Error, Kind, Namespace, NewMessage, Reply};
use crate::kv::{State, View};
use crate::queue::QueueState;
use crate::{retry, time::Time};

impl Engine {
    pub(super) fn add_jobs<S: State>(
        &mut self,
        state: &mut S,
        jobs: &[NewJob],
        idempotency: Option<[u8; 16]>,
    ) -> Result<Answer, Stop> {
        if let Err(error) = within("jobs of a command", ADD_MAX as u64, jobs.len() as u64) {
            return Ok(Err(error));
        }
        let namespace = match self.namespace_of(jobs) {
            Ok(namespace) => namespace,
            Err(error) => return Ok(Err(error)),
        };
        if let (Some(namespace), Some(hash)) = (namespace, idempotency)
            && let Some(answer) = self.answered(state, namespace, hash)?
        {
            return Ok(Ok(Reply::Added(answer)));
        }
        if let Err(error) = jobs.iter().try_for_each(|job| self.check_new(job)) {
            return Ok(Err(error));
        }
        let mut flow = match self.prepare_flow(state, jobs)? {
            Ok(flow) => flow,
            Err(error) => return Ok(Err(error)),
        };
        prepare_each(jobs.iter(), |job| match self.queues.get(&job.queue) {
            Some(queue) => self.prepare_new(state, queue, &job.message),
            None => Ok(()),
        })?;
        self.prepare_duplicates(state, &jobs.iter().map(|job| (job.queue, &job.message)))?;
        let mut added = Vec::with_capacity(jobs.len());
        for (at, job) in jobs.iter().enumerate() {
            match self.add_job(state, job, flow.membership(at, job))? {
                Ok(one) => {
                    self.join_flow(state, &mut flow, at, job, &one)?;
                    added.push(one);
                }
                Err(error) => unreachable!("a job that was checked before is refused: {error}"),
            }
        }
        self.end_flow(state, flow)?;
        if let (Some(namespace), Some(hash)) = (namespace, idempotency) {
            self.remember_answer(state, namespace, hash, &added);
        }
        Ok(Ok(Reply::Added(added)))
    }

    fn add_job<S: State>(
        &mut self,
        state: &mut S,
        job: &NewJob,
        membership: Membership,
    ) -> Result<Result<Added, Error>, Stop> {
        let sent = self.send_one(state, job.queue, &job.message, membership)?;
        Ok(sent.map(|sent| Added { queue: job.queue, id: sent.id, duplicate: sent.duplicate }))
    }

    /// The namespace of all the jobs: what is done at once, is done in one.
    fn namespace_of(&self, jobs: &[NewJob]) -> Result<Option<Namespace>, Error> {
        let mut namespace = None;
        for job in jobs {
            let own = self.queue(job.queue)?.space.namespace;
            if *namespace.get_or_insert(own) != own {
                let reason = "the jobs of a command belong to one namespace";
                return Err(Error::Invalid { field: "queue", reason });
            }
        }
        Ok(namespace)
    }

    /// Refuses a job that makes no sense, before any other is added.
    fn check_new(&self, job: &NewJob) -> Result<(), Error> {
        let queue = self.queue(job.queue)?;
        if queue.public.version != job.version {
            return Err(Error::Stale { version: queue.public.version });
        }
        if queue.public.kind == Kind::Fifo && job.message.lane.is_none() {
            return Err(Error::LaneRequired);
        }
        self.check_delay(queue, &job.message)?;
        job.message.options.as_ref().map_or(Ok(()), |options| check_options(queue, options))
    }

    /// A job that would be kept for less long than it is delayed would be gone before anybody saw it.
    fn check_delay(&self, queue: &QueueState, message: &NewMessage) -> Result<(), Error> {
        let due = due(queue, message, self.now);
        let delay_ms = due.since(self.now).as_millis();
        let retention_ms = queue.config().retention_ms;
        within("milliseconds of delay, within the queue's retention", retention_ms, delay_ms as u64)
    }

    /// Reads all that adding a message reads.
    pub(super) fn prepare_new<S: View>(&self, state: &S, queue: &QueueState, message: &NewMessage) -> Result<(), Stop> {
        let known = self.known_already(state, queue, message).map(|_| ());
        let dedup = self.prepare_dedup(state, queue, message);
        prepare_each([known, dedup, self.prepare_send(state, queue, message)].into_iter(), |prepared| prepared)
    }

    /// The job that keeps this one away, if there is one.
    pub(super) fn known_already<S: View>(
        &self,
        state: &S,
        queue: &QueueState,
        message: &NewMessage,
    ) -> Result<Option<Known>, Stop> {
        let Some(hash) = message.options.as_ref().and_then(|options| options.custom_id) else { return Ok(None) };
        let id = self.resolve(state, queue, crate::api::job::JobRef::Custom(hash))?;
        Ok(id.map(|id| Known { id }))
    }
}

/// Refuses options that make no sense on this queue.
pub(super) fn check_options(queue: &QueueState, options: &JobOptions) -> Result<(), Error> {
    if options.lifo && queue.public.kind == Kind::Fifo {
        return Err(Error::Invalid { field: "lifo", reason: "a FIFO queue keeps the order of its groups" });
    }
    if options.timeout_ms == Some(0) {
        return Err(Error::Invalid { field: "timeout_ms", reason: "an attempt takes a millisecond at least" });
    }
    if options.dedup.is_some_and(|dedup| dedup.ttl_ms == Some(0)) {
        return Err(Error::Invalid { field: "dedup.ttl_ms", reason: "it counts for a millisecond at least" });
    }
    options.retry.as_ref().map_or(Ok(()), retry::check)
}

/// When a message that is sent now becomes ready.
pub(super) fn due(queue: &QueueState, message: &NewMessage, now: Time) -> Time {
    if let Some(run_at) = message.options.as_ref().and_then(|options| options.run_at) {
        return run_at.max(now);
    }
    match message.delay_ms.unwrap_or(queue.config().delay_ms) {
        0 => now,
        delay_ms => now.after(Duration::from_millis(delay_ms)),
    }
}
