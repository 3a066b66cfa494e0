//! What those do who set limits, and programs that ask for permits.

use weir_core::api::limit::{LimitKey, LimiterId, LimiterUse, Limits, PermitId};
use weir_core::api::{Command, Namespace};
use weir_core::limiter::{Counts, Reserve, Terms, Unknown, Window};

use weir_core::api::job::PauseKeys;

use super::{Clients, KnownQueue};
use crate::rng::Rng;

const NAMES: [&str; 2] = ["mail", "partner"];

/// What they know.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitClients {
    /// Limiters, some of them deleted since.
    pub(crate) limiters: Vec<LimiterId>,
    /// Permits that they were given.
    pub(crate) permits: Vec<(LimiterId, PermitId)>,
}

impl Clients {
    /// The next command about limits.
    pub(super) fn draw_limit(&mut self, rng: &mut Rng) -> Command {
        let Some(&limiter) = rng.pick(&self.limits.limiters) else { return put(rng) };
        let key = key(rng);
        match rng.below(20) {
            0..=2 => put(rng),
            3 if rng.chance(1, 4) => Command::DeleteLimiter { limiter },
            3..=6 => Command::LimiterStats { limiter, key },
            7..=8 => {
                Command::PauseKey { limiter, key, for_ms: *rng.pick(&[0, 300, 4_000, 30_000, 30_000]).unwrap_or(&0) }
            }
            9..=14 => Command::Acquire {
                limiter,
                key,
                cost: rng.between(1, 2) as u32,
                priority: rng.below(3) as u32,
                lease_ms: *rng.pick(&[200, 5_000, 60_000]).unwrap_or(&200),
                wait_ms: *rng.pick(&[0, 0, 700, 10_000]).unwrap_or(&0),
            },
            _ => match rng.pick(&self.limits.permits) {
                Some(&(limiter, permit)) => {
                    let cost = rng.chance(1, 3).then(|| rng.between(0, 2) as u32);
                    Command::SettlePermit { limiter, permit, cost, done: !rng.chance(1, 4) }
                }
                None => Command::LimiterStats { limiter, key },
            },
        }
    }
}

/// The limiters that a queue of this name has.
pub(super) fn limiters_of(name: &str) -> Vec<LimiterUse> {
    let limited = |limiter: &str, keyed: bool| LimiterUse {
        limiter: limiter.to_owned(),
        key: keyed.then(|| "customer".to_owned()),
        cost: None,
    };
    match name {
        "jobs under limits" | "jobs in order under limits" => vec![limited("mail", true)],
        "jobs under two limits" => vec![limited("mail", false), limited("partner", true)],
        _ => Vec::new(),
    }
}

/// What a message is to the limiters of its queue.
pub(super) fn limits_of(rng: &mut Rng, queue: &KnownQueue) -> Option<Box<Limits>> {
    if queue.keyed.is_empty() || rng.chance(1, 20) {
        return None;
    }
    let uses = queue.keyed.iter().map(|&keyed| {
        let key = if keyed { key(rng) } else { None };
        (key, *rng.pick(&[0, 1, 1, 2]).unwrap_or(&1))
    });
    Some(Box::new(Limits { uses: uses.collect() }))
}

fn key(rng: &mut Rng) -> Option<LimitKey> {
    Some(LimitKey([rng.below(4) as u8; 16])).filter(|key| key.0 != [0; 16])
}

/// What a worker asks for that was told to come back later.
pub(super) fn pause(rng: &mut Rng) -> Option<PauseKeys> {
    let limiter = rng.pick(&[None, None, None, Some("mail"), Some("partner"), Some("nobody")]).copied().flatten();
    let for_ms = *rng.pick(&[0, 300, 4_000, 20_000]).unwrap_or(&300);
    rng.chance(2, 3).then(|| PauseKeys { limiter: limiter.map(str::to_owned), for_ms })
}

fn put(rng: &mut Rng) -> Command {
    let windows = (0..rng.below(3)).map(|_| {
        let counts = if rng.chance(2, 3) { Counts::Starts } else { Counts::Units };
        let max = *rng.pick(&[3, 4, 6, 100]).unwrap_or(&3);
        Window { max, per_ms: *rng.pick(&[50, 1_000, 10_000]).unwrap_or(&50), counts }
    });
    let windows = windows.collect();
    let concurrency = rng.chance(1, 2).then(|| rng.between(1, 4) as u32);
    let reserves = rng.chance(1, 6).then_some(Reserve { priority_max: 0, share: 30 }).into_iter().collect();
    Command::PutLimiter {
        namespace: Namespace(0),
        name: (*rng.pick(&NAMES).unwrap_or(&"mail")).to_owned(),
        terms: Terms {
            windows,
            concurrency,
            pacing: rng.chance(1, 6),
            reserves,
            guard_ms: *rng.pick(&[0, 0, 200]).unwrap_or(&0),
            slow_start_ms: *rng.pick(&[0, 0, 2_000]).unwrap_or(&0),
        },
        unknown: if rng.chance(3, 4) { Unknown::Full } else { Unknown::Empty },
    }
}
