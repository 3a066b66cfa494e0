//! Adaptive concurrency against simulated servers with a knee.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "times and counts of a simulation are small")]
#![expect(clippy::indexing_slicing, reason = "a test may fail this way")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;
use weir_push::adaptive::{Adaptive, Answered, Started};

/// A server that works on `capacity` requests at once. Others wait in its line, or are refused where that is full.
#[derive(Clone, Copy, Debug)]
struct Server {
    capacity: u32,
    service_ms: f64,
    /// Which part of the time of service is drawn anew for each request, up and down.
    jitter: f64,
    /// How many may wait; nothing for any number.
    line: Option<u32>,
}

/// Random numbers of one seed.
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A client that always has as many requests under way as it may, and its server. Times in microseconds.
struct World {
    now_us: u64,
    adaptive: Adaptive,
    luck: Luck,
    in_flight: u32,
    busy: u32,
    line: std::collections::VecDeque<Started>,
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    requests: Vec<(Started, u64, Answered)>,
}

impl World {
    fn new(seed: u64, max: u32) -> Self {
        Self {
            now_us: 0,
            adaptive: Adaptive::new(1, max),
            luck: Luck(seed | 1),
            in_flight: 0,
            busy: 0,
            line: std::collections::VecDeque::new(),
            ends: BinaryHeap::new(),
            requests: Vec::new(),
        }
    }

    fn end_after(&mut self, started: Started, ms: f64, answered: Answered) {
        self.requests.push((started, self.now_us, answered));
        self.ends.push(Reverse((self.now_us + (ms * 1_000.0) as u64, self.requests.len() as u64 - 1)));
    }

    fn work(&mut self, server: Server, started: Started) {
        self.busy += 1;
        let ms = server.service_ms * (1.0 + server.jitter * (2.0 * self.luck.next() - 1.0));
        self.end_after(started, ms, Answered::Well);
    }

    /// Lives until `until_ms`, and gives the limit on average over that time, and how many requests were answered well.
    fn live(&mut self, server: Server, until_ms: u64) -> (f64, u64) {
        let from_us = self.now_us;
        let (mut area, mut well) = (0.0, 0);
        while self.now_us < until_ms * 1_000 {
            while self.in_flight < self.adaptive.limit() {
                self.in_flight += 1;
                let started = self.adaptive.started(self.now_us / 1_000, self.in_flight);
                if self.busy < server.capacity {
                    self.work(server, started);
                } else if server.line.is_none_or(|most| (self.line.len() as u32) < most) {
                    // When it came stands in for when it is worked on, until it is.
                    self.requests.push((started, self.now_us, Answered::Well));
                    self.line.push_back(started);
                } else {
                    self.end_after(started, 1.0, Answered::Overloaded);
                }
            }
            let Some(Reverse((at_us, request))) = self.ends.pop() else {
                unreachable!("something is always under way")
            };
            area += f64::from(self.adaptive.limit()) * (at_us - self.now_us) as f64;
            self.now_us = at_us;
            let (started, _, answered) = self.requests[request as usize];
            self.in_flight -= 1;
            if answered == Answered::Well {
                well += 1;
                self.busy -= 1;
                while self.busy < server.capacity
                    && let Some(next) = self.line.pop_front()
                {
                    self.work(server, next);
                }
            }
            let latency_ms = (self.now_us as f64 - started.at_ms as f64 * 1_000.0) / 1_000.0;
            self.adaptive.ended(self.now_us / 1_000, started, latency_ms, answered);
        }
        (area / (self.now_us - from_us) as f64, well)
    }
}

/// Whether a limit is within 20 % of the knee; of small ones, within one.
fn is_near(limit: f64, knee: u32) -> bool {
    (limit - f64::from(knee)).abs() <= (0.2 * f64::from(knee)).max(1.0)
}

fn servers() -> impl Strategy<Value = Server> {
    let line = prop_oneof![Just(None), Just(Some(0)), (0u32..20).prop_map(Some)];
    (4u32..150, 10.0f64..300.0, 0.0f64..0.3, line).prop_map(|(capacity, service_ms, jitter, line)| Server {
        capacity,
        service_ms,
        jitter,
        line,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_limit_settles_at_the_knee_and_follows_it(server in servers(), other in 4u32..150, seed: u64) {
        let mut world = World::new(seed, 400);
        world.live(server, 30_000);
        let (limit, _) = world.live(server, 60_000);
        prop_assert!(is_near(limit, server.capacity), "{limit:.1} for a knee of {}", server.capacity);
        let changed = Server { capacity: other, ..server };
        world.live(changed, 90_000);
        let (limit, well) = world.live(changed, 120_000);
        prop_assert!(is_near(limit, other), "{limit:.1} for a knee of {other} that was {}", server.capacity);
        let most = 30_000.0 / server.service_ms * f64::from(other);
        prop_assert!(well as f64 > 0.75 * most, "{well} answers of {most:.0} that were possible");
    }

    #[test]
    fn a_server_that_becomes_slower_or_faster_keeps_its_knee(server in servers(), factor in 0.2f64..4.0, seed: u64) {
        let mut world = World::new(seed, 400);
        world.live(server, 30_000);
        let changed = Server { service_ms: (server.service_ms * factor).clamp(5.0, 400.0), ..server };
        world.live(changed, 60_000);
        let (limit, _) = world.live(changed, 90_000);
        prop_assert!(is_near(limit, server.capacity), "{limit:.1} for a knee of {}", server.capacity);
    }
}
