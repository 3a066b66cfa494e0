//! Changing jobs: their place, their time, their payload, their end.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::Time;
use weir_core::api::job::*;
use weir_core::api::*;

fn change_all(world: &mut World, queue: QueueId, jobs: Vec<JobRef>, change: JobChange) -> Vec<Result<(), Error>> {
    match world.ask(Command::ChangeJobs { queue, jobs, change }).unwrap() {
        Reply::Settled(settled) => settled.into_vec(),
        other => panic!("{other:?}"),
    }
}

fn change(world: &mut World, queue: QueueId, job: u64, change: JobChange) -> Result<(), Error> {
    change_all(world, queue, vec![JobRef::Id(job)], change).remove(0)
}

fn leased_texts(world: &mut World, queue: QueueId) -> Vec<String> {
    world.lease(queue, 100).into_iter().map(|got| got.text).collect()
}

const STATE: fn(JobState) -> Result<(), Error> = |state| Err(Error::JobState { state });

#[test]
fn a_job_that_waits_gets_another_place_in_the_order() {
    for (make, lane) in [(World::cold as fn() -> World, None), (World::newborn, Some(Lane([1; 16])))] {
        let mut world = make();
        let queue = world.create("a", Config::default());
        let ids: Vec<u64> = ["1", "2", "3", "4"]
            .map(|text| world.add(queue, NewMessage { priority: 5, lane, ..message(text) }).unwrap().id)
            .into();
        change(&mut world, queue, ids[3], JobChange::Priority { priority: 0, lifo: false }).unwrap();
        change(&mut world, queue, ids[2], JobChange::Priority { priority: 5, lifo: true }).unwrap();
        let later = JobChange::Priority { priority: 9, lifo: false };
        assert_eq!(change(&mut world, queue, ids[0], later), Ok(()));
        assert_eq!(leased_texts(&mut world, queue), ["4", "3", "2", "1"]);
        let again = JobChange::Priority { priority: 1, lifo: false };
        assert_eq!(change(&mut world, queue, ids[0], again), STATE(JobState::Leased));
    }
    let mut world = World::new();
    let fifo = world.create("a.fifo", Config::default());
    let command =
        Command::ChangeJobs { queue: fifo, jobs: vec![], change: JobChange::Priority { priority: 0, lifo: true } };
    assert!(matches!(world.ask(command), Err(Error::Invalid { field: "lifo", .. })));
}

#[test]
fn the_time_of_a_job_that_waits_can_be_changed_and_it_can_be_promoted() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let [soon, late, now] = [5_000, 9_000, 0].map(|delay_ms| {
            let new =
                NewMessage { delay_ms: Some(delay_ms), ..grouped(&delay_ms.to_string(), (delay_ms / 1_000) as u8) };
            world.add(queue, new).unwrap().id
        });
        change(&mut world, queue, soon, JobChange::RunAt(Time(START.0 + 20_000))).unwrap();
        change(&mut world, queue, now, JobChange::RunAt(Time(START.0 + 10_000))).unwrap();
        change(&mut world, queue, late, JobChange::Promote).unwrap();
        assert_eq!(leased_texts(&mut world, queue), ["9000"]);
        assert_eq!(change(&mut world, queue, late, JobChange::Promote), STATE(JobState::Leased));
        world.after(9_999);
        assert!(world.lease(queue, 9).is_empty());
        world.after(1);
        assert_eq!(leased_texts(&mut world, queue), ["0"]);
        change(&mut world, queue, soon, JobChange::RunAt(Time(0))).unwrap();
        assert_eq!(leased_texts(&mut world, queue), ["5000"]);
        let refused = change(&mut world, queue, 999, JobChange::Promote);
        assert_eq!(refused, Err(Error::JobNotFound));
    }
}

#[test]
fn a_promoted_job_wakes_who_waits() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let id = world.add(queue, NewMessage { delay_ms: Some(5_000), ..message("1") }).unwrap().id;
    let waiting = world.wait(queue, 1, 1_000);
    change(&mut world, queue, id, JobChange::Promote).unwrap();
    assert_eq!(world.got(waiting).unwrap()[0].text, "1");
}

