//! The engine under limiters, driven at random: arrivals, settlements, retries, jumps of the clock, crashes, changes of
//! terms, several queues and programs outside under one limiter, weights that turn out to be others. Whatever happens, no
//! interval is over its cap; and with work ready and workers waiting the budget is used.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that stops here has failed")]

use std::collections::BTreeMap;

use crate::support::*;
use weir_core::api::limit::*;
use weir_core::api::*;
use weir_core::limiter::{Counts, Reserve, Terms, Unknown, Window};
use weir_core::{Engine, Stop};

/// A small linear congruential generator: the same numbers every time.
struct Luck(u64);

impl Luck {
    fn draw(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.draw(100) < percent
    }
}

/// A start as the world outside may have seen it.
#[derive(Clone, Debug)]
struct Start {
    key: Option<LimitKey>,
    /// One, but for what a settlement added.
    starts: u64,
    units: u64,
    /// When it left; none while it may still leave.
    left: Option<u64>,
    running: bool,
    durable: bool,
    /// Whether it was said what it really weighs.
    weighed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    held: Held,
    deadline: u64,
    start: usize,
}

/// What was granted.
#[derive(Clone, Copy, Debug)]
enum Held {
    Message(QueueId, Handle),
    Permit(PermitId),
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Messages(QueueId),
    Permit(Option<LimitKey>, u32),
}

struct Life {
    luck: Luck,
    world: World,
    queues: Vec<QueueId>,
    terms: Terms,
    keyed: bool,
    starts: Vec<Start>,
    /// Leases of which the answers have left, or may have.
    leases: Vec<Lease>,
    waiting: Vec<(Asked, Token)>,
    limiter: LimiterId,
    permits: usize,
    /// What left by then need not be known to windows: the time of a change that said so.
    forgiven: u64,
    /// The rows as they are on disk, and how many starts they know of.
    saved: BTreeMap<weir_core::kv::Key, Vec<u8>>,
    granted: usize,
}

