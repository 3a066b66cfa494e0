//! What members of flows are to each other: who joins, who is told of whose end, who goes with whom.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::api::job::{Added, Child, JobRef, JobState, NewJob, OnChildFailure, Parent};
use weir_core::api::{Error, QueueId, Reply};

use super::super::{Checked, Model};
use super::flow::{How, Record, Visit};
use super::{Away, Job, Jobs, Span, Standing, State};

/// What is known of the members of flows beside the jobs themselves.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// Whether there ever was one.
    any: bool,
    /// The ends that those may have come to who are gone.
    gone: BTreeMap<u64, Vec<Vec<How>>>,
    /// What was last said at the end of each child.
    pub said: BTreeMap<u64, Vec<u8>>,
    /// When each end of each child, by its number, was first possible and first certain: in looks.
    order: BTreeMap<(u64, usize), Order>,
    /// How many looks there were.
    looks: u64,
    /// The last look at what time does.
    passed: u64,
    /// How many jobs went with their parents.
    pub went: u64,
    /// What cannot be.
    pub wrong: Option<String>,
}

/// When an end came.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// Not before this look.
    first: u64,
    /// By this look, beyond doubt.
    sure: Option<u64>,
}

/// A parent named by jobs of a command.
#[derive(Clone, Copy, Debug)]
struct Named {
    id: (QueueId, u64),
    /// Whether it was there already, found in place of one that was to be added.
    found: bool,
}

/// The parents among the jobs of a command.
#[derive(Debug, Default)]
pub(super) struct Joining {
    places: BTreeSet<usize>,
    parents: BTreeMap<usize, Named>,
}

impl Joining {
    pub(super) fn new(jobs: &[NewJob]) -> Self {
        let places = jobs.iter().filter_map(|job| match parent_of(job) {
            Some(Parent::Added(at)) => Some(at as usize),
            _ => None,
        });
        Self { places: places.collect(), parents: BTreeMap::new() }
    }
}

