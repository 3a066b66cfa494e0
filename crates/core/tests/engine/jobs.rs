//! Jobs: messages with options, leased and settled by workers.

use crate::support::*;
use weir_core::api::job::*;
use weir_core::api::*;

const BROKEN: &[u8] = b"broken";

fn failed(again: Again) -> Settlement {
    Settlement::Fail { failure: BROKEN.to_vec(), again }
}

#[test]
fn jobs_run_by_priority_and_those_that_want_to_be_first_before_all_others_of_theirs() {
    for lane in [None, Some(Lane([1; 16]))] {
        let mut world = World::cold();
        let queue = world.create("a", Config::default());
        let with = |text, priority, lifo| NewMessage {
            priority,
            lane,
            ..job(text, JobOptions { lifo, ..JobOptions::default() })
        };
        let jobs = [
            with("b1", 1, false),
            with("b2", 1, true),
            with("a1", 0, false),
            with("a2", 0, true),
            with("b3", 1, true),
            with("a3", 0, true),
            with("a4", 0, false),
        ];
        world.add_all(jobs.into_iter().map(|job| (queue, job)).collect()).unwrap();
        let texts = |got: Vec<Got>| got.into_iter().map(|got| got.text).collect::<Vec<_>>();
        let first = world.lease(queue, 2);
        assert_eq!(first[0].text, "a3");
        assert_eq!(first[1].text, "a2");
        // One that comes back and a new one take their places in front of what was passed already.
        world.settle(queue, first[1].handle, Settlement::Release { delay_ms: 0, pause: None }).unwrap();
        world.add(queue, with("a5", 0, true)).unwrap();
        assert_eq!(texts(world.lease(queue, 3)), ["a5", "a2", "a1"]);
        world.restart();
        world.add(queue, with("a6", 0, true)).unwrap();
        assert_eq!(texts(world.lease(queue, 10)), ["a6", "a4", "b3", "b2", "b1"]);
        assert_eq!(world.counts(queue), [0, 0, 9]);
    }
}

#[test]
fn a_fifo_queue_refuses_jobs_that_want_to_be_first() {
    let mut world = World::new();
    let queue = world.create("a.fifo", Config::default());
    let options = JobOptions { lifo: true, ..JobOptions::default() };
    let refused = world.add(queue, NewMessage { lane: Some(Lane([1; 16])), ..job("1", options) });
    assert!(matches!(refused, Err(Error::Invalid { field: "lifo", .. })), "{refused:?}");
    assert_eq!(world.add(queue, message("1")), Err(Error::LaneRequired));
}

#[test]
fn all_jobs_of_a_command_are_added_or_none() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    let fifo = world.create("b.fifo", Config::default());
    let refused = world.add_all(vec![(queue, message("1")), (fifo, message("2"))]);
    assert_eq!(refused, Err(Error::LaneRequired));
    let retry = Retry { attempts_max: 0, ..Retry::default() };
    let senseless = job("2", JobOptions { retry: Some(retry), ..JobOptions::default() });
    let refused = world.add_all(vec![(queue, message("1")), (queue, senseless)]);
    assert!(matches!(refused, Err(Error::Invalid { field: "attempts_max", .. })), "{refused:?}");
    assert_eq!(world.counts(queue), [0, 0, 0]);
    let added = world.add_all(vec![(queue, message("1")), (fifo, grouped("2", 1))]).unwrap();
    assert_eq!((added[0].queue, added[1].queue), (queue, fifo));
    assert_eq!((world.counts(queue), world.counts(fifo)), ([1, 0, 0], [1, 0, 0]));
}

#[test]
fn a_job_is_added_once_under_the_id_that_its_sender_chose_while_it_is_there() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { keep_completed: Keep::NONE, ..Config::default() });
        let named = |text| job(text, JobOptions { custom_id: Some([5; 16]), ..JobOptions::default() });
        let added = world.add_all(vec![(queue, named("1")), (queue, named("2")), (queue, message("3"))]).unwrap();
        assert_eq!((added[0].duplicate, added[1].duplicate, added[2].duplicate), (false, true, false));
        assert_eq!(added[0].id, added[1].id);
        let got = world.lease(queue, 10);
        assert_eq!(got.iter().map(|got| got.text.as_str()).collect::<Vec<_>>(), ["1", "3"]);
        assert!(world.add(queue, named("4")).unwrap().duplicate, "leased jobs are there");
        world.complete(queue, got[0].handle).unwrap();
        assert!(!world.add(queue, named("5")).unwrap().duplicate);
        // A job that another door deletes is known no more either.
        let got = world.receive(queue, 1).remove(0);
        world.delete(queue, got.handle).unwrap();
        assert!(!world.add(queue, named("6")).unwrap().duplicate);
    }
}

