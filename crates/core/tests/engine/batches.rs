//! Batches for workers: by number, by bytes, by the longest wait, and of one group.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::Time;
use weir_core::api::job::{JobChange, JobRef};
use weir_core::api::limit::LimiterUse;
use weir_core::api::*;
use weir_core::limiter::{Terms, Unknown};

fn batch(queue: QueueId, max: u32, linger_ms: u64) -> Command {
    batch_waiting(queue, max, linger_ms, 20_000)
}

fn batch_waiting(queue: QueueId, max: u32, linger_ms: u64, wait_ms: u64) -> Command {
    let (bytes_max, lease_ms) = (u64::MAX, None);
    Command::Lease { queue, max, bytes_max, lease_ms, wait_ms, linger_ms, one_lane: false }
}

fn of_one_lane(queue: QueueId, max: u32) -> Command {
    let (bytes_max, lease_ms) = (u64::MAX, None);
    Command::Lease { queue, max, bytes_max, lease_ms, wait_ms: 0, linger_ms: 0, one_lane: true }
}

fn texts(got: Option<Vec<Got>>) -> Option<Vec<String>> {
    got.map(|got| got.into_iter().map(|got| got.text).collect())
}

fn add(world: &mut World, queue: QueueId, texts: &[&str]) {
    for text in texts {
        let group = text.bytes().next().filter(u8::is_ascii_lowercase);
        world.add(queue, group.map_or_else(|| message(text), |group| grouped(text, group))).unwrap();
    }
}

#[test]
fn a_batch_goes_out_when_it_is_full_or_its_time_is_over() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config::default());
        let token = world.give(batch(queue, 3, 2_000));
        world.after(5_000);
        add(&mut world, queue, &["1", "2"]);
        assert_eq!(world.got(token).map(|_| ()), None);
        assert_eq!(world.counts(queue), [2, 0, 0], "nothing is leased while it fills");
        add(&mut world, queue, &["3", "4"]);
        let full = texts(world.got(token)).unwrap();
        assert_eq!(full[0], "1");
        let left = world.counts(queue)[0];
        assert_eq!(left, 4 - full.len() as u64);
        // What is there begins to fill the next one at once, and its time decides.
        let token = world.give(batch(queue, 30, 2_000));
        world.after(1_999);
        assert_eq!(world.counts(queue)[0], left);
        world.after(1);
        assert_eq!(world.got(token).unwrap().len() as u64 + world.counts(queue)[0], left);
        assert!(world.counts(queue)[0] < left);
    }
}

#[test]
fn a_full_batch_is_whole_where_rows_are_in_memory() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    let token = world.give(batch(queue, 3, 2_000));
    add(&mut world, queue, &["1", "2", "3", "4"]);
    assert_eq!(texts(world.got(token)).unwrap(), ["1", "2", "3"]);
    let bytes =
        Command::Lease { queue, max: 100, bytes_max: 3, lease_ms: None, wait_ms: 0, linger_ms: 2_000, one_lane: false };
    let token = world.give(bytes);
    add(&mut world, queue, &["5"]);
    assert_eq!(world.got(token).map(|_| ()), None);
    add(&mut world, queue, &["a6", "7"]);
    assert_eq!(texts(world.got(token)).unwrap(), ["4", "5"], "the next one would be too long");
}

#[test]
fn who_waits_behind_a_batch_that_fills_is_served() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    let lingering = world.give(batch(queue, 3, 2_000));
    add(&mut world, queue, &["1"]);
    let eager = world.wait(queue, 1, 20_000);
    assert_eq!(texts(world.got(eager)).unwrap(), ["1"]);
    let eager = world.wait(queue, 1, 20_000);
    world.after(1_000);
    add(&mut world, queue, &["2"]);
    assert_eq!(texts(world.got(eager)).unwrap(), ["2"]);
    // All was taken: the batch begins anew with the next one.
    world.after(5_000);
    add(&mut world, queue, &["3"]);
    world.after(1_999);
    assert_eq!(world.got(lingering).map(|_| ()), None);
    world.after(1);
    assert_eq!(texts(world.got(lingering)).unwrap(), ["3"]);
}

#[test]
fn a_batch_that_fills_outlasts_the_wait_for_its_first_message_and_no_more() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    let empty = world.give(batch(queue, 3, 2_000));
    world.after(20_000);
    assert_eq!(world.got(empty).unwrap().len(), 0);
    let token = world.give(batch(queue, 3, 2_000));
    world.after(19_500);
    add(&mut world, queue, &["1"]);
    world.after(1_999);
    assert_eq!(world.got(token).map(|_| ()), None);
    world.after(1);
    assert_eq!(texts(world.got(token)).unwrap(), ["1"]);
    // One whose messages were taken by another, or went away, ends with its wait.
    let token = world.give(batch(queue, 3, 2_000));
    world.after(19_500);
    add(&mut world, queue, &["2"]);
    world.ask(Command::PurgeQueue { queue }).unwrap();
    world.after(2_000);
    assert_eq!(world.got(token).unwrap().len(), 0);
    assert!(world.engine.next_deadline() > Time(world.now.0 + 1), "nothing is left to wait for");
    // A cancelled one is answered as empty, and takes nothing.
    let token = world.give(batch(queue, 3, 2_000));
    add(&mut world, queue, &["3"]);
    world.give(Command::Cancel { receive: token });
    assert_eq!(world.got(token).unwrap().len(), 0);
    world.after(3_000);
    assert_eq!(world.counts(queue), [1, 0, 0]);
}

