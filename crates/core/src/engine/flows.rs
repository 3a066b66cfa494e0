//! Flows: jobs that wait for others. Parents are added before their children, all by one command, or are there already.

use std::collections::{BTreeMap, BTreeSet};

use super::children::ChildRecord;
use super::send::within;
use super::{Engine, Stop, prepare_each};
use crate::api::job::{Added, CHILDREN_MAX, JobRef, NewJob, Parent};
use crate::api::{Error, QueueId};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::{State, View};

/// What a job that is added is to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// The job that waits for it.
    pub(super) parent: Option<(QueueId, u64)>,
    /// Whether it waits for others.
    pub(super) is_parent: bool,
}

/// The parents among the jobs of a command, and those that are there already.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Places of the parents among the jobs.
    places: BTreeSet<usize>,
    /// Who they are, once they are added; none for one that waits for nobody any more.
    added: BTreeMap<usize, Option<(QueueId, u64)>>,
    existing: BTreeMap<(QueueId, JobRef), (QueueId, u64)>,
    /// How many children each got.
    children: BTreeMap<(QueueId, u64), u64>,
}

impl Flow {
    /// What the job at a place is to the others.
    pub(super) fn membership(&self, at: usize, job: &NewJob) -> Membership {
        let parent = match parent_of(job) {
            Some(Parent::Added(at)) => self.added.get(&(at as usize)).copied().flatten(),
            Some(Parent::Existing { queue, job }) => self.existing.get(&(queue, job)).copied(),
            None => None,
        };
        Membership { parent, is_parent: self.places.contains(&at) }
    }
}

impl Engine {
    /// Looks at the parents that a command names, and reads all that giving them children reads.
    pub(super) fn prepare_flow<S: View>(&self, state: &S, jobs: &[NewJob]) -> Result<Result<Flow, Error>, Stop> {
        let mut flow = Flow::default();
        let mut counts = BTreeMap::<(QueueId, JobRef), u64>::new();
        for (at, job) in jobs.iter().enumerate() {
            match parent_of(job) {
                Some(Parent::Added(parent)) if (parent as usize) < at => {
                    flow.places.insert(parent as usize);
                }
                Some(Parent::Added(_)) => {
                    return Ok(Err(Error::Invalid { field: "parent", reason: "a parent comes before its children" }));
                }
                Some(Parent::Existing { queue, job }) => *counts.entry((queue, job)).or_default() += 1,
                None => {}
            }
        }
        let namespace = jobs.first().and_then(|job| self.queues.get(&job.queue)).map(|queue| queue.space.namespace);
        let mut refused = None;
        prepare_each(counts.into_iter(), |(name, count)| {
            match self.find_parent(state, name, count, namespace)? {
                Ok(id) => {
                    flow.existing.insert(name, (name.0, id));
                }
                Err(error) => refused = refused.take().or(Some(error)),
            }
            Ok(())
        })?;
        // A parent may be kept away by one that is there: its children are that one's, if it still waits for any.
        prepare_each(flow.places.iter(), |&at| {
            let Some(job) = jobs.get(at) else { return Ok(()) };
            let Some(queue) = self.queues.get(&job.queue) else { return Ok(()) };
            let named = self.known_already(state, queue, &job.message)?.map(|known| known.id);
            let dedup = job.message.options.as_ref().and_then(|options| options.dedup);
            let same = match &dedup {
                Some(dedup) => self.find_duplicate(state, queue, dedup)?.map(|duplicate| duplicate.of()),
                None => None,
            };
            for id in [named, same].into_iter().flatten() {
                self.prepare_message(state, queue.space, id, 0)?;
            }
            Ok(())
        })?;
        Ok(refused.map_or(Ok(flow), Err))
    }

