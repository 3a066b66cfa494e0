//! Very many keys under one limiter: what is held back costs nothing, and holds nothing else back.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::limit::*;
use weir_core::api::*;
use weir_core::limiter::{Counts, Terms, Unknown, Window};

const KEYS: u32 = 20_000;
/// Rows that one grant, or one command, may read and write: a bound that does not grow with keys.
const ROWS_MAX: usize = 60;
/// Grants at a time.
const BATCH: usize = 100;

fn of_key(n: u32) -> NewMessage {
    let mut hash = [3; 16];
    hash.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
    NewMessage { limits: Some(Box::new(Limits { uses: vec![(Some(LimitKey(hash)), 1)] })), ..message(&n.to_string()) }
}

/// What was read and written since it was asked last.
fn work(world: &mut World) -> usize {
    world.rows.reads.take() + std::mem::take(&mut world.rows.writes)
}

fn send(world: &mut World, queue: QueueId, keys: impl Iterator<Item = u32>) {
    let messages: Vec<NewMessage> = keys.map(of_key).collect();
    for messages in messages.chunks(BATCH_MAX) {
        world.ask(Command::Send { queue, version: 1, messages: messages.iter().cloned().collect() }).unwrap();
        world.engine.flush(&mut world.rows);
    }
}

#[test]
fn with_very_many_keys_held_back_a_grant_costs_what_it_costs_with_few() {
    let mut world = World::new();
    let terms =
        Terms { windows: vec![Window { max: 1, per_ms: 3_600_000, counts: Counts::Starts }], ..Terms::default() };
    let (namespace, name, unknown) = (Namespace(0), "host".to_owned(), Unknown::Full);
    world.ask(Command::PutLimiter { namespace, name, terms, unknown }).unwrap();
    let limiters = vec![LimiterUse { limiter: "host".into(), key: Some("data.host".into()), cost: None }];
    let config = Config { limiters, visibility_ms: 40_000_000, retention_ms: 400_000_000, ..Config::default() };
    let queue = world.create("a", config);
    // Many for the key that is throttled first of all.
    send(&mut world, queue, std::iter::repeat_n(0, 1_000));
    send(&mut world, queue, 1..KEYS);
    work(&mut world);
    for first in (0..KEYS).step_by(BATCH) {
        let got = world.receive(queue, BATCH as u32);
        let expected: Vec<String> = (first..first + BATCH as u32).map(|n| n.to_string()).collect();
        assert!(got.iter().map(|got| &got.text).eq(&expected), "each key in turn, though the first is throttled");
        let handles = got.iter().map(|got| got.handle).collect();
        world.give(Command::Released { queue, handles });
        world.engine.flush(&mut world.rows);
        let rows = work(&mut world);
        assert!(rows <= BATCH * ROWS_MAX, "{rows} rows for {BATCH} grants from key {first} on");
    }
    // Now every key is held back, and has more to do.
    send(&mut world, queue, 1..KEYS);
    // The first to look finds them held back, a slice of them at a time.
    let waiting = world.wait(queue, 1, 3_000_000);
    while world.engine.next_deadline() <= world.now {
        work(&mut world);
        let mut out = Output::default();
        world.engine.tick(world.now, &mut world.rows, &mut out).unwrap();
        let rows = work(&mut world);
        assert!(rows <= 256 * ROWS_MAX, "{rows} rows for a slice");
    }
    assert!(world.got(waiting).is_none());
    world.engine.flush(&mut world.rows);
    work(&mut world);
    // Nothing happens on its own while they wait, and another key goes through at once.
    world.after(600_000);
    let rows = work(&mut world);
    assert!(rows <= ROWS_MAX, "{rows} rows for ten minutes of waiting");
    world.send(queue, of_key(KEYS + 1)).unwrap();
    let rows = work(&mut world);
    assert!(rows <= ROWS_MAX, "{rows} rows for a key that is free");
    assert_eq!(world.got(waiting).unwrap().len(), 1);
    // When their time comes each starts once more, at a cost that does not grow.
    world.after(3_000_001);
    let mut count = 0;
    loop {
        world.engine.flush(&mut world.rows);
        work(&mut world);
        let got = world.receive(queue, BATCH as u32);
        let rows = work(&mut world);
        assert!(rows <= BATCH * ROWS_MAX, "{rows} rows for {} grants after {count}", got.len());
        if got.is_empty() {
            break;
        }
        count += got.len() as u32;
    }
    assert_eq!(count, KEYS);
}

/// Found by seed 1641 of the simulation: that the turn of a lane had come was known in memory alone.
#[test]
fn a_lane_whose_turn_has_come_is_looked_at_after_a_crash() {
    for rounds in 0..12 {
        let mut world = World::cold();
        let window = Window { max: 1, per_ms: 10_000, counts: Counts::Starts };
        let terms = Terms { windows: vec![window], ..Terms::default() };
        let (namespace, name, unknown) = (Namespace(0), "host".to_owned(), Unknown::Full);
        world.ask(Command::PutLimiter { namespace, name, terms, unknown }).unwrap();
        let limiters = vec![LimiterUse { limiter: "host".into(), key: Some("data.host".into()), cost: None }];
        let queue = world.create("a", Config { limiters, ..Config::default() });
        for _ in 0..2 {
            world.send(queue, NewMessage { lane: Some(Lane([0; 16])), ..of_key(0) }).unwrap();
        }
        let got = world.receive(queue, 2);
        world.give(Command::Released { queue, handles: got.iter().map(|got| got.handle).collect() });
        world.delete(queue, got[0].handle).unwrap();
        world.engine.flush(&mut world.rows);
        // The time has come; after so many ticks, between which rows are loaded, the machine goes down.
        world.now.0 += 20_000;
        world.rows.forget();
        let mut needs = Vec::new();
        for _ in 0..=rounds {
            for need in std::mem::take(&mut needs) {
                world.rows.load(&need);
            }
            let mut out = Output::default();
            world.engine.loaded(world.now, &mut world.rows, &mut out).unwrap();
            world.engine.tick(world.now, &mut world.rows, &mut out).unwrap();
            world.engine.flush(&mut world.rows);
            needs.extend(out.needs);
        }
        world.restart();
        world.after(60_000);
        assert_eq!(world.receive(queue, 1).len(), 1, "after {rounds} ticks");
    }
}

#[test]
fn one_receive_takes_messages_of_very_many_keys_whose_rows_are_cold() {
    for limited in [true, false] {
        let mut world = World::cold();
        let limiters = if limited {
            let windows = vec![Window { max: 9, per_ms: 3_600_000, counts: Counts::Starts }];
            let terms = Terms { windows, ..Terms::default() };
            let (namespace, name, unknown) = (Namespace(0), "host".to_owned(), Unknown::Full);
            world.ask(Command::PutLimiter { namespace, name, terms, unknown }).unwrap();
            vec![LimiterUse { limiter: "host".into(), key: Some("data.host".into()), cost: None }]
        } else {
            Vec::new()
        };
        let queue = world.create("a", Config { limiters, ..Config::default() });
        let of_lane = |n: u8| if limited { of_key(n.into()) } else { grouped(&n.to_string(), n) };
        for n in (0..150).chain(0..150) {
            world.send(queue, of_lane(n)).unwrap();
        }
        world.engine.flush(&mut world.rows);
        world.rounds = 0;
        let got = world.receive(queue, 100);
        assert_eq!(got.len(), 100, "as many as were asked for");
        assert!(world.rounds <= 24, "rows of all lanes are loaded together: {} loads", world.rounds);
    }
}
