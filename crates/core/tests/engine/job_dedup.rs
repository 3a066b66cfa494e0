//! Jobs that keep others away: by deduplication id and by idempotency key.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::job::*;
use weir_core::api::*;
use weir_core::{Stop, Time};

const SIMPLE: JobDedup = JobDedup {
    hash: [3; 16],
    ttl_ms: None,
    extend: false,
    replace: false,
    reschedule: false,
    keep_last_if_active: false,
};

fn with(text: &str, dedup: JobDedup) -> NewMessage {
    job(text, JobOptions { dedup: Some(dedup), ..JobOptions::default() })
}

fn assert_no_rows_of_jobs(world: &World) {
    let kinds: Vec<u8> = world.row_kinds().into_keys().filter(|kind| !(16..=18).contains(kind)).collect();
    assert!(kinds.is_empty(), "{kinds:?}");
}

const NOTHING: Keep = Keep::NONE;

#[test]
fn a_duplicate_is_kept_away_until_the_job_has_finished() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config { retry: retry(1, 0), keep_failed: NOTHING, ..Config::default() });
        let jobs = vec![(queue, with("1", SIMPLE)), (queue, with("2", SIMPLE)), (queue, message("3"))];
        let added = world.add_all(jobs).unwrap();
        assert_eq!((added[0].duplicate, added[1].duplicate, added[2].duplicate), (false, true, false));
        assert_eq!(added[0].id, added[1].id);
        let other = JobDedup { hash: [4; 16], ..SIMPLE };
        assert!(!world.add(queue, with("other", other)).unwrap().duplicate);
        let got = world.lease(queue, 9);
        world.restart();
        assert!(world.add(queue, with("4", SIMPLE)).unwrap().duplicate, "it is being worked on");
        world.complete(queue, got[0].handle).unwrap();
        assert!(!world.add(queue, with("5", SIMPLE)).unwrap().duplicate, "the first is done, and kept");
        let got = world.lease_one(queue);
        world.fail(queue, got.handle).unwrap();
        assert!(!world.add(queue, with("6", SIMPLE)).unwrap().duplicate, "the second has failed");
        let got = world.receive(queue, 1).remove(0);
        world.delete(queue, got.handle).unwrap();
        let added = world.add(queue, with("7", SIMPLE)).unwrap();
        assert!(!added.duplicate, "the third was deleted by another door");
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        let change = JobChange::Retry { reset: true, reset_starts: false };
        world.ask(Command::ChangeJobs { queue, jobs: vec![JobRef::Id(added.id)], change }).unwrap();
        assert!(world.add(queue, with("8", SIMPLE)).unwrap().duplicate, "the fourth is tried again");
    }
}

#[test]
fn a_duplicate_is_kept_away_for_a_time_whether_the_job_is_done_or_not() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
        let dedup = JobDedup { ttl_ms: Some(5_000), ..SIMPLE };
        world.add(queue, with("1", dedup)).unwrap();
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        world.after(4_999);
        world.restart();
        assert!(world.add(queue, with("2", dedup)).unwrap().duplicate);
        world.now = Time(START.0 + 5_000);
        assert!(!world.add(queue, with("3", dedup)).unwrap().duplicate);
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        world.after(10_000);
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn each_duplicate_can_start_the_time_anew() {
    let mut world = World::cold();
    let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
    let dedup = JobDedup { ttl_ms: Some(5_000), extend: true, ..SIMPLE };
    world.add(queue, with("1", dedup)).unwrap();
    for _ in 0..3 {
        world.after(4_000);
        assert!(world.add(queue, with("2", dedup)).unwrap().duplicate);
    }
    world.after(5_000);
    assert!(!world.add(queue, with("3", dedup)).unwrap().duplicate);
    assert_eq!(world.texts(queue, 1), ["1"]);
}

#[test]
fn a_duplicate_can_take_the_place_of_a_job_that_is_still_delayed() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let dedup = JobDedup { ttl_ms: Some(3_000), extend: true, replace: true, ..SIMPLE };
        let debounced = |text, group| NewMessage {
            delay_ms: Some(3_000),
            priority: 7,
            lane: Some(Lane([group; 16])),
            ..with(text, dedup)
        };
        let jobs = vec![(queue, debounced("1", 1)), (queue, debounced("2", 2)), (queue, debounced("3", 1))];
        let added = world.add_all(jobs).unwrap();
        assert!(!added[0].duplicate && added[1..].iter().all(|one| one.duplicate && one.id == added[0].id));
        world.after(2_000);
        world.add(queue, debounced("4", 2)).unwrap();
        world.after(2_999);
        assert_eq!(world.counts(queue), [0, 1, 0]);
        world.after(1);
        let got = world.lease_one(queue);
        assert_eq!((got.text.as_str(), got.delivery.priority), ("4", 7));
        let added = world.add(queue, debounced("5", 1)).unwrap();
        assert!(!added.duplicate, "its time is over");
    }
}