fn key(n: u64) -> Option<LimitKey> {
    (n > 0).then_some(LimitKey([n as u8; 16]))
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut luck = Luck(seed.wrapping_mul(7_919).wrapping_add(1));
        let keyed = luck.chance(60);
        let world = if luck.chance(30) { World::cold() } else { World::new() };
        let mut life = Life {
            terms: terms(&mut luck),
            luck,
            world,
            queues: Vec::new(),
            keyed,
            starts: Vec::new(),
            leases: Vec::new(),
            waiting: Vec::new(),
            limiter: LimiterId(0),
            permits: 0,
            forgiven: 0,
            saved: BTreeMap::new(),
            granted: 0,
        };
        life.put();
        for name in ["a", "b", "c.fifo"] {
            let use_key = keyed.then(|| "data.key".to_owned());
            let cost = Some("data.cost".to_owned());
            let limiters = vec![LimiterUse { limiter: "shared".into(), key: use_key, cost }];
            let visibility_ms = 2_000;
            let queue = life.world.create(name, Config { limiters, visibility_ms, ..Config::default() });
            life.queues.push(queue);
        }
        life.sync();
        life
    }

    fn put(&mut self) {
        let (namespace, terms) = (Namespace(0), self.terms.clone());
        let unknown = if self.luck.chance(30) { Unknown::Empty } else { Unknown::Full };
        if unknown == Unknown::Empty {
            self.forgiven = self.world.now.0;
        }
        let command = Command::PutLimiter { namespace, name: "shared".into(), terms, unknown };
        let Reply::Limiter { limiter, .. } = self.world.ask(command).unwrap() else { panic!("a limiter") };
        self.limiter = limiter.id;
    }

    fn send(&mut self) {
        let queue = self.luck.draw(3) as usize;
        for _ in 0..=self.luck.draw(12) {
            let n = if self.keyed { self.luck.draw(4) } else { 0 };
            let cost = 1 + self.luck.draw(2) as u32;
            let limits = Some(Box::new(Limits { uses: vec![(key(n), cost)] }));
            let group = self.luck.draw(5) as u8;
            let lane = (queue == 2 || self.luck.chance(20)).then_some(Lane([group; 16]));
            let priority = self.luck.draw(3) as u32;
            self.world
                .send(self.queues[queue], NewMessage { limits, lane, priority, ..message(&format!("{n} {cost}")) })
                .unwrap();
        }
        self.gather();
    }

    fn acquire(&mut self) {
        let key = key(if self.keyed { self.luck.draw(4) } else { 0 });
        let (cost, priority) = (1 + self.luck.draw(2) as u32, self.luck.draw(3) as u32);
        let wait_ms = if self.luck.chance(70) { 5_000 } else { 0 };
        let limiter = self.limiter;
        let token = self.world.give(Command::Acquire { limiter, key, cost, priority, lease_ms: 2_000, wait_ms });
        self.waiting.push((Asked::Permit(key, cost), token));
        self.gather();
    }

    fn receive(&mut self) {
        let queue = self.queues[self.luck.draw(3) as usize];
        let max = 1 + self.luck.draw(5) as u32;
        let wait_ms = if self.luck.chance(70) { 5_000 } else { 0 };
        let token = self.world.wait(queue, max, wait_ms);
        self.waiting.push((Asked::Messages(queue), token));
        self.gather();
    }

    /// Takes note of what was granted.
    fn gather(&mut self) {
        for (asked, token) in std::mem::take(&mut self.waiting) {
            match asked {
                Asked::Messages(queue) => {
                    let Some(got) = self.world.got(token) else {
                        self.waiting.push((asked, token));
                        continue;
                    };
                    for got in got {
                        let (n, cost) = got.text.split_once(' ').unwrap();
                        let (key, cost) = (key(n.parse().unwrap()), cost.parse().unwrap());
                        self.begin(key, cost, Held::Message(queue, got.handle), got.delivery.deadline.0);
                    }
                }
                Asked::Permit(key, cost) => match self.world.answer(token) {
                    None => self.waiting.push((asked, token)),
                    Some(Ok(Reply::Acquired(Acquired::Granted { permit, until }))) => {
                        self.permits += 1;
                        self.begin(key, cost, Held::Permit(permit), until.0);
                    }
                    Some(_) => {}
                },
            }
        }
    }

    fn begin(&mut self, key: Option<LimitKey>, cost: u32, held: Held, deadline: u64) {
        let units = u64::from(cost);
        self.starts.push(Start { key, starts: 1, units, left: None, running: true, durable: false, weighed: false });
        self.leases.push(Lease { held, deadline, start: self.starts.len() - 1 });
        self.granted += 1;
        self.check(key);
    }

    /// Of what counts towards a start of the key just now there is no more than may be.
    fn check(&self, key: Option<LimitKey>) {
        let now = self.world.now.0;
        let of_key = || self.starts.iter().filter(|start| start.key == key);
        for window in &self.terms.windows {
            let from = now.saturating_sub(window.per_ms).max(self.forgiven + 1);
            let counted = of_key().filter(|start| start.left.is_none_or(|left| left >= from));
            let sum: u64 = match window.counts {
                Counts::Starts => counted.map(|start| start.starts).sum(),
                Counts::Units => counted.map(|start| start.units).sum(),
            };
            assert!(sum <= u64::from(window.max), "{sum} in {window:?} at {now}");
        }
        if let Some(concurrency) = self.terms.concurrency {
            let running = of_key().filter(|start| start.running).count();
            assert!(running <= concurrency as usize, "{running} run at once");
        }
    }

    /// Everything so far is durable: answers leave, at the latest when that is told.
    fn sync(&mut self) {
        self.world.engine.flush(&mut self.world.rows);
        self.saved = self.world.rows.all.clone();
        self.starts.iter_mut().for_each(|start| start.durable = true);
        for lease in self.leases.clone() {
            if self.starts[lease.start].left.is_none() && self.luck.chance(80) {
                let limiter = self.limiter;
                self.world.give(match lease.held {
                    Held::Message(queue, handle) => {
                        Command::Released { queue, handles: [handle].into_iter().collect() }
                    }
                    Held::Permit(permit) => Command::PermitReleased { limiter, permit },
                });
                self.starts[lease.start].left = Some(self.world.now.0);
            }
        }
        self.gather();
    }

    fn settle(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let at = self.luck.draw(self.leases.len() as u64) as usize;
        let lease = self.leases[at];
        let limiter = self.limiter;
        let unsent = self.starts[lease.start].left.is_none();
        match (self.luck.draw(4), lease.held) {
            (0, held) if unsent => {
                // It never left.
                self.world.give(match held {
                    Held::Message(queue, handle) => Command::Return { queue, handles: [handle].into_iter().collect() },
                    Held::Permit(permit) => Command::PermitReturned { limiter, permit },
                });
                self.starts[lease.start].key = Some(LimitKey([255; 16]));
            }
            (1, Held::Message(queue, handle)) => {
                let _ = self.world.change(queue, handle, 0);
            }
            (_, Held::Message(queue, handle)) => {
                let _ = self.world.delete(queue, handle);
            }
            (draw, Held::Permit(permit)) => {
                let (cost, done) = (self.luck.draw(5) as u32, draw > 1);
                let cost = Some(cost).filter(|_| !std::mem::replace(&mut self.starts[lease.start].weighed, true));
                if let Some(cost) = cost {
                    self.weigh(lease.start, u64::from(cost));
                }
                self.world.ask(Command::SettlePermit { limiter, permit, cost, done }).unwrap();
                if !done {
                    return self.gather();
                }
            }
        }
        self.leases.swap_remove(at);
        let now = self.world.now.0;
        self.starts[lease.start].left.get_or_insert(now);
        self.starts[lease.start].running = false;
        self.gather();
    }

    /// A start weighs something else than was thought: less gives back at once, more counts from now.
    fn weigh(&mut self, at: usize, units: u64) {
        let now = self.world.now.0;
        let Start { key, units: before, .. } = self.starts[at];
        if units > before {
            let units = units - before;
            let (running, durable, weighed) = (false, false, true);
            self.starts.push(Start { key, starts: 0, units, left: Some(now), running, durable, weighed });
        } else {
            self.starts[at].units = units;
        }
    }

    fn pass(&mut self, ms: u64) {
        // One step after the other: leases that end let others start at that moment.
        let end = self.world.now.0 + ms;
        while self.world.now.0 < end {
            let next = self.world.engine.next_deadline().0.clamp(self.world.now.0 + 1, end);
            let ended = |lease: &Lease| lease.deadline <= next;
            for lease in self.leases.iter().filter(|lease| ended(lease)) {
                self.starts[lease.start].left.get_or_insert(next);
                self.starts[lease.start].running = false;
            }
            self.leases.retain(|lease| !ended(lease));
            self.world.after(next - self.world.now.0);
            self.gather();
        }
    }

    /// What was not durable never happened; what was may have left until now.
    fn crash(&mut self) {
        let known = self.saved.clone();
        self.world.rows.all = known;
        self.world.engine = Engine::new();
        loop {
            match self.world.engine.open(self.world.now, &self.world.rows) {
                Ok(()) => break,
                Err(Stop::Need(needs)) => needs.iter().for_each(|need| self.world.rows.load(need)),
                Err(stop) => panic!("{stop}"),
            }
        }
        self.waiting.clear();
        self.leases.clear();
        let now = self.world.now.0;
        self.starts.retain(|start| start.durable);
        for start in &mut self.starts {
            // Its lease ends by itself.
            start.running = false;
            start.left.get_or_insert(now);
        }
        self.world.after(0);
    }

    fn step(&mut self) {
        match self.luck.draw(100) {
            0..20 => self.send(),
            20..40 => self.receive(),
            40..45 => self.acquire(),
            45..60 => self.sync(),
            60..75 => self.settle(),
            75..92 => {
                let ms = self.luck.draw(400);
                self.pass(ms);
            }
            92..94 => {
                let ms = self.luck.draw(20_000);
                self.pass(ms);
            }
            94..96 => {
                self.terms = terms(&mut self.luck);
                self.put();
                self.world.after(0);
                self.sync();
            }
            96..98 => {
                self.sync();
                self.crash();
            }
            _ => {
                self.sync();
                self.world.restart();
                self.gather();
                self.waiting.clear();
                self.crash();
            }
        }
    }
}