#[test]
fn the_starts_of_a_job_that_is_tried_again_are_counted_anew_where_that_is_asked_for() {
    for reset_starts in [false, true] {
        let mut world = World::cold();
        let queue = world.create("a", Config { retry: retry(2, 0), ..Config::default() });
        let id = world.add(queue, message("1")).unwrap().id;
        let first = world.lease_one(queue);
        world.fail(queue, first.handle).unwrap();
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        change(&mut world, queue, id, JobChange::Retry { reset: false, reset_starts }).unwrap();
        let again = world.lease_one(queue);
        let Delivery { failures, grants, starts, .. } = again.delivery;
        assert_eq!((failures, grants, starts), if reset_starts { (1, 1, 1) } else { (1, 3, 3) });
        assert_eq!(world.complete(queue, first.handle), Err(Error::LeaseLost), "the fence goes on");
        world.complete(queue, again.handle).unwrap();
    }
}

#[test]
fn a_finished_job_is_tried_again_with_its_failures_or_without() {
    for reset in [false, true] {
        let mut world = World::cold();
        let queue = world.create("a", Config { retry: retry(1, 0), ..Config::default() });
        let id = world.add(queue, message("1")).unwrap().id;
        let got = world.lease_one(queue);
        assert_eq!(
            change(&mut world, queue, id, JobChange::Retry { reset, reset_starts: false }),
            STATE(JobState::Leased)
        );
        world.fail(queue, got.handle).unwrap();
        change(&mut world, queue, id, JobChange::Retry { reset, reset_starts: false }).unwrap();
        assert_eq!(
            change(&mut world, queue, id, JobChange::Retry { reset, reset_starts: false }),
            STATE(JobState::Ready)
        );
        let got = world.lease_one(queue);
        assert_eq!((got.delivery.failures, got.delivery.grants), (u32::from(!reset), 2));
        world.complete(queue, got.handle).unwrap();
        change(&mut world, queue, id, JobChange::Retry { reset, reset_starts: false }).unwrap();
        assert_eq!(world.counters(queue), Counters { ready: 1, ..Counters::default() });
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        assert_eq!(world.counters(queue), Counters { completed: 1, ..Counters::default() });
    }
}

#[test]
fn a_job_that_waits_is_cancelled_at_once_and_who_works_on_one_learns_of_it() {
    let mut world = World::cold();
    let redrive = Some(Redrive { target: "dead".into(), receives_max: 9 });
    world.create("dead", Config::default());
    let queue = world.create("a", Config { redrive, ..Config::default() });
    let ids = [0, 5_000, 0].map(|delay_ms| {
        world.add(queue, NewMessage { delay_ms: Some(delay_ms), ..message(&delay_ms.to_string()) }).unwrap().id
    });
    let got = world.lease(queue, 1).remove(0);
    let jobs = ids.iter().map(|&id| JobRef::Id(id)).collect();
    assert_eq!(change_all(&mut world, queue, jobs, JobChange::Cancel), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(world.counters(queue), Counters { failed: 2, leased: 1, ..Counters::default() });
    assert_eq!(change(&mut world, queue, ids[1], JobChange::Cancel), STATE(JobState::Failed));
    let extend = Settlement::Extend { lease_ms: None, progress: None, logs: vec![] };
    assert!(world.settle(queue, got.handle, extend).unwrap().cancel_requested);
    assert_eq!(world.fail(queue, got.handle).unwrap().state, JobState::Failed, "it is not tried again");
    assert_eq!(world.counters(queue).failed, 3);
    change(&mut world, queue, ids[0], JobChange::Retry { reset: true, reset_starts: false }).unwrap();
    let got = world.lease_one(queue);
    let extend = Settlement::Extend { lease_ms: None, progress: None, logs: vec![] };
    assert!(!world.settle(queue, got.handle, extend).unwrap().cancel_requested, "who is tried again goes on");
}

#[test]
fn a_cancelled_job_whose_worker_is_lost_does_not_run_again() {
    let mut world = World::cold();
    let queue = world.create("a", Config { visibility_ms: 1_000, ..Config::default() });
    let id = world.add(queue, message("1")).unwrap().id;
    world.lease_one(queue);
    change(&mut world, queue, id, JobChange::Cancel).unwrap();
    world.restart();
    world.after(1_000);
    assert_eq!(world.counters(queue), Counters { failed: 1, ..Counters::default() });
}

#[test]
fn a_cancelled_job_whose_grant_never_left_or_that_another_door_received_does_not_run_again() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { visibility_ms: 1_000, ..Config::default() });
        let options = JobOptions { custom_id: Some([1; 16]), ..JobOptions::default() };
        let id = world.add(queue, job("1", options)).unwrap().id;
        let got = world.lease_one(queue);
        change(&mut world, queue, id, JobChange::Cancel).unwrap();
        world.give(Command::Return { queue, handles: [got.handle].into_iter().collect() });
        assert_eq!(world.counters(queue), Counters { failed: 1, ..Counters::default() });
        for visibility_ms in [None, Some(0)] {
            let id = world.add(queue, message("2")).unwrap().id;
            let got = world.receive(queue, 1).remove(0);
            change(&mut world, queue, id, JobChange::Cancel).unwrap();
            match visibility_ms {
                Some(ms) => world.change(queue, got.handle, ms).unwrap(),
                None => world.after(1_000),
            }
        }
        assert_eq!(world.counters(queue), Counters { failed: 3, ..Counters::default() });
    }
}