#[test]
fn a_duplicate_can_give_a_job_that_is_still_delayed_another_time() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let dedup = JobDedup { reschedule: true, ..SIMPLE };
        let later = |text, delay_ms, dedup| NewMessage {
            delay_ms,
            priority: 7,
            lane: Some(Lane([1; 16])),
            ..with(text, dedup)
        };
        let first = world.add(queue, later("1", Some(3_000), dedup)).unwrap();
        world.after(2_000);
        let other = NewMessage { priority: 1, lane: Some(Lane([2; 16])), ..later("2", Some(3_000), dedup) };
        let second = world.add(queue, other).unwrap();
        assert!(second.duplicate && second.id == first.id);
        world.after(2_999);
        assert_eq!(world.counts(queue), [0, 1, 0]);
        world.after(1);
        assert!(world.add(queue, later("3", Some(9_000), dedup)).unwrap().duplicate);
        let got = world.lease_one(queue);
        assert_eq!((got.text.as_str(), got.delivery.priority), ("1", 7), "it was ready, and stays so");
        assert!(world.add(queue, later("4", Some(9_000), dedup)).unwrap().duplicate);
        assert_eq!(world.counts(queue), [0, 0, 1]);
        world.complete(queue, got.handle).unwrap();
        world.add(queue, later("5", Some(60_000), dedup)).unwrap();
        let waiting = world.wait(queue, 1, 1_000);
        world.add(queue, later("6", None, dedup)).unwrap();
        assert_eq!(world.got(waiting).expect("it may run at once")[0].text, "5");
    }
}

#[test]
fn a_duplicate_that_takes_the_place_of_a_job_is_more_than_another_time() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let dedup = JobDedup { reschedule: true, replace: true, ..SIMPLE };
    for text in ["1", "2"] {
        world.add(queue, NewMessage { delay_ms: Some(3_000), ..with(text, dedup) }).unwrap();
    }
    world.after(3_000);
    assert_eq!(world.lease_one(queue).text, "2");
}

#[test]
fn the_last_duplicate_that_came_while_the_job_was_worked_on_comes_after_it() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
        let dedup = JobDedup { keep_last_if_active: true, ..SIMPLE };
        let last = |text| NewMessage { lane: Some(Lane([1; 16])), ..with(text, dedup) };
        world.add(queue, last("1")).unwrap();
        assert!(world.add(queue, last("while it waits")).unwrap().duplicate);
        let got = world.lease_one(queue);
        for text in ["2", "3", "4"] {
            assert!(world.add(queue, last(text)).unwrap().duplicate);
        }
        world.restart();
        assert_eq!(world.counters(queue), Counters { leased: 1, ..Counters::default() });
        let waiting = world.wait(queue, 1, 1_000);
        world.complete(queue, got.handle).unwrap();
        let got = world.got(waiting).expect("it wakes who waits").remove(0);
        assert_eq!(got.text, "4");
        assert!(world.add(queue, last("5")).unwrap().duplicate, "it keeps others away as the first one did");
        world.delete(queue, got.handle).unwrap();
        let got = world.lease_one(queue);
        assert_eq!(got.text, "5");
        world.complete(queue, got.handle).unwrap();
        assert_eq!(world.counters(queue), Counters::default());
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn what_keeps_others_away_goes_with_a_job_that_is_removed_moved_or_purged() {
    for how in ["removed", "moved", "purged"] {
        let mut world = World::newborn();
        let [queue, other] = ["a", "b"].map(|name| world.create(name, Config::default()));
        let dedup = JobDedup { ttl_ms: (how != "moved").then_some(90_000), keep_last_if_active: true, ..SIMPLE };
        let id = world.add(queue, with("1", dedup)).unwrap().id;
        match how {
            "removed" => {
                let jobs = vec![JobRef::Id(id)];
                world.ask(Command::ChangeJobs { queue, jobs, change: JobChange::Remove }).unwrap();
            }
            "moved" => {
                world.ask(Command::Move { queue, to: other, ids: vec![id] }).unwrap();
            }
            _ => {
                world.lease_one(queue);
                world.add(queue, with("kept back", dedup)).unwrap();
                world.ask(Command::PurgeQueue { queue }).unwrap();
                world.after(0);
            }
        }
        if how != "moved" {
            assert_no_rows_of_jobs(&world);
        }
        assert!(!world.add(queue, with("2", dedup)).unwrap().duplicate, "{how}");
    }
}

