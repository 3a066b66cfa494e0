//! Why a job does not run: what holds it, and before when it surely does not run.
//!
//! The time is a bound for what is known now. A change by hand (a promotion, a resume, a pause that is taken back) may
//! let it run earlier, and is the only thing that can.

use std::ops::ControlFlow;

use super::lanes;
use super::lease::walk;
use super::{Answer, Engine, SLICE_ROWS, Stop};
use crate::api::job::{Explanation, Hold, JobRef};
use crate::api::{Error, Kind, Lane, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::keys;
use crate::kv::View;
use crate::place::Place;
use crate::queue::QueueState;
use crate::time::Time;

/// So many jobs before one are counted.
const BEFORE_MAX: usize = 4 * SLICE_ROWS;

/// What is known of when a job runs.
struct Reasons {
    holds: Vec<Hold>,
    /// Nothing where that cannot be foreseen.
    not_before: Option<Time>,
}

impl Reasons {
    fn hold(&mut self, hold: Hold, until: Option<Time>) {
        self.holds.push(hold);
        self.not_before = self.not_before.zip(until).map(|(bound, until)| bound.max(until));
    }
}

impl Engine {
    pub(super) fn explain<S: View>(&self, state: &S, id: QueueId, job: JobRef) -> Result<Answer, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        let Some((id, head)) = self.find_job(state, queue, job)? else { return Ok(Err(Error::JobNotFound)) };
        let mut reasons = Reasons { holds: Vec::new(), not_before: Some(self.now) };
        match head.state {
            Standing::Completed | Standing::Failed => reasons.not_before = None,
            Standing::Leased => reasons.hold(Hold::Leased { until: head.due }, None),
            Standing::Waiting => {
                let spec = self.spec_of(state, queue.id(), id, &head)?;
                let unfinished = spec.and_then(|spec| spec.children).map_or(0, |(unfinished, _)| unfinished);
                reasons.hold(Hold::Children { unfinished }, None);
                self.explain_pause(queue, &mut reasons);
            }
            Standing::Delayed => {
                self.explain_pause(queue, &mut reasons);
                reasons.hold(Hold::Delayed { until: head.due }, Some(head.due));
                explain_group(state, queue, id, &head, &mut reasons)?;
            }
            Standing::Ready => {
                self.explain_pause(queue, &mut reasons);
                explain_group(state, queue, id, &head, &mut reasons)?;
                for hold in self.limiter_holds(state, queue, id, &head)? {
                    let until = match &hold {
                        Hold::Limiter { blocked, .. } => blocked.until,
                        _ => None,
                    };
                    reasons.hold(hold, until);
                }
                explain_before(state, queue, id, &head, &mut reasons)?;
                if queue.waiters.is_empty() {
                    reasons.hold(Hold::NoWorker, None);
                }
            }
        }
        let Reasons { holds, not_before } = reasons;
        let explanation = Explanation { state: head.state.of_job(), holds, not_before };
        Ok(Ok(Reply::Explained(Box::new(explanation))))
    }

    fn explain_pause(&self, queue: &QueueState, reasons: &mut Reasons) {
        if queue.is_paused(self.now) {
            let until = queue.public.paused_until.filter(|until| *until < Time::NEVER);
            reasons.hold(Hold::QueuePaused { until }, until);
        }
    }
}

/// On a FIFO queue, what of its group comes before the job.
fn explain_group<S: View>(
    state: &S,
    queue: &QueueState,
    id: u64,
    head: &Head,
    reasons: &mut Reasons,
) -> Result<(), Stop> {
    let Some(lane) = head.lane.filter(|_| queue.public.kind == Kind::Fifo) else { return Ok(()) };
    let (record, front) = lanes::prepare(state, queue.space, lane, 1)?;
    let first = front.first().map(|&(first, _)| first).filter(|first| *first != id);
    if record.leased > 0 || first.is_some() {
        // Which one is leased is not known: one that waits comes after it.
        reasons.hold(Hold::Group { job: first.filter(|_| record.leased == 0) }, None);
    }
    Ok(())
}

/// How many jobs stand before a ready one. Of the lanes that come before it only the first messages are counted.
fn explain_before<S: View>(
    state: &S,
    queue: &QueueState,
    id: u64,
    head: &Head,
    reasons: &mut Reasons,
) -> Result<(), Stop> {
    let lane = head.lane_on(queue.public.kind);
    let place = head.place(id);
    let mut jobs = 0;
    if queue.public.kind == Kind::Standard {
        walk(state, queue, &queue.ready_gaps, keys::READY, &mut |_, at| count(&mut jobs, at, place))?;
        if let Some(lane) = lane {
            count_in_lane(state, queue, lane, place, &mut jobs)?;
        }
    }
    let alone = jobs;
    walk(state, queue, &queue.head_gaps, keys::LANE_HEAD, &mut |key, at| {
        // The first one of its own lane was counted.
        let own = lane.is_some_and(|lane| key.ends_with(&lane.0));
        own || count(&mut jobs, at, place)
    })?;
    if jobs > 0 {
        let or_more = jobs >= BEFORE_MAX || jobs > alone;
        // They run as workers ask for them, which is no time that could be told.
        reasons.holds.push(Hold::Behind { jobs: jobs as u64, or_more });
    }
    Ok(())
}

/// Counts what stands before `place`, and says whether to go on.
fn count(jobs: &mut usize, at: Place, place: Place) -> bool {
    let before = at < place;
    *jobs += usize::from(before);
    before && *jobs < BEFORE_MAX
}

fn count_in_lane<S: View>(
    state: &S,
    queue: &QueueState,
    lane: Lane,
    place: Place,
    jobs: &mut usize,
) -> Result<(), Stop> {
    let from = queue.space.kind(keys::LANE_READY).hash(lane.0);
    state.scan(&from, &queue.space.lane_ready(lane, place), &mut |_, _| {
        *jobs += 1;
        if *jobs < BEFORE_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(())
}
