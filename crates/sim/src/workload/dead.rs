//! What those do who look after jobs that failed for good.

use weir_core::api::job::JobRef;
use weir_core::api::{Command, Kind, Redrive};

use super::{Clients, KnownQueue};
use crate::rng::Rng;

const NAME: &str = "jobs dead";
const NAME_IN_ORDER: &str = "jobs in order dead";

/// The name of the queue for dead letters of queues of this kind.
pub(super) fn name_for(kind: Kind) -> &'static str {
    if kind == Kind::Fifo { NAME_IN_ORDER } else { NAME }
}

/// Where the dead letters of a queue go. Those of dead-letter queues stay.
pub(super) fn rule(rng: &mut Rng, name: &str, kind: Kind) -> Option<Redrive> {
    let receives_max = *rng.pick(&[2, 4, 1_000, 1_000]).unwrap_or(&1_000);
    let rule = Redrive { target: name_for(kind).to_owned(), receives_max };
    (name != rule.target && rng.chance(4, 5)).then_some(rule)
}

impl Clients {
    /// The next command about dead letters.
    pub(super) fn draw_dead(&mut self, rng: &mut Rng, queue: &KnownQueue) -> Command {
        let known = if rng.chance(3, 4) { &self.jobs.ended } else { &self.jobs.ids };
        let recent = known.get(known.len().saturating_sub(8)..).unwrap_or_default();
        let of = |kind: Kind| self.jobs.queues.iter().find(|known| known.name == name_for(kind)).map(|known| known.id);
        let found = rng.pick(recent).copied();
        let Some((home, dead)) = found.and_then(|(home, _)| {
            let kind = self.jobs.queues.iter().find(|known| known.id == home)?.kind;
            Some((home, of(kind)?))
        }) else {
            return Command::QueueStats { queue: queue.id };
        };
        let ids: Vec<u64> = recent.iter().filter(|(of, _)| *of == home).map(|(_, id)| *id).collect();
        let first = rng.index(ids.len().max(1));
        let some = ids.into_iter().skip(first).take(rng.between(1, 3) as usize).collect();
        match rng.below(8) {
            0..=3 => Command::Move { queue: dead, to: home, ids: some },
            4 => Command::Move { queue: home, to: dead, ids: some },
            5 => Command::Explain { queue: dead, job: JobRef::Id(some.first().copied().unwrap_or_default()) },
            _ => Command::DescribeJob {
                queue: dead,
                job: JobRef::Id(some.first().copied().unwrap_or_default()),
                wait_ms: *rng.pick(&[0, 0, 5_000]).unwrap_or(&0),
            },
        }
    }
}