fn request(world: &mut World, queue: QueueId, text: &str, key: u8) -> Vec<Added> {
    let jobs = vec![NewJob { queue, version: 1, message: message(text) }; 2];
    match world.ask(Command::AddJobs { jobs, idempotency: Some([key; 16]) }).unwrap() {
        Reply::Added(added) => added,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_that_is_repeated_under_its_key_has_the_same_answer_for_a_day() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let first = request(&mut world, queue, "1", 1);
    assert_ne!(request(&mut world, queue, "2", 2), first);
    world.after(IDEMPOTENCY_WINDOW_MS - 1);
    world.restart();
    assert_eq!(request(&mut world, queue, "3", 1), first);
    assert_eq!(world.counts(queue), [4, 0, 0]);
    world.now = Time(START.0 + IDEMPOTENCY_WINDOW_MS);
    let again = request(&mut world, queue, "4", 1);
    assert_ne!(again, first);
    assert_eq!(request(&mut world, queue, "5", 1), again);
    world.after(2 * IDEMPOTENCY_WINDOW_MS);
    assert_eq!(world.row_kinds().get(&28), None, "the answers are forgotten");
    world.restart();
    assert_ne!(request(&mut world, queue, "6", 1), again);
}

#[test]
fn a_deduplication_id_tells_its_job_and_can_be_made_free() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
        let dedup = JobDedup { ttl_ms: Some(60_000), ..SIMPLE };
        let hash = dedup.hash;
        let forget = |job| Command::ForgetDedup { queue, hash, job };
        assert_eq!(world.ask(forget(None)), Err(Error::JobNotFound));
        let first = world.add(queue, with("1", dedup)).unwrap().id;
        let described = world.ask(Command::DescribeJob { queue, job: JobRef::Deduplicating(hash), wait_ms: 0 });
        assert!(matches!(described, Ok(Reply::Job(job)) if job.id == first));
        assert_eq!(world.ask(forget(Some(JobRef::Id(first + 1)))), Err(Error::JobNotFound));
        assert!(world.add(queue, with("2", dedup)).unwrap().duplicate);
        assert_eq!(world.ask(forget(Some(JobRef::Id(first)))), Ok(Reply::Done));
        assert!(!world.add(queue, with("3", dedup)).unwrap().duplicate);
        let texts: Vec<_> = world.lease(queue, 10).into_iter().map(|got| got.text).collect();
        assert_eq!(texts, ["1", "3"]);
    }
}

#[test]
fn a_duplicate_that_is_kept_back_comes_when_the_id_is_made_free() {
    let mut world = World::cold();
    let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
    let dedup = JobDedup { keep_last_if_active: true, ..SIMPLE };
    world.add(queue, with("1", dedup)).unwrap();
    let got = world.lease_one(queue);
    world.add(queue, with("2", dedup)).unwrap();
    world.ask(Command::ForgetDedup { queue, hash: dedup.hash, job: None }).unwrap();
    world.after(0);
    assert_eq!(world.lease_one(queue).text, "2");
    world.complete(queue, got.handle).unwrap();
    assert!(world.add(queue, with("3", dedup)).unwrap().duplicate);
}

#[test]
fn a_duplicate_that_is_kept_back_is_not_lost_when_the_time_is_over() {
    let mut world = World::cold();
    let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
    let dedup = JobDedup { ttl_ms: Some(1_000), keep_last_if_active: true, ..SIMPLE };
    world.add(queue, with("1", dedup)).unwrap();
    let got = world.lease_one(queue);
    assert!(world.add(queue, with("2", dedup)).unwrap().duplicate);
    world.after(2_000);
    assert!(world.add(queue, with("3", dedup)).unwrap().duplicate, "one is kept back, and comes first");
    world.complete(queue, got.handle).unwrap();
    let got = world.lease_one(queue);
    assert_eq!(got.text, "3");
    world.complete(queue, got.handle).unwrap();
    world.after(1_000);
    assert_no_rows_of_jobs(&world);
}

#[test]
fn a_duplicate_that_was_kept_back_keeps_others_away_for_its_own_time() {
    for ttl_ms in [None, Some(5_000)] {
        let mut world = World::cold();
        let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
        let first = JobDedup { ttl_ms: ttl_ms.map_or(Some(5_000), |_| None), keep_last_if_active: true, ..SIMPLE };
        world.add(queue, with("1", first)).unwrap();
        let got = world.lease_one(queue);
        world.add(queue, with("2", JobDedup { ttl_ms, ..first })).unwrap();
        world.complete(queue, got.handle).unwrap();
        world.after(6_000);
        let added = world.add(queue, with("3", first)).unwrap();
        assert_eq!(added.duplicate, ttl_ms.is_none(), "{ttl_ms:?}");
    }
}