#[test]
fn a_batch_for_which_nothing_was_left_is_not_kept_by_those_who_come_meanwhile() {
    let mut world = World::new();
    let queue = world.create("a.fifo", Config::default());
    add(&mut world, queue, &["a1", "a2"]);
    assert_eq!(world.lease(queue, 1).len(), 1);
    let token = world.give(batch_waiting(queue, 3, 3_000, 0));
    // Others come when its time is over and nobody has looked yet: they find that its group is still held.
    world.now = Time(world.now.0 + 3_000);
    for _ in 0..2 {
        world.wait(queue, 1, 20_000);
    }
    assert_eq!(world.got(token).map(|_| ()), None);
    world.after(0);
    assert_eq!(world.got(token).unwrap().len(), 0);
}

#[test]
fn a_batch_of_one_group_holds_messages_of_one_group_only() {
    for (name, batches) in [
        ("a", [&["1", "2"][..], &["a1", "a2", "a3"], &["b1", "b2"]]),
        ("a.fifo", [&["a1", "a2", "a3"], &["b1", "b2"], &[]]),
    ] {
        for mut world in [World::new(), World::newborn()] {
            let queue = world.create(name, Config::default());
            let alone: &[&str] = if name == "a" { &["1", "a1", "b1", "2"] } else { &["a1", "b1"] };
            add(&mut world, queue, alone);
            add(&mut world, queue, &["a2", "b2", "a3"]);
            for expected in batches {
                let token = world.give(of_one_lane(queue, 10));
                assert_eq!(texts(world.got(token)).unwrap(), expected);
            }
        }
    }
}

#[test]
fn a_batch_of_one_group_fills_with_that_group() {
    for name in ["a", "a.fifo"] {
        let mut world = World::new();
        let queue = world.create(name, Config::default());
        let (bytes_max, lease_ms, wait_ms) = (u64::MAX, None, 20_000);
        let token = world.give(Command::Lease {
            queue,
            max: 2,
            bytes_max,
            lease_ms,
            wait_ms,
            linger_ms: 2_000,
            one_lane: true,
        });
        add(&mut world, queue, &["a1", "b1", "b2"]);
        assert_eq!(world.got(token).map(|_| ()), None, "{name}");
        add(&mut world, queue, &["a2"]);
        assert_eq!(texts(world.got(token)).unwrap(), ["a1", "a2"], "{name}");
    }
}

#[test]
fn a_batch_that_is_full_and_may_not_start_waits_for_as_long_as_it_was_to() {
    let mut world = World::new();
    let terms = Terms { concurrency: Some(10), ..Terms::default() };
    let put = Command::PutLimiter { namespace: Namespace(0), name: "host".into(), terms, unknown: Unknown::Full };
    let Reply::Limiter { limiter, .. } = world.ask(put).unwrap() else { panic!("no limiter") };
    let under = LimiterUse { limiter: "host".into(), key: None, cost: None };
    let queue = world.create("a", Config { limiters: vec![under], ..Config::default() });
    let token = world.give(batch(queue, 2, 2_000));
    add(&mut world, queue, &["1"]);
    world.ask(Command::PauseKey { limiter: limiter.id, key: None, for_ms: 10_000 }).unwrap();
    world.after(1_000);
    add(&mut world, queue, &["2"]);
    // The time for which it had been filling, before it was full and nothing could be leased, means nothing any more.
    world.after(1_500);
    assert_eq!(world.got(token).map(|_| ()), None, "its wait is not over");
    world.after(10_000);
    assert_eq!(texts(world.got(token)).unwrap(), ["1", "2"]);
}

#[test]
fn a_batch_whose_time_ends_while_rows_are_loaded_waits_no_longer_than_it_was_to() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let token = world.give(batch(queue, 3, 2_000));
    let id = world.add(queue, message("1")).unwrap().id;
    // Somebody else asks, and rows have to be loaded for him. They come late.
    world.rows.forget();
    let mut out = Output::default();
    let (bytes_max, visibility_ms) = (u64::MAX, None);
    let ask = Command::Receive { queue, max: 1, bytes_max, visibility_ms, attempt: None, wait_ms: 1_000 };
    world.engine.apply(world.now, &mut world.rows, Token(9_999), &ask, &mut out).unwrap();
    assert!(!out.needs.is_empty(), "rows are to be loaded");
    world.now.0 += 5_000;
    let mut ticked = Output::default();
    world.engine.tick(world.now, &mut world.rows, &mut ticked).unwrap();
    // Nothing is there any more when they have come.
    world.ask(Command::ChangeJobs { queue, jobs: vec![JobRef::Id(id)], change: JobChange::Remove }).unwrap();
    out.needs.iter().chain(&ticked.needs).for_each(|need| world.rows.load(need));
    world.engine.loaded(world.now, &mut world.rows, &mut Output::default()).unwrap();
    world.after(60_000);
    assert_eq!(world.got(token).expect("its wait is over").len(), 0);
}
