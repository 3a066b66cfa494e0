//! Why a job does not run.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use std::collections::BTreeMap;

use crate::support::*;
use weir_core::Time;
use weir_core::api::job::*;
use weir_core::api::limit::LimiterUse;
use weir_core::api::*;
use weir_core::limiter::{Counts, Terms, Unknown, Window};

fn explain(world: &mut World, queue: QueueId, job: u64) -> Explanation {
    match world.ask(Command::Explain { queue, job: JobRef::Id(job) }).unwrap() {
        Reply::Explained(explanation) => *explanation,
        other => panic!("{other:?}"),
    }
}

fn holds(world: &mut World, queue: QueueId, job: u64) -> Vec<Hold> {
    explain(world, queue, job).holds
}

#[test]
fn a_ready_job_waits_for_those_before_it_and_for_a_worker() {
    for (make, lane) in [(World::cold as fn() -> World, None), (World::newborn, Some(Lane([1; 16])))] {
        let mut world = make();
        let queue = world.create("a", Config::default());
        let mut ids = Vec::new();
        for priority in [5, 5, 1, 5] {
            ids.push(world.add(queue, NewMessage { priority, lane, ..message("x") }).unwrap().id);
        }
        for (id, before) in ids.iter().zip([1, 2, 0, 3]) {
            let explained = explain(&mut world, queue, *id);
            let behind = Hold::Behind { jobs: before, or_more: false };
            let expected = if before > 0 { vec![behind, Hold::NoWorker] } else { vec![Hold::NoWorker] };
            assert_eq!((explained.state, explained.holds), (JobState::Ready, expected));
            assert_eq!(explained.not_before, None, "when a worker comes nobody knows");
        }
    }
}

#[test]
fn of_a_long_queue_only_so_many_jobs_are_counted() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    world.add_all(vec![(queue, message("x")); 3_000]).unwrap();
    let last = world.add(queue, message("x")).unwrap().id;
    let behind = holds(&mut world, queue, last).remove(0);
    assert_eq!(behind, Hold::Behind { jobs: 1_024, or_more: true });
}

#[test]
fn what_came_back_here_and_there_is_loaded_together() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    for _ in 0..60 {
        world.add(queue, message("x")).unwrap();
    }
    let leased: Vec<Got> = (0..60).flat_map(|_| world.lease(queue, 1)).collect();
    for got in leased.iter().step_by(2) {
        world.settle(queue, got.handle, Settlement::Release { delay_ms: 0, pause: None }).unwrap();
    }
    world.rows.loads = 0;
    let last = leased[58].handle.message;
    assert_eq!(holds(&mut world, queue, last), [Hold::Behind { jobs: 29, or_more: false }, Hold::NoWorker]);
    // A store keeps few stretches in memory at once, and each is a wait.
    assert!(world.rows.loads < 10, "{} loads", world.rows.loads);
}

#[test]
fn a_delayed_job_of_a_paused_queue_runs_when_both_are_over() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let id = world.add(queue, NewMessage { delay_ms: Some(5_000), ..message("x") }).unwrap().id;
    let at = |ms| Time(START.0 + ms);
    let delayed = Hold::Delayed { until: at(5_000) };
    let explained = explain(&mut world, queue, id);
    assert_eq!((explained.holds, explained.not_before), (vec![delayed.clone()], Some(at(5_000))));
    for (for_ms, until) in [(9_000, Some(at(9_000))), (u64::MAX, None)] {
        world.ask(Command::PauseQueue { queue, for_ms }).unwrap();
        let explained = explain(&mut world, queue, id);
        assert_eq!(explained.holds, [Hold::QueuePaused { until }, delayed.clone()]);
        assert_eq!(explained.not_before, until);
    }
    world.ask(Command::PauseQueue { queue, for_ms: 9_000 }).unwrap();
    let waiting = world.wait(queue, 1, 20_000);
    world.after(8_999);
    assert!(world.got(waiting).is_none());
    world.after(1);
    assert!(world.got(waiting).is_some());
}

#[test]
fn a_job_of_a_fifo_queue_waits_for_its_group() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    let mut ids = Vec::new();
    for text in ["1", "2"] {
        ids.push(world.add(queue, grouped(text, 1)).unwrap().id);
    }
    let before = Hold::Group { job: ids.first().copied() };
    let last = ids.last().copied().unwrap();
    assert!(holds(&mut world, queue, last).contains(&before));
    world.lease(queue, 1);
    assert!(holds(&mut world, queue, last).contains(&Hold::Group { job: None }));
    let leased = explain(&mut world, queue, ids.remove(0));
    assert_eq!(leased.holds, [Hold::Leased { until: Time(START.0 + 30_000) }]);
    assert_eq!((leased.state, leased.not_before), (JobState::Leased, None));
}

