//! What finished in a queue, minute by minute, and how many ready messages have which priority.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::Time;
use weir_core::api::job::*;
use weir_core::api::*;

const MINUTE_MS: u64 = 60_000;

/// The total, and by minutes since the start what was completed and what failed.
fn ends(world: &mut World, queue: QueueId, last_minutes: u64) -> ([u64; 2], Vec<(u64, u64, u64)>) {
    let to = world.now;
    let from = Time(to.0.saturating_sub((last_minutes - 1) * MINUTE_MS));
    match world.ask(Command::QueueEnds { queue, from, to }).unwrap() {
        Reply::Ends { total, minutes } => {
            let since = |at: Time| (at.0 - START.0 / MINUTE_MS * MINUTE_MS) / MINUTE_MS;
            let minutes = minutes.into_iter().map(|(at, ends)| (since(at), ends.completed, ends.failed)).collect();
            ([total.completed, total.failed], minutes)
        }
        other => panic!("{other:?}"),
    }
}

fn complete(world: &mut World, queue: QueueId) {
    world.add(queue, message("x")).unwrap();
    let got = world.lease_one(queue);
    world.complete(queue, got.handle).unwrap();
}

#[test]
fn what_finishes_is_counted_by_the_minute_over_restarts() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let kept = Config { retry: retry(1, 0), keep_completed: Keep::NONE, ..Config::default() };
        let queue = world.create("a", kept);
        let nothing = (([0, 0]), vec![]);
        assert_eq!(ends(&mut world, queue, 5), nothing);
        complete(&mut world, queue);
        world.add(queue, message("fails")).unwrap();
        let got = world.lease_one(queue);
        world.fail(queue, got.handle).unwrap();
        assert_eq!(ends(&mut world, queue, 5), ([1, 1], vec![(0, 1, 1)]));
        world.restart();
        world.send(queue, message("of SQS")).unwrap();
        let got = world.receive(queue, 1).remove(0);
        world.delete(queue, got.handle).unwrap();
        assert_eq!(ends(&mut world, queue, 5), ([2, 1], vec![(0, 2, 1)]));
        world.after(2 * MINUTE_MS);
        complete(&mut world, queue);
        assert_eq!(ends(&mut world, queue, 5), ([3, 1], vec![(0, 2, 1), (2, 1, 0)]));
        world.restart();
        assert_eq!(ends(&mut world, queue, 5), ([3, 1], vec![(0, 2, 1), (2, 1, 0)]));
        world.after(MINUTE_MS);
        complete(&mut world, queue);
        world.restart();
        world.after(MINUTE_MS);
        complete(&mut world, queue);
        assert_eq!(ends(&mut world, queue, 5), ([5, 1], vec![(0, 2, 1), (2, 1, 0), (3, 1, 0), (4, 1, 0)]));
        assert_eq!(ends(&mut world, queue, 2), ([5, 1], vec![(3, 1, 0), (4, 1, 0)]));
        world.ask(Command::PurgeQueue { queue }).unwrap();
        assert_eq!(ends(&mut world, queue, 1), ([5, 1], vec![(4, 1, 0)]), "it was done, whatever is there now");
    }
}

#[test]
fn dead_letters_and_cancelled_jobs_have_failed_and_removed_ones_have_not_finished() {
    let mut world = World::cold();
    world.create("dead", Config::default());
    let redrive = Some(Redrive { target: "dead".into(), receives_max: 9 });
    let queue = world.create("a", Config { retry: retry(1, 0), redrive, ..Config::default() });
    let ids: Vec<u64> = (0..3).map(|_| world.add(queue, message("x")).unwrap().id).collect();
    let got = world.lease(queue, 1).remove(0);
    world.fail(queue, got.handle).unwrap();
    for (id, change) in [(ids[1], JobChange::Cancel), (ids[2], JobChange::Remove)] {
        world.ask(Command::ChangeJobs { queue, jobs: vec![JobRef::Id(id)], change }).unwrap();
    }
    assert_eq!(ends(&mut world, queue, 1).0, [0, 2]);
}

#[test]
fn two_weeks_are_kept_and_go_with_the_queue() {
    let mut world = World::newborn();
    let queue = world.create("a", Config { keep_completed: Keep::NONE, ..Config::default() });
    for _ in 0..40 {
        complete(&mut world, queue);
        world.engine.flush(&mut world.rows);
        world.after(MINUTE_MS * 60 * 12);
    }
    let rows = world.row_kinds()[&42];
    assert!((28..=30).contains(&rows), "{rows} rows of two weeks, twice a day");
    let from = Time(world.now.0 - MINUTES_MAX * MINUTE_MS);
    let asked = Command::QueueEnds { queue, from, to: world.now };
    let what = "minutes of a page";
    assert_eq!(world.ask(asked), Err(Error::LimitExceeded { what, allowed: MINUTES_MAX, found: MINUTES_MAX + 1 }));
    let old = Time(world.now.0 - (MINUTES_KEPT + 5) * MINUTE_MS);
    match world.ask(Command::QueueEnds { queue, from: old, to: Time(old.0 + 2 * MINUTE_MS) }).unwrap() {
        Reply::Ends { total, minutes } => assert_eq!((total.completed, minutes), (40, vec![])),
        other => panic!("{other:?}"),
    }
    world.ask(Command::DeleteQueue { queue }).unwrap();
    world.after(0);
    assert_eq!(world.row_kinds().get(&42), None);
}

#[test]
fn ready_messages_are_counted_by_priority_over_restarts() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let priorities = |world: &mut World| match world.ask(Command::QueueStats { queue }).unwrap() {
            Reply::Stats { priorities, .. } => priorities,
            other => panic!("{other:?}"),
        };
        assert_eq!(priorities(&mut world), Some(vec![]));
        for (group, priority) in [(1, 5), (2, 0), (3, 5), (4, 9)] {
            world.add(queue, NewMessage { priority, ..grouped("x", group) }).unwrap();
        }
        world.add(queue, NewMessage { priority: 3, delay_ms: Some(1_000), ..grouped("later", 5) }).unwrap();
        assert_eq!(priorities(&mut world), Some(vec![(0, 1), (5, 2), (9, 1)]));
        let got = world.lease(queue, 2);
        assert_eq!(priorities(&mut world), Some(vec![(5, 1), (9, 1)]));
        world.restart();
        world.after(1_000);
        world.settle(queue, got[0].handle, Settlement::Release { delay_ms: 0, pause: None }).unwrap();
        assert_eq!(priorities(&mut world), Some(vec![(0, 1), (3, 1), (5, 1), (9, 1)]));
        world.ask(Command::PurgeQueue { queue }).unwrap();
        assert_eq!(priorities(&mut world), Some(vec![]));
    }
}
