//! FIFO queues: deduplication with its scope and window, and receives that are tried again.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::*;

fn same(text: &str, group: u8) -> NewMessage {
    NewMessage { dedup: Some([3; 16]), ..grouped(text, group) }
}

fn scoped(dedup_scope: DedupScope) -> Config {
    Config { dedup_scope, ..Config::default() }
}

fn is_duplicate(world: &mut World, queue: QueueId, group: u8) -> bool {
    world.send(queue, same("again", group)).unwrap().duplicate
}

fn attempt(world: &mut World, queue: QueueId, max: u32, id: u8, visibility_ms: u64) -> Vec<Got> {
    let token = world.give(Command::Receive {
        queue,
        max,
        bytes_max: u64::MAX,
        visibility_ms: Some(visibility_ms),
        attempt: Some([id; 16]),
        wait_ms: 0,
    });
    world.got(token).unwrap()
}

fn texts(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.text.as_str()).collect()
}

#[test]
fn ids_count_within_their_scope() {
    for world in [World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a.fifo", scoped(DedupScope::Lane));
        world.send(queue, same("1", 1)).unwrap();
        assert!(!is_duplicate(&mut world, queue, 2));
        assert!(is_duplicate(&mut world, queue, 1));
        assert!(is_duplicate(&mut world, queue, 2));
    }
}

#[test]
fn the_scope_of_deduplication_can_change_at_any_time() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", scoped(DedupScope::Queue));
    let first = world.send(queue, same("1", 1)).unwrap();
    world.configure(queue, scoped(DedupScope::Lane));
    assert!(!is_duplicate(&mut world, queue, 2), "another group's");
    let again = world.send(queue, same("2", 1)).unwrap();
    assert_eq!(again, Sent { duplicate: true, ..first }, "sent to this group under the other scope");
    world.configure(queue, scoped(DedupScope::Queue));
    world.restart();
    assert!(is_duplicate(&mut world, queue, 3));
    world.configure(queue, scoped(DedupScope::Lane));
    for group in [1, 2] {
        assert!(is_duplicate(&mut world, queue, group));
    }
    assert!(!is_duplicate(&mut world, queue, 3));
}

#[test]
fn two_messages_of_one_command_are_compared_with_each_other() {
    for scope in [DedupScope::Queue, DedupScope::Lane] {
        let mut world = World::cold();
        let queue = world.create("a.fifo", scoped(scope));
        let messages = [same("1", 1), same("2", 1), same("3", 2)].into_iter().collect();
        let Ok(Reply::Sent(sent)) = world.ask(Command::Send { queue, version: 1, messages }) else { panic!("refused") };
        let duplicates: Vec<_> = sent.iter().map(|sent| sent.as_ref().unwrap().duplicate).collect();
        assert_eq!(duplicates, [false, true, scope == DedupScope::Queue]);
    }
}

#[test]
fn a_command_that_opens_a_bucket_looks_where_its_first_message_did() {
    for window_ms in [1_000, 300_000] {
        let mut world = World::cold();
        let queue = world.create("a.fifo", Config { dedup_window_ms: window_ms, ..Config::default() });
        for ms in [0, 60_000, 240_000, 500, 59_500] {
            world.after(ms);
            let with_id = |id| NewMessage { dedup: Some([id; 16]), ..grouped("x", id) };
            let messages = [with_id(1), with_id(2), with_id(3)].into_iter().collect();
            world.ask(Command::Send { queue, version: 1, messages }).unwrap();
        }
    }
}

#[test]
fn the_window_of_deduplication_is_the_queues_and_exact() {
    for window_ms in [1_000, 61_500, 300_000, DEDUP_WINDOW_MS_MAX] {
        let mut world = World::cold();
        let config = Config { dedup_window_ms: window_ms, retention_ms: 10 * DEDUP_WINDOW_MS_MAX, ..Config::default() };
        let queue = world.create("a.fifo", config);
        for _ in 0..4 {
            assert!(!is_duplicate(&mut world, queue, 1));
            world.after(window_ms - 1);
            assert!(is_duplicate(&mut world, queue, 1));
            world.restart();
            world.after(1);
        }
    }
}

#[test]
fn a_window_beyond_its_bound_is_refused() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    let config = Config { dedup_window_ms: DEDUP_WINDOW_MS_MAX + 1, ..Config::default() };
    let refused = world.ask(Command::ConfigureQueue { queue, version: 1, config });
    assert!(matches!(refused, Err(Error::LimitExceeded { .. })), "{refused:?}");
}

#[test]
fn a_longer_window_applies_to_what_is_remembered() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config { dedup_window_ms: 1_000, ..Config::default() });
    assert!(!is_duplicate(&mut world, queue, 1));
    world.after(999);
    world.configure(queue, Config { dedup_window_ms: 3_600_000, ..Config::default() });
    world.after(3_000_000);
    assert!(is_duplicate(&mut world, queue, 1));
    world.configure(queue, Config { dedup_window_ms: 1_000, ..Config::default() });
    world.after(0);
    assert!(!is_duplicate(&mut world, queue, 1));
}

