//! Jobs that leave their queue for another: as dead letters, whenever that is, or moved by hand.
//!
//! Where a job is belongs to what it may be, since it may become a dead letter as time passes.

use weir_core::api::job::FailureKind;
use weir_core::api::{Config, Error, QueueId, Reply};

use super::super::{Checked, Model};
use super::{Job, Span, Standing, State};

/// The rules of a queue for a while.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Since when.
    pub since: u64,
    /// Its configuration.
    pub config: Config,
    /// Where its dead letters go, if there is such a queue.
    pub dead: Option<QueueId>,
}

impl Model {
    /// Queues came, went or were configured: whose dead letters go elsewhere from now on.
    pub(in crate::model) fn find_dead_letter_queues(&mut self, at: u64) {
        let target = |id: QueueId, config: &Config| {
            let (target, _) = self.queue_named(&config.redrive.as_ref()?.target)?;
            let same_kind = self.is_fifo(target) == self.is_fifo(id);
            (target != id && same_kind).then_some(target)
        };
        let rules = self.jobs.queues.iter().filter_map(|(id, queue)| Some((*id, queue.rules.last()?)));
        let changed: Vec<(QueueId, Rules)> = rules
            .map(|(id, rules)| (id, target(id, &rules.config), rules))
            .filter(|(_, dead, rules)| *dead != rules.dead)
            .map(|(id, dead, rules)| (id, Rules { since: at, config: rules.config.clone(), dead }))
            .collect();
        for (id, rules) in changed {
            if let Some(queue) = self.jobs.queues.get_mut(&id) {
                queue.rules.push(rules);
            }
        }
    }

    /// Jobs were moved by hand, each on its own.
    pub(in crate::model) fn jobs_moved(
        &mut self,
        (from, to): (QueueId, QueueId),
        ids: &[u64],
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let results = match reply {
            Err(Error::QueueNotFound) if self.queue(from).is_err() || self.queue(to).is_err() => return Ok(()),
            Err(Error::SameQueue) if from == to => return Ok(()),
            Err(Error::KindDiffers) if self.is_fifo(from) != self.is_fifo(to) => return Ok(()),
            Ok(Reply::Settled(results)) if results.len() == ids.len() => results,
            reply => return Err(format!("moving jobs was answered with {reply:?}")),
        };
        self.forget_bounds(None);
        let home = self.ever_named(&self.queue(to)?.name);
        for (&id, result) in ids.iter().zip(results) {
            let Some(job) = self.jobs.all.get_mut(&id) else {
                if result.is_ok() {
                    return Err(format!("job {id} is gone and was moved"));
                }
                continue;
            };
            match result {
                Ok(()) => {
                    job.see("was moved", |standing| {
                        standing.queue == from && matches!(standing.state, State::Ready | State::Delayed)
                    })?;
                    job.becomes(|before| before.came_to(to, before.source.filter(|id| !home.contains(id))));
                    job.stands_since = at;
                    self.jobs.moved += 1;
                    self.written_until = self.written_until.max(at);
                }
                Err(Error::MessageNotFound) => job.see("was not found", |standing| standing.is_gone_from(from))?,
                Err(Error::MessageLeased) => job.see("was not moved, since it is leased", |standing| {
                    standing.queue == from && standing.state == State::Leased
                })?,
                Err(Error::JobState { state }) => {
                    let moves = |state| matches!(state, State::Ready | State::Delayed | State::Leased);
                    job.see(&format!("was not moved, being {state:?}"), |standing| {
                        standing.queue == from && standing.is_told(*state) && !moves(standing.state)
                    })?;
                }
                Err(error) => return Err(format!("job {} could not be moved: {error}", job.number)),
            }
        }
        Ok(())
    }

    /// Queues of that name, there or deleted.
    pub(super) fn ever_named(&self, name: &str) -> Vec<QueueId> {
        self.queues.iter().filter(|(_, queue)| queue.name == name).map(|(id, _)| *id).collect()
    }
}

impl Rules {
    /// Where a job goes that stands so and was handed out as often as it may be.
    pub(super) fn dead_letter_queue(&self, standing: &Standing) -> Option<QueueId> {
        let most = self.config.redrive.as_ref()?.receives_max;
        self.dead.filter(|_| standing.receives - standing.receives_before >= most)
    }
}

impl Job {
    /// Whether it may be, or have been, in that queue last.
    pub(super) fn may_be_in(&self, queue: QueueId) -> bool {
        self.possibly(|standing| standing.queue == queue)
    }

    /// It was seen in that queue.
    pub(super) fn see_in(&mut self, queue: QueueId) -> Checked {
        self.see(&format!("was seen in queue {}", queue.0), |standing| standing.queue == queue)
    }

    /// The queue that it is in, as far as that is known.
    pub fn queue_now(&self) -> QueueId {
        self.may.first().map_or(self.queue, |standing| standing.queue)
    }

    /// Whether it may have come from another queue.
    pub(super) fn has_moved(&self) -> bool {
        self.possibly(|standing| standing.queue != self.queue || standing.receives_before > 0)
    }

    /// Whether it may wait for its children in that queue.
    pub fn may_wait_in(&self, queue: QueueId) -> bool {
        self.possibly(|standing| standing.queue == queue && standing.state == State::Waiting)
    }
}

impl Standing {
    /// It has failed for good. What workers could not do is a dead letter, if there is a queue for such.
    pub(super) fn fails(&self, kind: FailureKind, dead: Option<QueueId>, due: Span) -> Standing {
        let failed = self.moved(State::Failed(kind), due);
        let by_worker = matches!(kind, FailureKind::Reported | FailureKind::TimedOut | FailureKind::Stalled);
        match dead.filter(|_| by_worker) {
            Some(to) => Standing { state: State::Ready, ..failed.came_to(to, Some(self.queue)) },
            None => failed,
        }
    }

    /// The same job in another queue, where its attempts are counted anew.
    fn came_to(&self, queue: QueueId, source: Option<QueueId>) -> Standing {
        let (receives_before, failures, stalls) = (self.receives, 0, 0);
        Standing { queue, source, receives_before, failures, stalls, ..self.clone() }
    }

    /// Whether it is not in that queue.
    pub(super) fn is_gone_from(&self, queue: QueueId) -> bool {
        self.queue != queue || self.state == State::Removed
    }

    /// Whether it may run in that queue.
    pub(super) fn is_ready_in(&self, queue: QueueId) -> bool {
        self.queue == queue && self.state == State::Ready
    }
}