#[test]
fn a_job_that_was_kept_for_long_enough_keeps_others_away_for_as_long_as_it_was_to() {
    for own in [false, true] {
        let mut world = World::cold();
        let keep = Keep { age_ms: 1_000, count: u64::MAX };
        let queue = world.create("a", Config { keep_completed: keep, ..Config::default() });
        let dedup = JobDedup { ttl_ms: Some(5_000), ..SIMPLE };
        let options = JobOptions { dedup: Some(dedup), keep_completed: own.then_some(keep), ..JobOptions::default() };
        world.add(queue, job("1", options)).unwrap();
        let got = world.lease_one(queue);
        world.complete(queue, got.handle).unwrap();
        world.after(2_000);
        assert_eq!(world.counters(queue), Counters::default(), "it is gone");
        assert!(world.add(queue, with("2", dedup)).unwrap().duplicate);
        world.after(3_000);
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn a_job_whose_time_has_come_is_not_replaced_whether_that_was_noticed_or_not() {
    for noticed in [false, true] {
        let mut world = World::cold();
        let queue = world.create("a", Config::default());
        let dedup = JobDedup { replace: true, ..SIMPLE };
        world.add(queue, NewMessage { delay_ms: Some(3_000), ..with("1", dedup) }).unwrap();
        world.now.0 += 3_000;
        if noticed {
            world.after(0);
        }
        assert!(world.add(queue, with("2", dedup)).unwrap().duplicate);
        world.after(0);
        assert_eq!(world.lease_one(queue).text, "1", "noticed: {noticed}");
    }
}

#[test]
fn a_job_that_was_begun_is_never_too_late_whatever_takes_its_place() {
    let mut world = World::cold();
    let queue = world.create("a", Config { retry: retry(3, 5_000), ..Config::default() });
    let dedup = JobDedup { replace: true, ..SIMPLE };
    world.add(queue, with("1", dedup)).unwrap();
    let got = world.lease_one(queue);
    world.fail(queue, got.handle).unwrap();
    let expires_at = Some(Time(world.now.0 + 1_000));
    let options = JobOptions { dedup: Some(dedup), expires_at, ..JobOptions::default() };
    assert!(world.add(queue, NewMessage { delay_ms: Some(2_000), ..job("2", options) }).unwrap().duplicate);
    world.after(2_000);
    assert_eq!(world.lease_one(queue).text, "2");
}

#[test]
fn a_job_that_is_tried_again_keeps_others_away_where_the_time_of_another_one_is_over() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let first = world.add(queue, with("1", SIMPLE)).unwrap().id;
    let got = world.lease_one(queue);
    world.complete(queue, got.handle).unwrap();
    world.add(queue, with("2", JobDedup { ttl_ms: Some(1_000), ..SIMPLE })).unwrap();
    // Nobody has looked yet.
    world.now.0 += 1_000;
    let change = JobChange::Retry { reset: true, reset_starts: false };
    world.ask(Command::ChangeJobs { queue, jobs: vec![JobRef::Id(first)], change }).unwrap();
    let added = world.add(queue, with("3", SIMPLE)).unwrap();
    assert!(added.duplicate && added.id == first, "{added:?}");
}

#[test]
fn what_is_kept_back_goes_with_a_purge_also_when_it_was_about_to_come() {
    let mut world = World::cold();
    let queue = world.create("a", Config { keep_completed: NOTHING, ..Config::default() });
    let dedup = JobDedup { keep_last_if_active: true, ..SIMPLE };
    let grouped = |text, group| NewMessage { lane: Some(Lane([group; 16])), ..with(text, dedup) };
    world.add(queue, grouped("1", 1)).unwrap();
    let got = world.lease_one(queue);
    world.add(queue, grouped("2", 2)).unwrap();
    world.rows.forget();
    let entries = [(got.handle, Settlement::Complete { result: None })].into_iter().collect();
    let (settle, mut out) = (Command::Settle { queue, entries, seed: 1 }, Output::default());
    while let Err(stop) = world.engine.apply(world.now, &mut world.rows, Token(9_999), &settle, &mut out) {
        let Stop::Need(needs) = stop else { panic!("{stop}") };
        needs.iter().for_each(|need| world.rows.load(need));
    }
    assert!(!out.needs.is_empty(), "the rows of its group are to be loaded before it comes");
    world.ask(Command::PurgeQueue { queue }).unwrap();
    world.after(0);
    assert_eq!(world.counters(queue), Counters::default());
    assert_no_rows_of_jobs(&world);
}

#[test]
fn what_a_command_adds_to_a_group_does_not_keep_it_from_replacing_one_of_that() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let dedup = JobDedup { replace: true, ..SIMPLE };
        let later = |text| NewMessage { delay_ms: Some(3_000), lane: Some(Lane([1; 16])), ..with(text, dedup) };
        world.add(queue, later("1")).unwrap();
        world.add(queue, grouped("before", 1)).unwrap();
        let added = world.add_all(vec![(queue, grouped("with it", 1)), (queue, later("2"))]).unwrap();
        assert!(added[1].duplicate);
        world.after(3_000);
        if name == "a" {
            let texts: Vec<_> = world.lease(queue, 10).into_iter().map(|got| got.text).collect();
            assert_eq!(texts, ["2", "before", "with it"]);
        } else {
            assert_eq!(world.lease(queue, 1)[0].text, "2");
        }
    }
}

