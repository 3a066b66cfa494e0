//! A queue pushed over a simulated network to a simulated target: what is sent is done at least once, throttling costs no
//! attempt, no more is under way than may be, and whatever happened, everything goes on once the target is well.

#![expect(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail this way"
)]

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proptest::prelude::*;
use weir_push::answer::{self, Answer, Outcome};
use weir_push::gate::Passed;
use weir_push::message::Message;
use weir_push::{Gate, Health, Target};

/// How the target is for a while.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// It works, and so does the network.
    Well,
    /// It works, and the answers to some requests are lost: to so many of 8.
    Loses(u64),
    /// Nobody listens.
    Away,
    /// It answers 500.
    Fails,
    /// It answers 429, after so many seconds if it says.
    Throttles(Option<u64>),
    /// It answers nothing in time.
    Stalls,
}

#[derive(Clone, Copy, Debug, Default)]
struct Job {
    failures: u32,
    /// Failures that the target or the network is to blame for.
    blamed: u32,
    worked: u32,
    done: bool,
}

/// What comes back of a request.
#[derive(Clone, Copy, Debug)]
enum Back {
    Answer(u16, Option<u64>),
    Nothing { timed_out: bool },
}

struct World {
    now_ms: u64,
    gate: Gate,
    target: Target,
    jobs: Vec<Job>,
    ready: VecDeque<usize>,
    /// When, an order among those of one moment, the request.
    under_way: BinaryHeap<Reverse<(u64, usize)>>,
    requests: Vec<(usize, Passed, Back)>,
    luck: u64,
}

fn message(id: u64) -> Message<'static> {
    Message {
        id,
        uuid: [0; 16],
        name: None,
        custom_id: None,
        group: None,
        deduplication_id: None,
        trace_header: None,
        body: "1",
        data: Cow::Borrowed("1"),
        attributes: Vec::new(),
        attempt: 1,
        leases: 1,
        sent_at_ms: 0,
        first_leased_at_ms: 0,
        priority: 0,
        token: String::new(),
    }
}

impl World {
    fn new(settings: &str, jobs: usize, seed: u64) -> Self {
        let target = Target::new(serde_json::from_str(settings).unwrap()).unwrap();
        let set = &target.settings;
        Self {
            now_ms: 0,
            gate: Gate::new(set.concurrency, set.breaker, set.slow_start_ms, 0),
            jobs: vec![Job::default(); jobs],
            ready: (0..jobs).collect(),
            under_way: BinaryHeap::new(),
            requests: Vec::new(),
            luck: seed | 1,
            target,
        }
    }

    fn draw(&mut self) -> u64 {
        self.luck ^= self.luck << 13;
        self.luck ^= self.luck >> 7;
        self.luck ^= self.luck << 17;
        self.luck >> 20
    }

    /// What comes of a request that starts now, and after how long.
    fn meet(&mut self, job: usize, mood: Mood) -> (u64, Back) {
        let work_ms = 5 + self.draw() % 20;
        match mood {
            Mood::Well => {
                self.jobs[job].worked += 1;
                (work_ms, Back::Answer(200, None))
            }
            Mood::Loses(of_8) => {
                self.jobs[job].worked += 1;
                let lost = self.draw() % 8 < of_8;
                (work_ms, if lost { Back::Nothing { timed_out: false } } else { Back::Answer(200, None) })
            }
            Mood::Away => (20, Back::Nothing { timed_out: false }),
            Mood::Fails => (work_ms, Back::Answer(500, None)),
            Mood::Throttles(after_s) => (10, Back::Answer(429, after_s)),
            Mood::Stalls => (1_000, Back::Nothing { timed_out: true }),
        }
    }

    /// Lives until then, or until all is done.
    fn live(&mut self, mood: Mood, until_ms: u64) {
        while self.now_ms < until_ms && self.jobs.iter().any(|job| !job.done) {
            while self.gate.free(self.now_ms) > 0
                && let Some(job) = self.ready.pop_front()
            {
                let passed = self.gate.pass(self.now_ms);
                assert!(self.gate.in_flight() <= self.target.settings.concurrency.max);
                let (takes_ms, back) = self.meet(job, mood);
                self.requests.push((job, passed, back));
                self.under_way.push(Reverse((self.now_ms + takes_ms, self.requests.len() - 1)));
            }
            let ends = self.under_way.peek().map(|Reverse((at, _))| *at);
            let opens = if self.ready.is_empty() { None } else { self.gate.opens_at_ms(self.now_ms) };
            let next = ends.into_iter().chain(opens).min().expect("something ends, or the gate says when it opens");
            self.now_ms = self.now_ms.max(next.min(until_ms));
            while self.under_way.peek().is_some_and(|Reverse((at, _))| *at <= self.now_ms) {
                if let Some(Reverse((_, request))) = self.under_way.pop() {
                    self.end(request);
                }
            }
        }
    }

