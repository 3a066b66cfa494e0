//! What those do whose jobs wait for others.

use smallvec::SmallVec;
use weir_core::api::job::{Added, JobChange, JobOptions, JobRef, NewJob, OnChildFailure, Parent, Settlement};
use weir_core::api::{Command, Handle, QueueId};

use super::{Clients, KnownQueue};
use crate::profile::Profile;
use crate::rng::Rng;

/// What they know.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlowClients {
    /// Jobs that were added as parents or got children.
    parents: Vec<(QueueId, u64)>,
    /// Jobs that were added as children.
    children: Vec<(QueueId, u64)>,
    /// Jobs that got children when they were there already: once, so that few things are open of one parent.
    grown: Vec<u64>,
    /// Leases of jobs to which children may have been added.
    waiting: Vec<(QueueId, Handle)>,
}

impl Clients {
    /// The next command about flows.
    pub(super) fn draw_flow(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
        let parent = rng.pick(&self.flows.parents).copied();
        match (rng.below(20), parent) {
            (0..=4, _) | (_, None) => self.add_tree(rng, profile, queue),
            (5..=7, _) => self.add_late(rng, profile, queue),
            (8..=10, _) => self.wait(rng, queue),
            (11..=14, Some((queue, job))) => Command::JobChildren {
                queue,
                job: JobRef::Id(job),
                after: rng.chance(1, 4).then(|| (queue, job + rng.below(4))),
                max: *rng.pick(&[1, 2, 100, 100]).unwrap_or(&100),
            },
            (15..=16, Some((queue, job))) => Command::Explain { queue, job: JobRef::Id(job) },
            (17, Some((queue, job))) => Command::DescribeJob { queue, job: JobRef::Id(job), wait_ms: 0 },
            (18, _) => self.read_log(rng, queue),
            (_, Some((queue, job))) => {
                let change = rng.pick(&[
                    JobChange::Remove,
                    JobChange::RemoveAlone,
                    JobChange::Cancel,
                    JobChange::Retry { reset: true, reset_starts: false },
                    JobChange::LeaveParent,
                    JobChange::LeaveParent,
                ]);
                let change = change.cloned().unwrap_or(JobChange::Promote);
                let child = rng.pick(&self.flows.children).filter(|_| change == JobChange::LeaveParent);
                let (queue, job) = child.copied().unwrap_or((queue, job));
                Command::ChangeJobs { queue, jobs: vec![JobRef::Id(job)], change }
            }
        }
    }

    /// The log of a job that was worked on.
    fn read_log(&self, rng: &mut Rng, queue: &KnownQueue) -> Command {
        match rng.pick(&self.jobs.handles) {
            Some(&(queue, handle)) => Command::JobLogs { queue, job: JobRef::Id(handle.message), from: 0, max: 4 },
            None => Command::QueueStats { queue: queue.id },
        }
    }

    /// A tree of jobs over several queues, by one command.
    fn add_tree(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
        let mut jobs = vec![self.member(rng, profile, queue, None)];
        for at in 0..rng.between(1, 3) {
            let parent = if rng.chance(2, 3) { 0 } else { rng.below(at + 1) };
            jobs.push(self.member(rng, profile, queue, Some(Parent::Added(parent as u32))));
        }
        Command::AddJobs { jobs, idempotency: None }
    }

    /// Children for a job that waits, or is being worked on.
    fn add_late(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
        let recent = self.jobs.handles.len().saturating_sub(6);
        let held = rng.pick(self.jobs.handles.get(recent..).unwrap_or_default()).copied();
        let held = held.filter(|_| rng.chance(5, 6));
        let known = rng.pick(&self.flows.parents).copied();
        let Some((of, job)) = held.map(|(queue, handle)| (queue, handle.message)).or(known) else {
            return Command::QueueStats { queue: queue.id };
        };
        if self.flows.grown.contains(&job) {
            return Command::JobChildren { queue: of, job: JobRef::Id(job), after: None, max: 100 };
        }
        self.flows.grown.push(job);
        self.flows.waiting.extend(held);
        let parent = Parent::Existing { queue: of, job: JobRef::Id(job) };
        let jobs = (0..rng.between(1, 2)).map(|_| self.member(rng, profile, queue, Some(parent)));
        Command::AddJobs { jobs: jobs.collect(), idempotency: None }
    }

    fn member(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue, parent: Option<Parent>) -> NewJob {
        let other = if rng.chance(1, 3) { rng.pick(&self.jobs.queues).cloned() } else { None };
        let queue = other.as_ref().unwrap_or(queue);
        let mut message = self.job_message(rng, profile, queue);
        let policies = [
            OnChildFailure::Wait,
            OnChildFailure::Fail,
            OnChildFailure::Ignore,
            OnChildFailure::Remove,
            OnChildFailure::Continue,
        ];
        let options = message.options.get_or_insert_with(Box::default);
        // Few wait, so that trees come to their ends.
        if rng.chance(2, 3) {
            message.delay_ms = Some(0);
            **options = JobOptions { retry: options.retry.take(), ..JobOptions::default() };
        }
        options.parent = parent;
        options.on_failure = *rng.pick(&policies).unwrap_or(&OnChildFailure::Wait);
        NewJob { queue: queue.id, version: queue.version, message }
    }

    /// Who works on a job has it wait for its children.
    fn wait(&mut self, rng: &mut Rng, queue: &KnownQueue) -> Command {
        let of = if rng.chance(3, 4) { self.flows.waiting.pop() } else { rng.pick(&self.jobs.handles).copied() };
        let Some((queue, handle)) = of else { return Command::QueueStats { queue: queue.id } };
        Command::Settle { queue, entries: SmallVec::from_elem((handle, Settlement::WaitForChildren), 1), seed: 0 }
    }

    /// Jobs were added: some of them wait for others.
    pub(crate) fn learn_flow(&mut self, jobs: &[NewJob], added: &[Added]) {
        let parents = jobs.iter().filter_map(|job| match job.message.options.as_ref()?.parent? {
            Parent::Added(at) => added.get(at as usize).map(|added| (added.queue, added.id)),
            Parent::Existing { queue, job: JobRef::Id(id) } => Some((queue, id)),
            Parent::Existing { .. } => None,
        });
        self.flows.parents.extend(parents);
        self.flows.parents.dedup();
        let excess = self.flows.parents.len().saturating_sub(8);
        self.flows.parents.drain(..excess);
        let is_child = |job: &NewJob| job.message.options.as_ref().is_some_and(|options| options.parent.is_some());
        let children = jobs.iter().zip(added).filter(|(job, _)| is_child(job));
        self.flows.children.extend(children.map(|(_, added)| (added.queue, added.id)));
        let excess = self.flows.children.len().saturating_sub(8);
        self.flows.children.drain(..excess);
    }
}
