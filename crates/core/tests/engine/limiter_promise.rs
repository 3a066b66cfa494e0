//! Limiters against a naive checker that never forgets a start: whatever happens, no interval is over its cap.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it does not expect")]

use std::num::NonZeroU32;

use proptest::prelude::*;
use weir_core::Time;
use weir_core::limiter::{Counts, KeyState, Limit, Permit, Reserve, Terms, Unknown, Window};

#[derive(Clone, Debug)]
enum Step {
    /// Starts as many as there is room for, up to so many.
    Start {
        times: u8,
        cost: u32,
        priority: u32,
    },
    /// The oldest synced starts leave, some time between their grants and now.
    Release {
        times: u8,
        waited: u8,
    },
    /// Everything so far is durable, and may leave.
    Sync,
    Settle {
        which: u8,
        actual: u32,
    },
    Finish {
        which: u8,
    },
    Withdraw,
    Pass {
        ms: u64,
    },
    /// To the time that the next start was promised for.
    PassUntilRoom,
    Pause {
        ms: u64,
    },
    Resume,
    Change(Terms, Unknown),
    /// What was not synced never happened; what was may have left until now.
    Crash,
    /// The state goes out of memory and comes back.
    Reload,
    DropIfIdle,
}

/// Something that counts: a start, or the debt of one.
#[derive(Clone, Debug)]
struct Entry {
    permit: Option<Permit>,
    /// The start that this is a debt of.
    of: Option<usize>,
    starts: u64,
    units: u64,
    granted: u64,
    /// When it left; none while it may still leave.
    left: Option<u64>,
}

/// What a window knows.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// What left by then does not count.
    forgiven: u64,
    /// Whether it knows all the rest, so that there is nothing to be forgiven.
    whole: bool,
}

#[derive(Clone, Debug)]
struct World {
    now: u64,
    limit: Limit,
    /// What each window knows, and when the past was forgiven last.
    known: Vec<Known>,
    forgiven: u64,
    key: Option<KeyState>,
    entries: Vec<Entry>,
    /// Entries that are not finished.
    running: Vec<usize>,
    /// Entries below this may leave.
    synced: usize,
    saved: Option<Box<World>>,
    until: Option<u64>,
    started: u64,
}

impl World {
    fn new(terms: Terms) -> Self {
        Self {
            now: 1_000_000,
            known: vec![Known { forgiven: 0, whole: true }; terms.windows.len()],
            forgiven: 0,
            limit: Limit::new(terms).unwrap(),
            key: None,
            entries: Vec::new(),
            running: Vec::new(),
            synced: 0,
            saved: None,
            until: None,
            started: 0,
        }
    }

    fn key(&mut self) -> &mut KeyState {
        let (limit, now) = (&self.limit, Time(self.now));
        self.key.get_or_insert_with(|| KeyState::new(limit, now))
    }

    fn save(&mut self) {
        self.synced = self.entries.len();
        self.saved = None;
        self.saved = Some(Box::new(self.clone()));
    }

    fn start(&mut self, cost: u32, priority: u32) -> bool {
        let (limit, now) = (self.limit.clone(), Time(self.now));
        let cost = NonZeroU32::new(cost).unwrap();
        let waits = self.key().waits_for(&limit, now, cost, priority);
        match self.key().start(&limit, now, cost, priority) {
            Ok(permit) => {
                assert_eq!(waits, None, "a start was granted that had to wait");
                self.running.push(self.entries.len());
                let units = u64::from(cost.get());
                self.entries.push(Entry {
                    permit: Some(permit),
                    of: None,
                    starts: 1,
                    units,
                    granted: self.now,
                    left: None,
                });
                self.started += 1;
                self.check();
                true
            }
            Err(blocked) => {
                assert_eq!(waits, Some(blocked), "the reason to wait is another one");
                assert!(blocked.until.is_none_or(|until| until > now), "{blocked:?} at {now}");
                self.until = blocked.until.map(|until| until.0);
                if let Some(until) = blocked.until {
                    self.check_wait(until, cost, priority);
                }
                false
            }
        }
    }

