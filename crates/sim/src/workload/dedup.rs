//! What those do whose jobs keep others away.

use weir_core::api::job::{JobChange, JobDedup, JobRef};
use weir_core::api::{Command, NewMessage, QueueId};

use super::Clients;
use crate::rng::Rng;

/// So many deduplication ids there are.
const IDS: u64 = 5;

impl Clients {
    /// The next command about deduplication ids.
    pub(super) fn draw_dedup(&mut self, rng: &mut Rng, queue: QueueId) -> Command {
        let hash = [rng.below(IDS) as u8; 16];
        if rng.chance(1, 2) {
            // One that has finished keeps others away again, where nobody else does by now.
            let ended = if rng.chance(5, 6) { self.jobs.ended.pop() } else { None };
            let (queue, job) =
                ended.map_or_else(|| (queue, self.job(rng, queue)), |(queue, id)| (queue, JobRef::Id(id)));
            let change = JobChange::Retry { reset: rng.chance(1, 2), reset_starts: false };
            return Command::ChangeJobs { queue, jobs: vec![job], change };
        }
        if rng.chance(1, 2) {
            return Command::DescribeJob { queue, job: JobRef::Deduplicating(hash), wait_ms: 0 };
        }
        let job = match self.job(rng, queue) {
            JobRef::Id(id) if rng.chance(1, 2) => Some(JobRef::Id(id)),
            _ => None,
        };
        Command::ForgetDedup { queue, hash, job }
    }
}

/// The same message as one that keeps others away, or is kept away, more often than not.
pub(super) fn deduplicated(rng: &mut Rng, mut message: NewMessage) -> NewMessage {
    let options = message.options.get_or_insert_default();
    // Where time alone may have had it tried again, it would not be known what a duplicate does.
    options.timeout_ms = None;
    if rng.chance(1, 4) {
        return message;
    }
    let id = rng.below(IDS) as u8;
    let mut dedup = JobDedup {
        hash: [id; 16],
        ttl_ms: *rng.pick(&[None, Some(900), Some(6_000), Some(40_000)]).unwrap_or(&None),
        extend: rng.chance(1, 3),
        replace: false,
        reschedule: false,
        keep_last_if_active: false,
    };
    match rng.below(6) {
        0 => dedup.replace = true,
        1 => dedup.reschedule = true,
        2 => (dedup.replace, dedup.keep_last_if_active) = (true, true),
        3 | 4 => dedup.keep_last_if_active = true,
        _ => {}
    }
    if dedup.keep_last_if_active {
        // One that comes later is known by its priority, and keeps others away until it has ended.
        (dedup.ttl_ms, message.priority) = (None, u32::from(id));
    }
    if dedup.keep_last_if_active {
        // Where it is not known when it comes, it would not be known what its own duplicates do before its time.
        (message.delay_ms, options.run_at) = (Some(0), None);
    } else if rng.chance(1, 2) {
        message.delay_ms = Some(*rng.pick(&[0, 3_000, 20_000]).unwrap_or(&0));
        options.run_at = None;
    }
    options.dedup = Some(dedup);
    message
}