#[test]
fn a_job_runs_when_it_is_told_to_and_not_before() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    let at = weir_core::Time(START.0 + 10_000);
    world.add(queue, job("1", JobOptions { run_at: Some(at), ..JobOptions::default() })).unwrap();
    world.add(queue, NewMessage { delay_ms: Some(5_000), ..message("2") }).unwrap();
    let past = weir_core::Time(START.0 - 1);
    world.add(queue, job("3", JobOptions { run_at: Some(past), ..JobOptions::default() })).unwrap();
    assert_eq!(world.counts(queue), [1, 2, 0]);
    assert_eq!(world.lease_one(queue).text, "3");
    world.after(5_000);
    assert_eq!(world.lease_one(queue).text, "2");
    world.after(4_999);
    assert!(world.lease(queue, 1).is_empty());
    world.after(1);
    assert_eq!(world.lease_one(queue).text, "1");
}

#[test]
fn a_job_that_would_be_delayed_past_its_retention_is_refused() {
    let mut world = World::new();
    let queue = world.create("a", Config { retention_ms: 60_000, ..Config::default() });
    let at = |ms| job("1", JobOptions { run_at: Some(weir_core::Time(START.0 + ms)), ..JobOptions::default() });
    world.add(queue, at(60_000)).unwrap();
    let refused = world.add(queue, at(60_001));
    assert!(matches!(refused, Err(Error::LimitExceeded { allowed: 60_000, found: 60_001, .. })), "{refused:?}");
    let refused = world.add(queue, NewMessage { delay_ms: Some(70_000), ..message("1") });
    assert!(matches!(refused, Err(Error::LimitExceeded { .. })), "{refused:?}");
}

#[test]
fn a_failed_job_is_tried_again_after_its_backoff_until_its_attempts_are_over() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { retry: retry(3, 1_000), ..Config::default() });
        world.add(queue, message("1")).unwrap();
        for failures in 0..2 {
            let got = world.lease_one(queue);
            assert_eq!((got.delivery.failures, got.delivery.grants), (failures, failures + 1));
            let settled = world.fail(queue, got.handle).unwrap();
            assert_eq!(settled.state, JobState::Delayed);
            assert_eq!(settled.due, Some(weir_core::Time(world.now.0 + 1_000)));
            world.after(999);
            assert!(world.lease(queue, 1).is_empty());
            world.after(1);
        }
        let got = world.lease_one(queue);
        assert_eq!(world.fail(queue, got.handle).unwrap().state, JobState::Failed);
        assert_eq!(world.counters(queue), Counters { failed: 1, ..Counters::default() });
        assert_eq!(world.fail(queue, got.handle), Err(Error::LeaseLost));
    }
}

#[test]
fn a_worker_decides_whether_and_when_its_job_is_tried_again() {
    let mut world = World::new();
    let queue = world.create("a", Config { retry: retry(3, 1_000), ..Config::default() });
    world.add(queue, message("1")).unwrap();
    let got = world.lease_one(queue);
    world.settle(queue, got.handle, failed(Again::After(70))).unwrap();
    world.after(70);
    let got = world.lease_one(queue);
    let settled = world.settle(queue, got.handle, failed(Again::Never)).unwrap();
    assert_eq!(settled.state, JobState::Failed);
    // The job's own policy goes before the queue's.
    let own = JobOptions { retry: Some(retry(1, 0)), ..JobOptions::default() };
    world.add(queue, job("2", own)).unwrap();
    let got = world.lease_one(queue);
    assert_eq!(world.fail(queue, got.handle).unwrap().state, JobState::Failed);
    assert_eq!(world.counters(queue).failed, 2);
}