#[test]
fn a_parent_waits_for_its_children_and_a_finished_job_for_nothing() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let child = || job("x", JobOptions { parent: Some(Parent::Added(0)), ..JobOptions::default() });
    let added = world.add_all(vec![(queue, message("parent")), (queue, child()), (queue, child())]).unwrap();
    let parent = added.first().map(|added| added.id).unwrap();
    assert_eq!(holds(&mut world, queue, parent), [Hold::Children { unfinished: 2 }]);
    let got = world.lease(queue, 1).remove(0);
    world.complete(queue, got.handle).unwrap();
    let explained = explain(&mut world, queue, parent);
    assert_eq!((explained.holds, explained.not_before), (vec![Hold::Children { unfinished: 1 }], None));
    let finished = got.handle.message;
    let nothing = Explanation { state: JobState::Completed, holds: Vec::new(), not_before: None };
    assert_eq!(explain(&mut world, queue, finished), nothing);
    let command = Command::Explain { queue, job: JobRef::Custom([1; 16]) };
    assert_eq!(world.ask(command).unwrap_err(), Error::JobNotFound);
}

/// The same numbers every time.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One life of a queue under a limiter, in which nobody takes a pause or a delay back. Says how many times were told, and
/// how many of them lay ahead.
fn live(seed: u64) -> (usize, usize) {
    let mut draws = Draws(seed);
    let mut world = if seed.is_multiple_of(2) { World::cold() } else { World::newborn() };
    let windows = vec![Window { max: 2, per_ms: 700, counts: Counts::Starts }];
    let (namespace, name, terms) = (Namespace(0), "mail".into(), Terms { windows, ..Terms::default() });
    world.ask(Command::PutLimiter { namespace, name, terms, unknown: Unknown::Full }).unwrap();
    let limiters = vec![LimiterUse { limiter: "mail".into(), key: None, cost: None }];
    let queue = world.create("a", Config { limiters, retry: retry(3, 400), ..Config::default() });
    let mut bounds = BTreeMap::<u64, Time>::new();
    let mut jobs: Vec<u64> = Vec::new();
    let (mut told, mut ahead) = (0, 0);
    let mut waiting = world.wait(queue, 1, 1_000_000);
    let mut paused_until = Time(0);
    for _ in 0..150 {
        match draws.below(8) {
            0..=2 => {
                let delay_ms = Some(if draws.below(2) == 0 { 0 } else { draws.below(1_500) });
                let priority = draws.below(3) as u32;
                let lane = (draws.below(3) == 0).then(|| Lane([draws.below(3) as u8; 16]));
                jobs.push(world.add(queue, NewMessage { delay_ms, priority, lane, ..message("x") }).unwrap().id);
            }
            3 => {
                let until = Time(world.now.0 + draws.below(900) + 1);
                if until > paused_until {
                    world.ask(Command::PauseQueue { queue, for_ms: until.0 - world.now.0 }).unwrap();
                    paused_until = until;
                }
            }
            4..=5 if !jobs.is_empty() => {
                let job = jobs.get(draws.below(jobs.len() as u64) as usize).copied().unwrap();
                if let Some(bound) = explain(&mut world, queue, job).not_before {
                    told += 1;
                    ahead += usize::from(bound > world.now);
                    let known = bounds.entry(job).or_insert(bound);
                    *known = bound.max(*known);
                }
            }
            _ => world.after(draws.below(250)),
        }
        while let Some(got) = world.got(waiting) {
            let got = got.first().unwrap().clone();
            let job = got.handle.message;
            let bound = bounds.remove(&job).unwrap_or_default();
            assert!(world.now >= bound, "seed {seed}: job {job} runs at {}, not before {bound}", world.now);
            world.give(Command::Released { queue, handles: [got.handle].into_iter().collect() });
            if draws.below(3) == 0 {
                world.change(queue, got.handle, 0).unwrap();
            } else {
                world.delete(queue, got.handle).unwrap();
                jobs.retain(|other| *other != job);
            }
            waiting = world.wait(queue, 1, 1_000_000);
        }
    }
    (told, ahead)
}

#[test]
fn no_job_runs_before_the_time_that_was_told() {
    let lives: Vec<_> = (0..60).map(live).collect();
    let all: (usize, usize) = lives.iter().fold((0, 0), |all, life| (all.0 + life.0, all.1 + life.1));
    assert!(all.1 > 300, "{} times were told, of which {} lay ahead", all.0, all.1);
}