    /// Until the time that was named, time alone changes nothing; at that time the start is granted, unless something
    /// may be released until then.
    fn check_wait(&mut self, until: Time, cost: NonZeroU32, priority: u32) {
        let limit = self.limit.clone();
        let mut later = self.key().clone();
        let before = later.waits_for(&limit, Time(until.0 - 1), cost, priority);
        assert!(before.is_some(), "room before {until}, which was named at {}", self.now);
        if self.entries.iter().all(|entry| entry.left.is_some()) {
            let after = later.waits_for(&limit, until, cost, priority);
            assert_eq!(after, None, "{until} was named at {}", self.now);
        }
    }

    /// What was granted just now leaves now at the earliest: nothing that may be as close as `per` to it is forgotten.
    fn check(&self) {
        let terms = self.limit.terms();
        for (window, known) in terms.windows.iter().zip(&self.known) {
            let counts = |left: u64| left + window.per_ms + terms.guard_ms >= self.now && left > known.forgiven;
            let counted = self.entries.iter().filter(|entry| entry.left.is_none_or(counts));
            let sum: u64 = match window.counts {
                Counts::Starts => counted.map(|entry| entry.starts).sum(),
                Counts::Units => counted.map(|entry| entry.units).sum(),
            };
            assert!(sum <= u64::from(window.max), "{sum} in {window:?} at {}", self.now);
        }
        if let Some(concurrency) = terms.concurrency {
            assert!(self.running.len() <= concurrency as usize, "{} run at once", self.running.len());
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Start { times, cost, priority } => {
                for _ in 0..times {
                    if !self.start(cost, priority) {
                        break;
                    }
                }
            }
            Step::Release { times, waited } => self.release(times, waited),
            Step::Sync => self.save(),
            Step::Settle { which, actual } => self.settle(which, actual),
            Step::Finish { which } => {
                if !self.running.is_empty() {
                    let index = self.running.remove(usize::from(which) % self.running.len());
                    if let Some(permit) = self.entries[index].permit {
                        let limit = self.limit.clone();
                        self.key().finished(&limit, &permit);
                    }
                }
            }
            Step::Withdraw => self.withdraw(),
            Step::Pass { ms } => self.now += ms,
            Step::PassUntilRoom => self.now = self.now.max(self.until.take().unwrap_or(0).min(self.now + 1_000_000)),
            Step::Pause { ms } => {
                let until = Time(self.now + ms);
                self.key().pause(until);
            }
            Step::Resume => {
                let now = Time(self.now);
                self.key().resume(now);
            }
            Step::Change(terms, unknown) => {
                self.change(terms, unknown);
                self.save();
            }
            Step::Crash => self.crash(),
            Step::Reload => {
                self.limit = Limit::decode(&self.limit.encode()).unwrap();
                self.key = self.key.take().map(|key| KeyState::decode(&key.encode()).unwrap());
            }
            Step::DropIfIdle => {
                let (limit, now) = (self.limit.clone(), Time(self.now));
                if self.key().is_idle(&limit, now) {
                    self.key = None;
                    self.save();
                }
            }
        }
    }

    /// A window knows what one as long, or longer, knew before; only what none did may be forgiven.
    fn change(&mut self, terms: Terms, unknown: Unknown) {
        let forgives = unknown == Unknown::Empty;
        if forgives {
            self.forgiven = self.now;
        }
        let before = self.limit.terms().clone();
        let later = Known { forgiven: self.forgiven, whole: false };
        let known = terms.windows.iter().map(|window| {
            let covers = |known: &Window| {
                known.counts == window.counts && known.per_ms + before.guard_ms >= window.per_ms + terms.guard_ms
            };
            let known = before.windows.iter().zip(&self.known).filter(|(known, _)| covers(known));
            let known = known.map(|(_, known)| *known).filter(|known| known.whole || !forgives);
            known.min_by_key(|known| (known.forgiven, !known.whole)).unwrap_or(later)
        });
        self.known = known.collect();
        self.limit.change(terms, Time(self.now), unknown).unwrap();
    }

