//! Fairness between the groups of a standard queue.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::*;

fn send(world: &mut World, queue: QueueId, count: usize, text: &str, group: Option<u8>) {
    for n in 0..count {
        let lane = group.map(|group| Lane([group; 16]));
        world.send(queue, NewMessage { lane, ..message(&format!("{text}{n}")) }).unwrap();
    }
}

/// Receives one by one, until nothing comes.
fn drain(world: &mut World, queue: QueueId) -> Vec<Got> {
    let mut all = Vec::new();
    loop {
        let got = world.receive(queue, 1);
        if got.is_empty() {
            return all;
        }
        all.extend(got);
    }
}

fn texts(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.text.as_str()).collect()
}

#[test]
fn a_group_on_a_standard_queue_holds_nothing_back() {
    for world in [World::new, World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a", Config::default());
        for (text, group, priority) in [("a0", Some(1), 5), ("x0", None, 5), ("a1", Some(1), 0), ("b0", Some(2), 5)] {
            let lane = group.map(|group| Lane([group; 16]));
            world.send(queue, NewMessage { lane, priority, ..message(text) }).unwrap();
        }
        let got = drain(&mut world, queue);
        assert_eq!(texts(&got), ["a1", "a0", "x0", "b0"], "by priority, then as they were sent");
        assert_eq!(world.counts(queue), [0, 0, 4]);
        world.restart();
        world.after(30_000);
        assert_eq!(world.counts(queue), [4, 0, 0]);
        for got in drain(&mut world, queue) {
            world.delete(queue, got.handle).unwrap();
        }
        world.after(500_000_000);
        world.restart();
        // The queue, its counters and the shard's.
        assert_eq!(world.rows_left(), 3, "{:?}", world.rows.all);
    }
}

#[test]
fn a_group_that_takes_more_than_its_part_comes_after_the_others() {
    for world in [World::new, World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a", Config::default());
        send(&mut world, queue, 60, "noisy", Some(1));
        send(&mut world, queue, 2, "alone", None);
        send(&mut world, queue, 3, "quiet", Some(2));
        let mut got = Vec::new();
        for _ in 0..30 {
            got.extend(world.receive(queue, 1));
        }
        assert!(got.iter().all(|got| got.text.starts_with("noisy")), "until it holds thirty it is like any other");
        let rest = drain(&mut world, queue);
        assert_eq!(texts(&rest[..6]), ["alone0", "alone1", "quiet0", "quiet1", "quiet2", "noisy30"]);
        assert_eq!(rest.len(), 35, "nothing is limited");
        assert_eq!(world.counts(queue), [0, 0, 65]);
    }
}

#[test]
fn one_receive_is_fair_within_itself() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    send(&mut world, queue, 40, "noisy", Some(1));
    send(&mut world, queue, 2, "quiet", Some(2));
    let got = world.receive(queue, 33);
    assert_eq!(texts(&got)[29..], ["noisy29", "quiet0", "quiet1", "noisy30"]);
}

#[test]
fn a_group_is_quiet_again_once_its_leases_end_or_others_hold_more() {
    for world in [World::new, World::cold] {
        let mut world = world();
        let queue = world.create("a", Config { visibility_ms: 3_600_000, ..Config::default() });
        send(&mut world, queue, 40, "a", Some(1));
        let mut held: Vec<Got> = (0..30).flat_map(|_| world.receive(queue, 1)).collect();
        send(&mut world, queue, 5, "b", Some(2));
        assert_eq!(texts(&world.receive(queue, 1)), ["b0"]);
        world.delete(queue, held.remove(0).handle).unwrap();
        assert_eq!(texts(&world.receive(queue, 1)), ["a30"], "29 leases are not many");
        assert_eq!(texts(&world.receive(queue, 1)), ["b1"], "30 are");
        // 300 leases in all: a tenth of them is not more than its part.
        for group in 10..40 {
            send(&mut world, queue, 9, "others", Some(group));
        }
        send(&mut world, queue, 4, "alone", None);
        while world.counts(queue)[2] < 300 {
            assert!(!world.receive(queue, 1)[0].text.starts_with('a') || world.counts(queue)[2] > 299);
        }
        assert_eq!(texts(&world.receive(queue, 1)), ["a31"]);
        world.restart();
        assert_eq!(world.counts(queue)[2], 301);
    }
}

#[test]
fn messages_in_lanes_live_like_others() {
    for world in [World::new, World::cold, World::newborn] {
        let mut world = world();
        let redrive = Some(Redrive { target: "dead".into(), receives_max: 2 });
        let dead = world.create("dead", Config::default());
        let queue = world.create("a", Config { redrive, ..Config::default() });
        world.send(queue, NewMessage { delay_ms: Some(5_000), ..grouped("later", 1) }).unwrap();
        send(&mut world, queue, 3, "a", Some(1));
        let got = world.receive(queue, 1).remove(0);
        world.change(queue, got.handle, 0).unwrap();
        let again = world.receive(queue, 1).remove(0);
        assert_eq!((again.text.as_str(), again.delivery.grants), ("a0", 2));
        world.give(Command::Return { queue, handles: [again.handle].into_iter().collect() });
        let again = world.receive(queue, 1).remove(0);
        assert_eq!((again.text.as_str(), again.delivery.grants), ("a0", 2));
        world.after(30_000);
        assert_eq!([world.counts(queue), world.counts(dead)], [[3, 0, 0], [1, 0, 0]]);
        let got = drain(&mut world, queue);
        assert_eq!(texts(&got), ["later", "a1", "a2"]);
        world.after(30_000);
        // Older handles delete on a standard queue, several of a lane in one command too.
        let handles = got.iter().map(|got| got.handle).collect();
        world.ask(Command::Delete { queue, handles }).unwrap();
        assert_eq!(world.counts(queue), [0, 0, 0]);
        assert_eq!(world.receive(dead, 1)[0].text, "a0");
        send(&mut world, queue, 3, "moved", Some(3));
        let Ok(Reply::Listed { messages, .. }) =
            world.ask(Command::List { queue, states: States::ALL, after: 0, max: 9, payload_bytes_max: None })
        else {
            panic!("no slice")
        };
        let ids = messages.iter().map(|listed| listed.id).collect();
        world.ask(Command::Move { queue, to: dead, ids }).unwrap();
        let left = world.counts(queue)[0] as usize;
        assert_eq!(drain(&mut world, dead).len(), 3 - left);
        world.ask(Command::PurgeQueue { queue }).unwrap();
        world.ask(Command::PurgeQueue { queue: dead }).unwrap();
        world.after(0);
        world.restart();
        // Two queues, their counters and the shard's.
        assert_eq!(world.rows_left(), 5, "{:?}", world.rows.all);
    }
}

#[test]
fn retention_ends_messages_in_lanes() {
    let mut world = World::cold();
    let queue = world.create("a", Config { retention_ms: 60_000, ..Config::default() });
    send(&mut world, queue, 5, "a", Some(1));
    world.receive(queue, 1);
    world.after(60_000);
    assert_eq!(world.counts(queue), [0, 0, 0]);
    send(&mut world, queue, 1, "b", Some(1));
    assert_eq!(world.receive(queue, 1)[0].text, "b0");
}