#[test]
fn a_job_without_attempts_left_goes_to_the_dead_letter_queue_with_all_that_belongs_to_it() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let redrive = Some(Redrive { target: "dead".into(), receives_max: 1_000 });
        let queue = world.create("a", Config { redrive, retry: retry(1, 0), ..Config::default() });
        let dead = world.create("dead", Config { retry: retry(1, 0), keep_failed: Keep::NONE, ..Config::default() });
        let options = JobOptions { custom_id: Some([5; 16]), timeout_ms: Some(77), ..JobOptions::default() };
        let lane = Some(Lane([3; 16]));
        world.add(queue, NewMessage { lane, ..job("1", options.clone()) }).unwrap();
        let got = world.lease_one(queue);
        let settled = world.fail(queue, got.handle).unwrap();
        assert_eq!((settled.state, world.counters(queue)), (JobState::Failed, Counters::default()));
        assert!(!world.add(queue, job("2", options.clone())).unwrap().duplicate);
        assert!(world.add(dead, job("3", options)).unwrap().duplicate);
        let got = world.lease_one(dead);
        assert_eq!((got.text.as_str(), got.delivery.failures, got.delivery.grants), ("1", 0, 2));
        assert_eq!(got.delivery.dead_letter_source.as_deref(), Some("a"));
        assert_eq!(got.delivery.timeout_at, Some(weir_core::Time(world.now.0 + 77)));
        world.fail(dead, got.handle).unwrap();
        let got = world.lease_one(queue);
        world.delete(queue, got.handle).unwrap();
        world.assert_no_rows_of_jobs();
    }
}

#[test]
fn a_lease_that_was_lost_settles_nothing() {
    let mut world = World::new();
    let queue = world.create("a", Config { visibility_ms: 1_000, ..Config::default() });
    world.add(queue, message("1")).unwrap();
    let lost = world.lease_one(queue);
    world.now = weir_core::Time(world.now.0 + 1_000);
    assert_eq!(world.complete(queue, lost.handle), Err(Error::LeaseLost), "it ended, though no timer has run yet");
    world.after(0);
    assert_eq!(world.complete(queue, lost.handle), Err(Error::LeaseLost));
    let held = world.lease_one(queue);
    assert_eq!((held.delivery.stalls, held.delivery.failures), (1, 0));
    let stale = [
        Settlement::Complete { result: None },
        failed(Again::ByPolicy),
        Settlement::Release { delay_ms: 0, pause: None },
        Settlement::Extend { lease_ms: Some(90_000), progress: Some(vec![1]), logs: vec![vec![2]] },
    ];
    let before = world.rows.all.clone();
    for settlement in stale {
        assert_eq!(world.settle(queue, lost.handle, settlement), Err(Error::LeaseLost));
    }
    assert_eq!(world.rows.all, before);
    let forged = Handle { proof: held.handle.proof ^ 1, ..held.handle };
    assert_eq!(world.complete(queue, forged), Err(Error::HandleInvalid));
    assert_eq!(world.complete(queue, held.handle).unwrap().state, JobState::Completed);
    assert_eq!(world.complete(queue, held.handle), Err(Error::LeaseLost));
}

#[test]
fn a_job_that_loses_its_workers_too_often_has_failed() {
    let mut world = World::new();
    let queue = world.create("a", Config { visibility_ms: 1_000, stalls_max: 2, ..Config::default() });
    world.add(queue, message("1")).unwrap();
    for stalls in 0..3 {
        let got = world.lease_one(queue);
        assert_eq!((got.delivery.stalls, got.delivery.failures), (stalls, 0));
        world.after(1_000);
    }
    assert_eq!(world.counters(queue), Counters { failed: 1, ..Counters::default() });
}