    fn release(&mut self, times: u8, waited: u8) {
        let open: Vec<usize> = (0..self.synced).filter(|&index| self.entries[index].left.is_none()).collect();
        for index in open.into_iter().take(usize::from(times)) {
            let entry = &mut self.entries[index];
            let span = self.now - entry.granted;
            entry.left = Some(self.now - span * u64::from(waited) / 255);
            let permit = entry.permit.unwrap();
            let now = Time(self.now);
            let limit = self.limit.clone();
            self.key().released(&limit, &permit, now);
        }
    }

    fn settle(&mut self, which: u8, actual: u32) {
        if self.running.is_empty() {
            return;
        }
        let index = self.running[usize::from(which) % self.running.len()];
        let Some(mut permit) = self.entries[index].permit else { return };
        let before = permit.cost;
        let (limit, now) = (self.limit.clone(), self.now);
        self.key().settle(&limit, &mut permit, actual, Time(now));
        assert_eq!(permit.cost, actual);
        self.entries[index].permit = Some(permit);
        if actual < before {
            // What was owed goes first.
            let mut back = u64::from(before - actual);
            let debts = self.entries.iter_mut().skip(index).rev();
            for (_, entry) in debts.map(|entry| (entry.of, entry)).filter(|(of, _)| *of == Some(index)) {
                let part = back.min(entry.units);
                entry.units -= part;
                back -= part;
            }
            self.entries[index].units -= back;
        } else if actual > before {
            let units = u64::from(actual - before);
            self.entries.push(Entry { permit: None, of: Some(index), starts: 0, units, granted: now, left: Some(now) });
        }
    }

    fn withdraw(&mut self) {
        // Nobody knows what a start cost that never left.
        let place = self.running.iter().rposition(|&index| {
            let entry = &self.entries[index];
            entry.left.is_none() && entry.permit.is_some_and(|permit| u64::from(permit.cost) == entry.units)
        });
        let Some(place) = place else { return };
        let index = self.running.remove(place);
        let permit = self.entries[index].permit.unwrap();
        let (limit, now) = (self.limit.clone(), Time(self.now));
        self.key().withdrawn(&limit, &permit, now);
        let entry = &mut self.entries[index];
        (entry.starts, entry.units, entry.left) = (0, 0, Some(entry.granted));
        self.save();
    }

    fn crash(&mut self) {
        let Some(saved) = self.saved.take() else { return };
        let mut world = World { now: self.now, started: self.started, ..*saved };
        // What left since is not undone; what may have left did so at the worst time, which is now.
        for (index, entry) in world.entries.iter_mut().enumerate() {
            entry.left = self.entries[index].left.or(Some(self.now));
        }
        world.key = world.key.take().map(|key| {
            let mut key = KeyState::decode(&key.encode()).unwrap();
            key.recovered(&world.limit, Time(self.now));
            key
        });
        *self = world;
        self.save();
    }
}