    fn end(&mut self, request: usize) {
        let (job, passed, back) = self.requests[request];
        let latency_ms = (self.now_ms - passed.at_ms()) as f64;
        let (outcome, health, wait_ms) = match back {
            Back::Nothing { timed_out } => {
                let health = if timed_out { Health::Overloaded } else { Health::Sick };
                (Outcome::Failed(Vec::new(), true), health, None)
            }
            Back::Answer(status, after_s) => {
                let after = after_s.map(|seconds| seconds.to_string());
                let headers: Vec<(&str, &str)> = after.iter().map(|after| ("retry-after", after.as_str())).collect();
                let answer = Answer { status, headers: &headers[..], body: Some(b"") };
                let mut meaning = answer::read(&self.target, &[message(job as u64)], &answer, self.now_ms);
                (meaning.outcomes.remove(0), meaning.health, meaning.wait_ms)
            }
        };
        self.gate.end(self.now_ms, passed, latency_ms, health);
        let throttled = matches!(back, Back::Answer(429, _));
        self.jobs[job].blamed += u32::from(!throttled && !matches!(back, Back::Answer(200, _)));
        match outcome {
            Outcome::Done(_) => self.jobs[job].done = true,
            Outcome::Throttled => {
                self.ready.push_front(job);
                // The engine pauses the queue where the target said for how long; to the gate that is the same.
                let hold_ms = wait_ms.filter(|&ms| ms > 0).unwrap_or_else(|| self.gate.hold_ms());
                self.gate.hold(self.now_ms, hold_ms);
            }
            Outcome::Failed(..) => {
                self.jobs[job].failures += 1;
                self.ready.push_back(job);
            }
            Outcome::CallsBack => unreachable!("nobody answers 202"),
        }
    }
}

fn moods() -> impl Strategy<Value = Vec<(Mood, u64)>> {
    let mood = prop_oneof![
        Just(Mood::Well),
        (1u64..8).prop_map(Mood::Loses),
        Just(Mood::Away),
        Just(Mood::Fails),
        proptest::option::of(0u64..5).prop_map(Mood::Throttles),
        Just(Mood::Stalls),
    ];
    proptest::collection::vec((mood, 1u64..20_000), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_done_in_the_end_and_costs_what_it_must(
        moods in moods(),
        max in 1u32..40,
        adaptive: bool,
        has_breaker: bool,
        slow_start_ms in 0u64..3_000,
        seed: u64,
    ) {
        let breaker = if has_breaker { r#"{"failures": 3, "open_ms": 500, "open_ms_max": 4000, "probes": 2}"# } else { "null" };
        let settings = format!(
            r#"{{"url": "http://a", "concurrency": {{"max": {max}, "adaptive": {adaptive}}}, "breaker": {breaker},
                "slow_start_ms": {slow_start_ms}}}"#
        );
        let mut world = World::new(&settings, 300, seed);
        let mut until_ms = 0;
        for (mood, for_ms) in moods {
            until_ms += for_ms;
            world.live(mood, until_ms);
        }
        world.live(Mood::Well, until_ms + 120_000);
        for job in &world.jobs {
            prop_assert!(job.done && job.worked > 0, "{job:?}");
            prop_assert_eq!(job.failures, job.blamed, "throttling costs no attempt, and nothing is forgotten");
        }
        prop_assert_eq!(world.gate.in_flight(), 0);
    }

    #[test]
    fn a_target_that_is_away_gets_few_probes(away_s in 60u64..3_600, seed: u64) {
        let settings = r#"{"url": "http://a", "breaker": {"failures": 5, "open_ms": 1000, "open_ms_max": 60000}}"#;
        let mut world = World::new(settings, 10, seed);
        world.live(Mood::Away, away_s * 1_000);
        let attempts: u32 = world.jobs.iter().map(|job| job.failures).sum();
        // Five, then one each time: after 1, 2, 4, … seconds, then every minute.
        prop_assert!(u64::from(attempts) <= 5 + 6 + 1 + away_s / 60, "{attempts} in {away_s} s");
    }
}