#[test]
fn an_attempt_that_takes_too_long_is_a_failure_however_often_it_is_extended() {
    let mut world = World::new();
    let config = Config { timeout_ms: Some(5_000), visibility_ms: 2_000, retry: retry(2, 100), ..Config::default() };
    let queue = world.create("a", config);
    world.add(queue, message("1")).unwrap();
    let got = world.lease_one(queue);
    let extend = || Settlement::Extend { lease_ms: None, progress: None, logs: Vec::new() };
    for _ in 0..2 {
        world.after(1_900);
        let settled = world.settle(queue, got.handle, extend()).unwrap();
        assert!(settled.due.unwrap() <= got.delivery.timeout_at.unwrap());
    }
    world.after(1_199);
    assert_eq!(world.settle(queue, got.handle, extend()).unwrap().due, got.delivery.timeout_at);
    world.after(1);
    assert_eq!(world.settle(queue, got.handle, extend()), Err(Error::LeaseLost));
    assert_eq!(world.counts(queue), [0, 1, 0]);
    world.after(100);
    let got = world.lease_one(queue);
    assert_eq!((got.delivery.failures, got.delivery.stalls), (1, 0));
    // A job's own time goes before the queue's.
    let own = JobOptions { timeout_ms: Some(10), ..JobOptions::default() };
    world.add(queue, job("2", own)).unwrap();
    assert_eq!(world.lease_one(queue).delivery.timeout_at, Some(weir_core::Time(world.now.0 + 10)));
}

#[test]
fn a_backoff_that_time_began_ends_although_something_else_is_due_later() {
    let mut world = World::new();
    let queue = world.create("a", Config { timeout_ms: Some(1_000), retry: retry(2, 100), ..Config::default() });
    world.add(queue, message("1")).unwrap();
    world.add(queue, NewMessage { delay_ms: Some(60_000), ..message("2") }).unwrap();
    assert_eq!(world.lease_one(queue).text, "1");
    world.after(1_000);
    assert_eq!(world.counts(queue), [0, 2, 0]);
    world.after(100);
    assert_eq!(world.lease_one(queue).text, "1");
}

#[test]
fn work_that_was_not_begun_costs_nothing() {
    let mut world = World::new();
    let redrive = Some(Redrive { target: "dead".into(), receives_max: 2 });
    let queue = world.create("a", Config { redrive, retry: retry(1, 0), ..Config::default() });
    world.create("dead", Config::default());
    world.add(queue, message("1")).unwrap();
    for _ in 0..5 {
        let got = world.lease_one(queue);
        assert_eq!((got.delivery.grants, got.delivery.failures), (1, 0));
        let settled = world.settle(queue, got.handle, Settlement::Release { delay_ms: 50, pause: None }).unwrap();
        assert_eq!(settled.state, JobState::Delayed);
        world.after(50);
    }
    assert_eq!(world.counts(queue), [1, 0, 0]);
}

#[test]
fn every_door_may_settle_what_another_door_added() {
    for mut world in [World::new(), World::newborn()] {
        let queue = world.create("a", Config { keep_completed: Keep::NONE, ..Config::default() });
        world.send(queue, message("sent")).unwrap();
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        world.add(queue, message("added")).unwrap();
        let got = world.receive(queue, 1).remove(0);
        world.delete(queue, got.handle).unwrap();
        // The lease of a receive that ends is no lost worker.
        world.add(queue, message("received")).unwrap();
        world.receive(queue, 1);
        world.after(30_000);
        let got = world.lease_one(queue);
        assert_eq!((got.delivery.stalls, got.delivery.grants), (0, 2));
        world.delete(queue, got.handle).unwrap();
        world.assert_no_rows_of_jobs();
    }
}

#[test]
fn the_entries_of_a_settlement_stand_on_their_own() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a.fifo", Config { keep_completed: Keep::NONE, ..Config::default() });
        for text in ["1", "2", "3"] {
            world.add(queue, grouped(text, 1)).unwrap();
        }
        let got = world.lease(queue, 3);
        let long = vec![0; RESULT_BYTES_MAX as usize + 1];
        let entries = vec![
            (got[0].handle, Settlement::Complete { result: Some(long) }),
            (got[0].handle, Settlement::Complete { result: None }),
            (got[0].handle, failed(Again::ByPolicy)),
            (got[1].handle, failed(Again::ByPolicy)),
            (got[2].handle, Settlement::Complete { result: None }),
        ];
        let settled = world.settle_all(queue, entries).unwrap();
        assert!(matches!(settled[0], Err(Error::LimitExceeded { .. })));
        let states: Vec<_> = settled[1..].iter().map(|settled| settled.clone().map(|settled| settled.state)).collect();
        let expected = [Ok(JobState::Completed), Err(Error::LeaseLost), Ok(JobState::Delayed), Ok(JobState::Completed)];
        assert_eq!(states, expected);
        assert_eq!(world.counts(queue), [0, 1, 0]);
    }
}