fn window() -> impl Strategy<Value = Window> {
    let max = prop_oneof![3 => 1_u32..8, 2 => 8_u32..70, 1 => 70_u32..400];
    let counts = prop_oneof![Just(Counts::Starts), Just(Counts::Units)];
    (max, prop_oneof![1_u64..20, 20_u64..2_000], counts).prop_map(|(max, per_ms, counts)| Window {
        max,
        per_ms,
        counts,
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let windows = prop::collection::vec(window(), 0..=3);
    let concurrency = prop::option::weighted(0.3, 1_u32..20);
    let reserves = prop::collection::btree_map(0_u32..4, 1_u32..45, 0..=2);
    let reserves = reserves.prop_map(|reserves| {
        reserves.into_iter().map(|(priority_max, share)| Reserve { priority_max, share }).collect::<Vec<_>>()
    });
    let guard_ms = prop_oneof![3 => Just(0_u64), 1 => 1_u64..100];
    let slow_start_ms = prop_oneof![2 => Just(0_u64), 1 => 1_u64..3_000];
    (windows, concurrency, prop::bool::weighted(0.2), reserves, guard_ms, slow_start_ms).prop_map(
        |(windows, concurrency, pacing, reserves, guard_ms, slow_start_ms)| Terms {
            windows,
            concurrency,
            pacing,
            reserves,
            guard_ms,
            slow_start_ms,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let start = (1_u8..80, prop_oneof![2 => Just(1_u32), 1 => 1_u32..12], 0_u32..5);
    prop_oneof![
        12 => start.prop_map(|(times, cost, priority)| Step::Start { times, cost, priority }),
        8 => (1_u8..60, any::<u8>()).prop_map(|(times, waited)| Step::Release { times, waited }),
        8 => Just(Step::Sync),
        4 => (any::<u8>(), 0_u32..20).prop_map(|(which, actual)| Step::Settle { which, actual }),
        6 => any::<u8>().prop_map(|which| Step::Finish { which }),
        1 => Just(Step::Withdraw),
        8 => (0_u64..300).prop_map(|ms| Step::Pass { ms }),
        1 => (0_u64..1_000_000).prop_map(|ms| Step::Pass { ms }),
        8 => Just(Step::PassUntilRoom),
        1 => (1_u64..2_000).prop_map(|ms| Step::Pause { ms }),
        1 => Just(Step::Resume),
        2 => (terms(), prop::bool::weighted(0.3)).prop_map(|(terms, forgives)| {
            Step::Change(terms, if forgives { Unknown::Empty } else { Unknown::Full })
        }),
        2 => Just(Step::Crash),
        2 => Just(Step::Reload),
        3 => Just(Step::DropIfIdle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interval_is_over_its_cap_whatever_happens(
        terms in terms(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(terms);
        world.save();
        for step in steps {
            world.step(step);
        }
    }

    /// The promise, looked at from outside: the times at which starts arrived somewhere, and nothing else.
    #[test]
    fn who_counts_what_arrives_never_counts_too_many(
        window in window(),
        guard_ms in 0_u64..50,
        gaps in prop::collection::vec((0_u64..40, 0_u64..5, any::<u8>()), 1..400),
    ) {
        let window = Window { counts: Counts::Starts, ..window };
        let limit = Limit::new(Terms { windows: vec![window], guard_ms, ..Terms::default() }).unwrap();
        let mut key = KeyState::new(&limit, Time(5_000));
        let mut arrivals = Vec::new();
        let mut now = 5_000;
        for (gap, latency, way) in gaps {
            now += gap;
            while let Ok(permit) = key.start(&limit, Time(now), NonZeroU32::MIN, 0) {
                key.released(&limit, &permit, Time(now + latency));
                key.finished(&limit, &permit);
                arrivals.push(now + latency * u64::from(way) / 255 + guard_ms * u64::from(way) / 255);
            }
            now += latency;
        }
        arrivals.sort_unstable();
        for (index, &first) in arrivals.iter().enumerate() {
            let until = first + window.per_ms;
            let seen = arrivals[index..].iter().take_while(|&&at| at <= until).count();
            prop_assert!(seen <= window.max as usize, "{seen} from {first} to {until} under {window:?}");
        }
    }

    #[test]
    fn any_bytes_are_a_state_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0_u8..3) {
        let bytes = [&[version], &bytes[..]].concat();
        if let Ok(key) = KeyState::decode(&bytes) {
            prop_assert_eq!(KeyState::decode(&key.encode()).unwrap(), key);
        }
        if let Ok(limit) = Limit::decode(&bytes) {
            prop_assert_eq!(Limit::decode(&limit.encode()).unwrap(), limit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Then all slots are full of little, and some become one.
    #[test]
    fn settlements_far_below_the_estimate_let_no_interval_over_its_cap(
        max in 65_u32..200,
        per_ms in 2_000_u64..6_000,
        starts in prop::collection::vec((0_u64..30, 4_u32..7, 0_u32..4), 500..700),
    ) {
        let windows = vec![Window { max, per_ms, counts: Counts::Units }];
        let mut world = World::new(Terms { windows, ..Terms::default() });
        for (gap, cost, actual) in starts {
            world.step(Step::Pass { ms: gap });
            if !world.start(cost, 0) {
                world.step(Step::PassUntilRoom);
                prop_assert!(world.start(cost, 0));
            }
            world.step(Step::Sync);
            world.step(Step::Release { times: 1, waited: 0 });
            // While it was the newest, the next start joined its slot.
            if world.running.len() > 1 {
                world.step(Step::Settle { which: 0, actual });
                world.step(Step::Finish { which: 0 });
            }
        }
    }
}