#[test]
fn an_attempt_made_again_has_the_same_messages_with_their_leases_started_anew() {
    for world in [World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a.fifo", Config::default());
        for (text, group) in [("a1", 1), ("a2", 1), ("b1", 2), ("a3", 1)] {
            world.send(queue, grouped(text, group)).unwrap();
        }
        let lost = attempt(&mut world, queue, 2, 1, 10_000);
        world.restart();
        world.after(9_999);
        let got = attempt(&mut world, queue, 2, 1, 30_000);
        assert_eq!(texts(&got), ["a1", "a2"]);
        assert_eq!(got[0].delivery.grants, 1, "it counts as one receive");
        assert_eq!(texts(&attempt(&mut world, queue, 9, 2, 30_000)), ["b1"], "another attempt");
        // What becomes of the lost answer touches nothing any more.
        world.give(Command::Return { queue, handles: lost.iter().map(|got| got.handle).collect() });
        assert_eq!(world.delete(queue, lost[0].handle), Err(Error::LeaseExpired));
        world.after(29_999);
        assert_eq!(world.counts(queue), [1, 0, 3]);
        world.delete(queue, got[0].handle).unwrap();
        world.delete(queue, got[1].handle).unwrap();
        assert_eq!(texts(&attempt(&mut world, queue, 9, 1, 30_000)), ["a3"], "a receive like any other");
    }
}

#[test]
fn an_attempt_is_void_once_one_of_its_messages_was_touched() {
    let touch: [fn(&mut World, QueueId, &[Got]); 4] = [
        |world, queue, got| world.delete(queue, got[0].handle).unwrap(),
        |world, queue, got| world.change(queue, got[1].handle, 50_000).unwrap(),
        |world, queue, got| world.change(queue, got[0].handle, 0).unwrap(),
        |world, _, _| world.after(20_000),
    ];
    for (n, touch) in touch.into_iter().enumerate() {
        let mut world = World::cold();
        let queue = world.create("a.fifo", Config::default());
        for (text, group) in [("a1", 1), ("a2", 1), ("b1", 2)] {
            world.send(queue, grouped(text, group)).unwrap();
        }
        let got = attempt(&mut world, queue, 2, 1, 20_000);
        touch(&mut world, queue, &got);
        let expected: &[&str] = if n == 3 { &["a1", "a2"] } else { &["b1"] };
        let again = attempt(&mut world, queue, 2, 1, 20_000);
        assert_eq!(texts(&again), expected, "case {n}");
        assert_eq!(again[0].delivery.grants, if n == 3 { 2 } else { 1 });
    }
}

#[test]
fn an_attempt_is_forgotten_after_five_minutes_and_leaves_nothing_behind() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    world.send(queue, grouped("a1", 1)).unwrap();
    world.send(queue, grouped("b1", 2)).unwrap();
    attempt(&mut world, queue, 1, 1, 900_000);
    world.after(ATTEMPT_WINDOW_MS - 1);
    assert_eq!(texts(&attempt(&mut world, queue, 1, 1, 900_000)), ["a1"]);
    world.after(1);
    let got = attempt(&mut world, queue, 1, 1, 900_000);
    assert_eq!(texts(&got), ["b1"]);
    world.delete(queue, got[0].handle).unwrap();
    world.after(900_000);
    let got = world.receive(queue, 1);
    world.delete(queue, got[0].handle).unwrap();
    world.after(900_000);
    world.restart();
    // The queue, its counters and the shard's.
    assert_eq!(world.rows_left(), 3, "{:?}", world.rows.all);
}

#[test]
fn a_waiting_receive_of_an_attempt_can_be_made_again_too() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    let receive = |wait_ms| Command::Receive {
        queue,
        max: 1,
        bytes_max: u64::MAX,
        visibility_ms: None,
        attempt: Some([1; 16]),
        wait_ms,
    };
    let first = world.give(receive(20_000));
    let other = world.wait(queue, 1, 20_000);
    let again = world.give(receive(20_000));
    world.send(queue, grouped("a1", 1)).unwrap();
    assert_eq!(texts(&world.got(first).unwrap()), ["a1"]);
    assert!(world.got(other).is_none());
    assert_eq!(texts(&world.got(again).unwrap()), ["a1"], "what its other half was given, past who has nothing to get");
    assert_eq!(world.counts(queue), [0, 0, 1]);
    world.send(queue, grouped("b1", 2)).unwrap();
    assert_eq!(texts(&world.got(other).unwrap()), ["b1"]);
    world.ask(Command::PurgeQueue { queue }).unwrap();
    world.send(queue, grouped("c1", 1)).unwrap();
    let token = world.give(receive(0));
    assert_eq!(texts(&world.got(token).unwrap()), ["c1"]);
}

#[test]
fn a_receive_that_comes_after_all_waits_were_ended_does_not_wait() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    let mut out = Output::default();
    world.engine.end_all_waits(&mut out);
    let token = world.wait(queue, 1, 20_000);
    assert!(world.got(token).expect("an answer at once").is_empty());
}