    /// A job that is there and can get so many more children.
    fn find_parent<S: View>(
        &self,
        state: &S,
        (id, job): (QueueId, JobRef),
        count: u64,
        namespace: Option<crate::api::Namespace>,
    ) -> Result<Result<u64, Error>, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) if Some(queue.space.namespace) == namespace => queue,
            Ok(_) => {
                let reason = "a parent belongs to the namespace of its children";
                return Ok(Err(Error::Invalid { field: "parent", reason }));
            }
            Err(error) => return Ok(Err(error)),
        };
        let Some((job, head)) = self.find_job(state, queue, job)? else { return Ok(Err(Error::JobNotFound)) };
        self.prepare_message(state, queue.space, job, 0)?;
        if !takes_children(&head) {
            return Ok(Err(Error::JobState { state: head.state.of_job() }));
        }
        let spec = self.spec_of(state, id, job, &head)?;
        let all = spec.and_then(|spec| spec.children).map_or(0, |(_, all)| all);
        Ok(within("children of a job", CHILDREN_MAX, all.saturating_add(count)).map(|()| job))
    }

    /// A job of the command was added, or one was found in its place.
    pub(super) fn join_flow<S: State>(
        &mut self,
        state: &mut S,
        flow: &mut Flow,
        at: usize,
        job: &NewJob,
        added: &Added,
    ) -> Result<(), Stop> {
        if let (false, Some(parent)) = (added.duplicate, flow.membership(at, job).parent) {
            self.add_child(state, flow, parent, added);
        }
        if flow.places.contains(&at) {
            let takes = !added.duplicate || self.head_of(state, added)?.is_some_and(|head| takes_children(&head));
            flow.added.insert(at, takes.then_some((added.queue, added.id)));
            if !added.duplicate {
                flow.children.entry((added.queue, added.id)).or_default();
            }
        }
        Ok(())
    }

    /// A job that was just added is the child of another.
    fn add_child<S: State>(&mut self, state: &mut S, flow: &mut Flow, parent: (QueueId, u64), child: &Added) {
        let Some(queue) = self.queues.get(&child.queue) else { return };
        let record = ChildRecord::new(child.queue);
        state.insert(&keys::child(queue.space.namespace, parent.1, child.id), record.write().finish());
        *flow.children.entry(parent).or_default() += 1;
    }

    /// All are added: each parent knows how many it waits for. One that got none, since all were there already, runs.
    pub(super) fn end_flow<S: State>(&mut self, state: &mut S, flow: Flow) -> Result<(), Stop> {
        for ((queue, id), count) in flow.children {
            let Some(head) = self.head_of(state, &Added { queue, id, duplicate: false })? else { continue };
            let mut spec = self.spec_of(state, queue, id, &head)?.unwrap_or_default();
            let (unfinished, all) = spec.children.unwrap_or_default();
            spec.children = Some((unfinished + count, all + count));
            let Some(space) = self.queues.get(&queue).map(|queue| queue.space) else { continue };
            state.put(&space.spec(id), spec.write().finish());
            let known = Head { has_spec: true, has_children: true, ..head.clone() };
            if unfinished + count == 0 && head.state == Standing::Waiting {
                let after = self.awake(&known);
                self.restand(state, queue, id, &head, &after)?;
                self.waits_now(queue, id, &after);
            } else if known != head {
                state.put(&space.message(id), known.write().finish());
            }
        }
        Ok(())
    }

    fn head_of<S: View>(&self, state: &S, job: &Added) -> Result<Option<Head>, Stop> {
        let Some(queue) = self.queues.get(&job.queue) else { return Ok(None) };
        Ok(state.get(&queue.space.message(job.id), 0)?.map(Head::read).transpose()?)
    }
}

fn parent_of(job: &NewJob) -> Option<Parent> {
    job.message.options.as_ref().and_then(|options| options.parent)
}

/// Whether a job can get children: it waits for some, or somebody works on it, who can have it wait.
fn takes_children(head: &Head) -> bool {
    matches!(head.state, Standing::Waiting | Standing::Leased)
}