fn terms(luck: &mut Luck) -> Terms {
    let mut windows = Vec::new();
    for _ in 0..=luck.draw(2) {
        let per_ms = 20 + luck.draw(1_500);
        // Nothing costs more than there ever is.
        windows.push(match luck.draw(3) {
            0 => Window { max: 4 + luck.draw(9) as u32, per_ms, counts: Counts::Units },
            _ => Window { max: 1 + luck.draw(9) as u32, per_ms, counts: Counts::Starts },
        });
    }
    let concurrency = luck.chance(30).then(|| 1 + luck.draw(6) as u32);
    let reserves = if luck.chance(30) { vec![Reserve { priority_max: 0, share: 30 }] } else { Vec::new() };
    let slow_start_ms = if luck.chance(10) { 500 } else { 0 };
    Terms { windows, concurrency, reserves, slow_start_ms, pacing: luck.chance(10), ..Terms::default() }
}

#[test]
fn no_interval_is_over_its_cap_whatever_happens_to_the_engine() {
    let (mut granted, mut permits) = (0, 0);
    for seed in 0..200 {
        let mut life = Life::new(seed);
        for _ in 0..300 {
            life.step();
        }
        granted += life.granted;
        permits += life.permits;
    }
    assert!(granted > 14_000 && permits > 1_400, "{granted} starts, {permits} of programs outside, show little");
}