#[test]
fn a_job_that_was_kept_back_was_sent_when_it_was() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let dedup = JobDedup { keep_last_if_active: true, ..SIMPLE };
    world.add(queue, with("1", dedup)).unwrap();
    let got = world.lease_one(queue);
    world.after(1_000);
    world.add(queue, NewMessage { delay_ms: Some(500), ..with("2", dedup) }).unwrap();
    world.after(1_000);
    world.add(queue, message("3")).unwrap();
    world.after(1_000);
    world.complete(queue, got.handle).unwrap();
    let Reply::Stats { oldest, .. } = world.ask(Command::QueueStats { queue }).unwrap() else { panic!("no stats") };
    assert_eq!(oldest, Some(Time(START.0 + 1_000)));
    world.after(499);
    assert_eq!(world.counts(queue), [1, 1, 0]);
    world.after(1);
    assert_eq!(world.counts(queue), [2, 0, 0]);
}

/// A delayed job of a group, that takes the place of another one of its deduplication id.
fn replacing(text: &str, hash: u8, group: u8) -> NewMessage {
    let dedup = JobDedup { hash: [hash; 16], replace: true, ..SIMPLE };
    NewMessage { delay_ms: Some(3_000), lane: Some(Lane([group; 16])), ..with(text, dedup) }
}

#[test]
fn a_job_leaves_its_group_to_one_that_joined_by_the_same_command() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a.fifo", Config::default());
        world.add(queue, replacing("1", 1, 1)).unwrap();
        let jobs = [grouped("other", 9), grouped("2", 1), replacing("3", 1, 2)];
        world.add_all(jobs.into_iter().map(|job| (queue, job)).collect()).unwrap();
        assert_eq!(world.texts(queue, 9), ["other", "2"]);
        world.after(3_000);
        assert_eq!(world.texts(queue, 9), ["3"]);
    }
}

#[test]
fn a_job_goes_through_a_group_by_one_command_and_leaves_it_as_it_was() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a.fifo", Config::default());
        world.add(queue, replacing("1", 1, 1)).unwrap();
        world.add(queue, grouped("other", 9)).unwrap();
        world.add(queue, grouped("2", 2)).unwrap();
        world.add_all(vec![(queue, replacing("3", 1, 2)), (queue, replacing("4", 1, 3))]).unwrap();
        assert_eq!(world.take_all(queue), ["other", "2"]);
        world.after(3_000);
        assert_eq!(world.texts(queue, 9), ["4"]);
    }
}

#[test]
fn a_job_leaves_a_group_that_it_joined_by_the_same_command() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a.fifo", Config::default());
        let jobs = [replacing("1", 1, 1), grouped("2", 2), grouped("3", 1), replacing("4", 1, 3)];
        world.add_all(jobs.into_iter().map(|job| (queue, job)).collect()).unwrap();
        assert_eq!(world.take_all(queue), ["2", "3"]);
        world.after(3_000);
        assert_eq!(world.texts(queue, 9), ["4"]);
    }
}

#[test]
fn many_jobs_leave_a_group_by_one_command() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a.fifo", Config::default());
        for hash in 0..20 {
            world.add(queue, replacing("first", hash, 1)).unwrap();
        }
        world.add(queue, grouped("last", 1)).unwrap();
        let moved = (0..20).map(|hash| (queue, replacing("moved", hash, 2)));
        world.add_all(moved.collect()).unwrap();
        assert_eq!(world.texts(queue, 9), ["last"]);
        world.after(3_000);
        assert_eq!(world.take_all(queue).len(), 20);
    }
}