impl Model {
    /// Whether adding jobs can be refused so, because of the parents that they name.
    pub(super) fn parents_refused(&mut self, jobs: &[NewJob], error: &Error) -> Result<bool, String> {
        let named: BTreeSet<(QueueId, JobRef)> = jobs.iter().filter_map(existing_parent).collect();
        for (queue, job) in named {
            let found = self.find_job(queue, job);
            match (error, found) {
                (Error::QueueNotFound, _) if self.queue(queue).is_err() => return Ok(true),
                (Error::JobNotFound, None) => return Ok(true),
                (Error::JobNotFound, Some(found)) => {
                    self.job(found)?.see("was not found", |standing| standing.is_gone_from(queue))?;
                    return Ok(true);
                }
                (Error::JobState { state }, Some(found)) => {
                    let refused = |standing: &Standing| {
                        standing.queue == queue && standing.is_told(*state) && !standing.takes_children()
                    };
                    self.job(found)?.see(&format!("got no children, being {state:?}"), refused)?;
                    return Ok(true);
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// Jobs are about to be added to parents that are there.
    pub(super) fn parents_named(&mut self, jobs: &[NewJob]) -> Checked {
        for (queue, job) in jobs.iter().filter_map(existing_parent) {
            let found = self.find_job(queue, job).ok_or("a job that is gone got children")?;
            let takes = |standing: &Standing| standing.queue == queue && standing.takes_children();
            self.job(found)?.see("got children", takes)?;
        }
        Ok(())
    }

    /// A job of a command was added, or found: it joins those that it names.
    pub(super) fn joined(&mut self, joining: &mut Joining, at: usize, new: &NewJob, added: &Added) -> Checked {
        let parent = match parent_of(new) {
            Some(Parent::Added(at)) => joining.parents.get(&(at as usize)).copied(),
            Some(Parent::Existing { queue, job }) => {
                self.find_job(queue, job).map(|id| Named { id: (queue, id), found: false })
            }
            None => None,
        };
        if let (false, Some(parent)) = (added.duplicate, parent) {
            self.child_added(parent, added, new)?;
        }
        if joining.places.contains(&at) {
            self.jobs.flows.any = true;
            joining.parents.insert(at, Named { id: (added.queue, added.id), found: added.duplicate });
            if !added.duplicate {
                for standing in &mut self.job(added.id)?.may {
                    standing.state = State::Waiting;
                    standing.flow.is_parent = true;
                }
            }
        }
        Ok(())
    }

    fn child_added(&mut self, parent: Named, added: &Added, new: &NewJob) -> Checked {
        self.jobs.flows.any = true;
        let policy = new.message.options.as_ref().map_or(OnChildFailure::Wait, |options| options.on_failure);
        let job = self.job(parent.id.1)?;
        // Of one that was found only those get children who still wait, or are worked on.
        let takes = |standing: &Standing| !parent.found || standing.takes_children();
        let (linked, alone) = (job.possibly(takes), job.possibly(|standing| !takes(standing)));
        for standing in job.may.iter_mut().filter(|standing| takes(standing)) {
            standing.flow.is_parent = true;
            standing.flow.children.insert(added.id, Record::new(added.queue, policy));
        }
        let child = self.job(added.id)?;
        child.parent = Some(parent.id);
        let with = |standing: &Standing| {
            let mut child = standing.clone();
            child.flow.parent = Some(parent.id);
            child
        };
        let may = std::mem::take(&mut child.may);
        for standing in may {
            child.may.extend(linked.then(|| with(&standing)));
            child.may.extend(alone.then_some(standing));
        }
        Ok(())
    }

    /// All jobs of a command were added: a parent that got no child runs.
    pub(super) fn all_joined(&mut self, joining: &Joining, at: u64) -> Checked {
        for parent in joining.parents.values().filter(|parent| !parent.found) {
            let job = self.job(parent.id.1)?;
            let may = std::mem::take(&mut job.may);
            for standing in may {
                if standing.flow.unfinished() == 0 {
                    job.may.extend(standing.awake(at, at));
                } else {
                    job.may.push(standing);
                }
            }
        }
        Ok(())
    }

    /// Jobs that are gone are forgotten, but for what they were to others.
    pub(in crate::model) fn forget_removed(&mut self) {
        let gone = |job: &Job| job.certainly(|standing| standing.state == State::Removed && standing.away == Away::No);
        let ids: Vec<u64> = self.jobs.all.iter().filter(|(_, job)| gone(job)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(job) = self.jobs.all.remove(&id) else { continue };
            self.jobs.flows.looks += 1;
            // Of what a purge leaves behind parents are told later than of what comes after it.
            self.jobs.flows.note(id, &job, false);
            self.jobs.flows.went += u64::from(job.certainly(|standing| standing.flow.visit == Visit::Over));
            if job.parent.is_some() {
                let ends = job.may.iter().map(|standing| standing.flow.ends.clone());
                self.jobs.flows.gone.insert(id, ends.collect());
            }
            self.take_children(&job);
            self.let_come_of(id, &job);
        }
    }

    /// A job is gone: those of its children that have not begun go with it, if it was removed so.
    fn take_children(&mut self, parent: &Job) {
        let children: BTreeSet<u64> =
            parent.may.iter().flat_map(|standing| standing.flow.children.keys().copied()).collect();
        for child in children {
            let goes = |standing: &Standing| {
                standing.flow.takes_children && standing.flow.records().any(|(id, _)| id == child)
            };
            let (certain, possible) = (parent.certainly(goes), parent.possibly(goes));
            let Some(child) = self.jobs.all.get_mut(&child).filter(|_| possible) else { continue };
            let mut due: Vec<Standing> = Vec::new();
            for standing in child.may.iter().filter(|standing| !standing.flow.has_left()) {
                let visit = if standing.flow.visit == Visit::Never { Visit::Due } else { standing.flow.visit };
                due.push(standing.clone().visited(visit));
            }
            if certain {
                child.may.retain(|standing| standing.flow.has_left());
            }
            for standing in due {
                child.add(standing);
            }
            child.visited(self.jobs.flows.passed);
        }
    }

    /// Adds what may have been told since the last look, and what time may make of that.
    pub(super) fn pass_flows(&mut self, settled: u64, at: u64) {
        let mut last = 0;
        self.note_ends();
        while self.jobs.flows.any {
            let before = self.jobs.standings();
            self.tell_flows(at);
            // What is added and cannot be for another reason is added again.
            if self.jobs.standings() == before || before == last {
                break;
            }
            last = before;
            self.jobs.pass(settled, at);
        }
        self.jobs.flows.passed = at;
    }

    /// Adds what may have been told since the last look, and takes away what cannot be.
    fn tell_flows(&mut self, at: u64) {
        let since = self.jobs.flows.passed.min(at);
        let member = |job: &Job| job.parent.is_some() || job.possibly(|standing| standing.flow.is_parent);
        let members = self.jobs.all.iter().filter(|(_, job)| member(job));
        let ids: Vec<u64> = members.map(|(id, _)| *id).collect();
        for &id in &ids {
            self.learn_ends(id, since, at);
            self.offer_visits(id);
            if let Some(job) = self.jobs.all.get_mut(&id) {
                job.visited(since);
            }
        }
        for &id in &ids {
            self.agree(id);
        }
    }

    /// Notes which ends came since the last look: parents are told of them in the order in which they came.
    fn note_ends(&mut self) {
        if !self.jobs.flows.any {
            return;
        }
        self.jobs.flows.looks += 1;
        let Jobs { all, flows, .. } = &mut self.jobs;
        for (&id, job) in all.iter().filter(|(_, job)| job.parent.is_some()) {
            flows.note(id, job, true);
        }
    }

    /// A parent may have been told whatever its children may have come to.
    fn learn_ends(&mut self, id: u64, since: u64, at: u64) {
        let told =
            |(child, record): (&u64, &Record)| self.jobs.ends_of(*child).all(|ends| ends.len() <= record.told.len());
        let all_told = |standing: &Standing| standing.flow.children.iter().all(told);
        if self.jobs.all.get(&id).is_none_or(|job| job.certainly(all_told)) {
            return;
        }
        let Some(mut job) = self.jobs.all.remove(&id) else { return };
        let mut next = 0;
        while let Some(standing) = job.may.get(next).cloned() {
            next += 1;
            for (&child, record) in &standing.flow.children {
                for ends in self.jobs.ends_of(child) {
                    if !self.jobs.is_next(&standing, child, record.told.len()) {
                        continue;
                    }
                    let how = ends.strip_prefix(record.told.as_slice()).and_then(|left| left.first());
                    let learned = how.map(|how| standing.learns(child, how, since, at));
                    learned.into_iter().flatten().for_each(|after| job.add(after));
                }
            }
        }
        self.jobs.all.insert(id, job);
    }

    /// A job that may have been removed with its children may have taken these along.
    fn offer_visits(&mut self, id: u64) {
        let Some(job) = self.jobs.all.get(&id) else { return };
        let taking = job.may.iter().filter(|standing| standing.flow.takes_children);
        let children: BTreeSet<u64> =
            taking.flat_map(|standing| standing.flow.records().map(|(child, _)| child)).collect();
        for child in children {
            let Some(child) = self.jobs.all.get_mut(&child) else { continue };
            let never = |standing: &&Standing| standing.flow.visit == Visit::Never && !standing.flow.has_left();
            for standing in child.may.iter().filter(never).cloned().collect::<Vec<_>>() {
                child.add(standing.visited(Visit::Due));
            }
        }
    }

    /// What a parent was told has happened, and what a parent was told of happened to its child.
    fn agree(&mut self, id: u64) {
        let Some(job) = self.jobs.all.get(&id) else { return };
        let parent = job.parent.and_then(|(_, parent)| self.jobs.all.get(&parent));
        let told =
            |(child, record): (&u64, &Record)| self.jobs.ends_of(*child).any(|ends| ends.starts_with(&record.told));
        let went = parent.is_none_or(|parent| parent.possibly(|of| of.flow.takes_children));
        let child_of = |standing: &Standing, of: &Standing| match (standing.flow.parent, of.flow.children.get(&id)) {
            (Some(_), Some(record)) => standing.flow.ends.starts_with(&record.told),
            (None, Some(record)) if standing.flow.has_left() => standing.flow.ends.starts_with(&record.told),
            (None, None) => true,
            _ => false,
        };
        let may_be: Vec<bool> = job
            .may
            .iter()
            .map(|standing| {
                (went || standing.flow.visit == Visit::Never)
                    && standing.flow.children.iter().all(told)
                    && parent.is_none_or(|parent| parent.possibly(|of| child_of(standing, of)))
            })
            .collect();
        self.keep_standings(id, &may_be, "contradicts those of its flow");
    }

    /// Keeps of the standings of a job those that may be.
    fn keep_standings(&mut self, id: u64, may_be: &[bool], what: &str) {
        let Some(job) = self.jobs.all.get_mut(&id).filter(|_| may_be.contains(&false)) else { return };
        if !may_be.contains(&true) {
            let wrong = format!("job {} {what}: it is one of {:?}", job.number, job.may);
            self.jobs.flows.wrong.get_or_insert(wrong);
            return;
        }
        let mut may_be = may_be.iter();
        job.may.retain(|_| may_be.next() == Some(&true));
    }

    /// The shard is at rest: all is told that was to be, and who was to go has gone.
    pub fn flows_rest(&mut self, at: u64) {
        self.kept_rest();
        let mut last = 0;
        while self.jobs.flows.any {
            self.pass(at);
            let before = self.jobs.standings();
            let ids: Vec<u64> = self.jobs.all.keys().copied().collect();
            for id in ids {
                let Some(job) = self.jobs.all.get(&id) else { continue };
                let told = |(child, record): (&u64, &Record)| self.jobs.ends_of(*child).any(|ends| ends == record.told);
                let may_be = |standing: &Standing| {
                    standing.flow.visit != Visit::Due
                        && (standing.state == State::Removed || standing.flow.children.iter().all(told))
                };
                let may_be: Vec<bool> = job.may.iter().map(may_be).collect();
                self.keep_standings(id, &may_be, "was to be told or to go by now");
            }
            if self.jobs.standings() == before || before == std::mem::replace(&mut last, before) {
                return;
            }
        }
    }

    /// The children of a job were told.
    pub(in crate::model) fn children_told(
        &mut self,
        (id, reference): (QueueId, JobRef),
        after: Option<(QueueId, u64)>,
        max: u32,
        reply: &Result<Reply, Error>,
    ) -> Checked {
        let found = self.find_job(id, reference);
        let (children, more) = match (reply, found) {
            (Err(Error::JobNotFound), None) => return Ok(()),
            (Err(Error::JobNotFound), Some(found)) => {
                return self.job(found)?.see("was not found", |standing| standing.is_gone_from(id));
            }
            (Ok(Reply::Children { children, more }), Some(_)) => (children, *more),
            (reply, _) => return Err(format!("asking for children was answered with {reply:?}")),
        };
        let found = found.ok_or("children of nobody")?;
        let after = after.map_or(0, |(_, child)| child);
        let told = |child: &Child| (child.id, child.queue, child.state, child.result.is_some());
        self.job(found)?.see(&format!("has the children {children:?}"), |standing| {
            let records = standing.flow.records().filter(|(child, _)| *child > after);
            let all: Vec<_> =
                records.map(|(child, record)| (child, record.queue, record.state, record.has_result)).collect();
            let page = all.get(..all.len().min(max as usize)).unwrap_or_default();
            !standing.is_gone_from(id)
                && more == (all.len() > page.len())
                && children.iter().map(told).eq(page.iter().copied())
        })
    }

    /// What came of children, as it is told along with them.
    pub fn child_payloads(&self, children: &[Child]) -> Vec<Vec<u8>> {
        let with_result = children.iter().filter(|child| child.result.is_some());
        with_result.map(|child| self.jobs.flows.said.get(&child.id).cloned().unwrap_or_default()).collect()
    }

    /// Children that failed, and for which somebody waits until they are tried again.
    pub fn children_to_retry(&self) -> Vec<(QueueId, u64)> {
        let waiting = self.jobs.all.values().filter(|job| job.may_wait());
        let records = waiting.flat_map(|job| job.may.iter().flat_map(|standing| standing.flow.records()));
        let failed = records.filter(|(_, record)| record.counts && record.state == JobState::Failed);
        let ids: BTreeSet<u64> = failed.map(|(id, _)| id).collect();
        let failed = |standing: &&Standing| matches!(standing.state, State::Failed(_));
        let queue = |id| Some(self.jobs.all.get(&id)?.may.iter().find(failed)?.queue);
        ids.into_iter().filter_map(|id| Some((queue(id)?, id))).collect()
    }
}

impl Flows {
    /// Notes which ends a job may have come to by now.
    fn note(&mut self, id: u64, job: &Job, in_order: bool) {
        let ends = || job.may.iter().map(|standing| standing.flow.ends.len());
        let (least, most) = (ends().min().unwrap_or(0), ends().max().unwrap_or(0));
        for end in 0..most {
            let order = self.order.entry((id, end)).or_insert(Order { first: self.looks, sure: None });
            if in_order && end < least {
                order.sure.get_or_insert(self.looks);
            }
        }
    }
}

impl Jobs {
    /// Whether a parent that stands so can be told of this end of a child, for all that is known: of what had come before
    /// it was told before.
    fn is_next(&self, standing: &Standing, child: u64, end: usize) -> bool {
        let Some(this) = self.flows.order.get(&(child, end)) else { return true };
        standing.flow.children.iter().all(|(other, record)| {
            let order = self.flows.order.get(&(*other, record.told.len()));
            *other == child || order.and_then(|order| order.sure).is_none_or(|sure| sure >= this.first)
        })
    }

    /// How much all of them may be.
    fn standings(&self) -> usize {
        self.all.values().map(|job| job.may.len()).sum()
    }

    /// The ends that a job may have come to.
    fn ends_of(&self, id: u64) -> impl Iterator<Item = &[How]> {
        let there = self.all.get(&id).into_iter().flat_map(|job| &job.may);
        let gone = self.flows.gone.get(&id).filter(|_| !self.all.contains_key(&id)).into_iter().flatten();
        there.map(|standing| standing.flow.ends.as_slice()).chain(gone.map(Vec::as_slice))
    }
}

impl Job {
    /// Whether it may wait for its children.
    pub fn may_wait(&self) -> bool {
        self.possibly(|standing| standing.state == State::Waiting)
    }

    /// It may be this, too.
    pub(super) fn add(&mut self, standing: Standing) {
        if !self.may.iter().any(|other| standing.is_covered_by(other)) {
            self.may.push(standing);
        }
    }

    /// One that is to go with its parent is looked at: it goes if nobody has begun to work on it.
    fn visited(&mut self, since: u64) {
        let due: Vec<Standing> =
            self.may.iter().filter(|standing| standing.flow.visit == Visit::Due).cloned().collect();
        for standing in due {
            let mut over = standing.visited(Visit::Over);
            // One that is a dead letter, or was moved, is not looked for where it is.
            let is_found = over.queue == self.queue;
            if is_found && matches!(over.state, State::Ready | State::Delayed | State::Waiting) {
                over = over.moved(State::Removed, Span::after(since, 0, 0)).freed();
                over.flow.takes_children = over.flow.is_parent;
            }
            self.add(over);
        }
    }
}

fn parent_of(job: &NewJob) -> Option<Parent> {
    job.message.options.as_ref().and_then(|options| options.parent)
}

fn existing_parent(job: &NewJob) -> Option<(QueueId, JobRef)> {
    match parent_of(job) {
        Some(Parent::Existing { queue, job }) => Some((queue, job)),
        _ => None,
    }
}