/// Runs workers that always wait over queues that always have work, and counts starts by queue.
fn used(windows: &[Window], uses: &[(&str, Option<&str>)], keys: u64, for_ms: u64) -> Vec<u64> {
    let mut world = World::new();
    let terms = Terms { windows: windows.to_vec(), ..Terms::default() };
    let (namespace, name, unknown) = (Namespace(0), "shared".to_owned(), Unknown::Full);
    world.ask(Command::PutLimiter { namespace, name, terms, unknown }).unwrap();
    let queues: Vec<QueueId> = uses
        .iter()
        .map(|(name, key)| {
            let key = key.map(str::to_owned);
            let limiters = vec![LimiterUse { limiter: "shared".into(), key, cost: None }];
            world.create(name, Config { limiters, ..Config::default() })
        })
        .collect();
    let mut counts = vec![0; queues.len()];
    let mut waiting = Vec::new();
    let mut sent = 0;
    for &queue in &queues {
        for _ in 0..30 {
            waiting.push((queue, world.wait(queue, 3, 1_000_000_000)));
        }
    }
    let mut times: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let end = world.now.0 + for_ms;
    while world.now.0 < end {
        for &queue in &queues {
            while world.counts(queue)[0] < 40 * keys {
                sent += 1;
                let n = 1 + sent % keys;
                let limits = Some(Box::new(Limits { uses: vec![(key(n), 1)] }));
                // Several groups for each key, none for two: a group waits for its first message.
                let lane = Some(Lane([(sent % (4 * keys)) as u8; 16]));
                let shared = uses[0].1.is_none();
                let text = if shared { "0".to_owned() } else { n.to_string() };
                world.send(queue, NewMessage { limits, lane, ..message(&text) }).unwrap();
            }
        }
        let mut served = false;
        for (queue, token) in std::mem::take(&mut waiting) {
            let Some(got) = world.got(token) else {
                waiting.push((queue, token));
                continue;
            };
            served = true;
            let handles = got.iter().map(|got| got.handle).collect();
            world.give(Command::Released { queue, handles });
            for got in got {
                times.entry(got.text.parse().unwrap()).or_default().push(world.now.0);
                counts[queues.iter().position(|&other| other == queue).unwrap()] += 1;
                world.delete(queue, got.handle).unwrap();
            }
            waiting.push((queue, world.wait(queue, 3, 1_000_000_000)));
        }
        if served {
            continue;
        }
        let next = world.engine.next_deadline().0.clamp(world.now.0 + 1, end);
        world.after(next - world.now.0);
    }
    for times in times.values() {
        for window in windows {
            for pair in times.windows(window.max as usize + 1) {
                assert!(pair[pair.len() - 1] > pair[0] + window.per_ms, "{window:?} at {}", pair[0]);
            }
        }
    }
    counts
}

#[test]
fn with_work_ready_and_workers_waiting_the_budget_is_used_and_no_queue_starves() {
    let window = Window { max: 20, per_ms: 1_000, counts: Counts::Starts };
    let counts = used(&[window], &[("a", None), ("b", None), ("c", None)], 1, 60_000);
    let all: u64 = counts.iter().sum();
    assert!(all * 100 >= 60 * 20 * 98, "{all} of {}", 60 * 20);
    assert!(counts.iter().all(|&count| count * 5 > all), "{counts:?}");
    let counts = used(&[window], &[("a", Some("k")), ("b.fifo", Some("k"))], 5, 60_000);
    let all: u64 = counts.iter().sum();
    assert!(all * 100 >= 60 * 20 * 5 * 98, "{all} of {}", 60 * 20 * 5);
    assert!(counts.iter().all(|&count| count * 5 > all), "{counts:?}");
}