#[test]
fn a_job_that_nobody_works_on_can_be_removed_whatever_its_state() {
    for name in ["a", "a.fifo"] {
        let mut world = World::newborn();
        let queue = world.create(name, Config::default());
        let mut add = |text: &str, delay_ms| {
            let options = JobOptions { custom_id: Some([text.as_bytes()[0]; 16]), ..JobOptions::default() };
            world
                .add(queue, NewMessage { delay_ms: Some(delay_ms), lane: Some(Lane([1; 16])), ..job(text, options) })
                .unwrap()
                .id
        };
        let [leased, done, ready, delayed] = [add("l", 0), add("d", 0), add("r", 0), add("w", 5_000)];
        let got = world.lease(queue, 2);
        world.complete(queue, got[1].handle).unwrap();
        let jobs = vec![
            JobRef::Id(leased),
            JobRef::Id(done),
            JobRef::Custom([b'r'; 16]),
            JobRef::Id(delayed),
            JobRef::Id(ready),
        ];
        let answers = [STATE(JobState::Leased), Ok(()), Ok(()), Ok(()), Err(Error::JobNotFound)];
        assert_eq!(change_all(&mut world, queue, jobs, JobChange::Remove), answers);
        assert_eq!(world.counters(queue), Counters { leased: 1, ..Counters::default() });
        world.complete(queue, got[0].handle).unwrap();
        change(&mut world, queue, leased, JobChange::Remove).unwrap();
        assert_eq!(world.row_kinds().into_keys().filter(|kind| !(16..=18).contains(kind)).count(), 0);
    }
}

#[test]
fn a_job_gets_another_payload() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let id = world.add(queue, message("a long one")).unwrap().id;
    for payload in ["longer than that", "short"] {
        change(&mut world, queue, id, JobChange::Payload(payload.into())).unwrap();
    }
    assert_eq!(world.texts_within(queue, 5), ["short"]);
    let command = Command::ChangeJobs { queue, jobs: vec![JobRef::Id(1); 257], change: JobChange::Cancel };
    assert!(matches!(world.ask(command), Err(Error::LimitExceeded { .. })));
}

#[test]
fn a_change_of_many_jobs_of_a_group_reads_all_before_it_writes() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let ids: Vec<u64> = (0..40).map(|n| world.add(queue, grouped("x", n % 2)).unwrap().id).collect();
        let jobs = ids[..30].iter().map(|&id| JobRef::Id(id)).collect();
        assert!(change_all(&mut world, queue, jobs, JobChange::Cancel).iter().all(Result::is_ok));
        assert_eq!(world.counters(queue), Counters { ready: 10, failed: 30, ..Counters::default() });
    }
}
