//! What a limiter adds to a message's life in the engine: sent, leased, said to have left, deleted, ten at a time, over
//! rows in memory and flushed for each hundred.
//!
//! `cargo run --release -p weir-core --example limited_cost`. Microseconds hang on the machine; the ratio does not.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a measurement for people"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use weir_core::api::limit::{LimitKey, LimiterUse, Limits};
use weir_core::api::{Command, Config, Handle, Kind, Namespace, NewMessage, Output, QueueId, Reply, Tags, Token};
use weir_core::kv::{Key, Need, RowVisitor, State, View};
use weir_core::limiter::{Counts, Terms, Unknown, Window};
use weir_core::{Engine, Time};

const MESSAGES: u64 = 200_000;
const BATCH: u64 = 10;
const KEYS: u64 = 1_000;

#[derive(Default)]
struct Rows(BTreeMap<Key, Vec<u8>>);

impl View for Rows {
    fn get(&self, key: &[u8], _: usize) -> Result<Option<&[u8]>, Need> {
        Ok(self.0.get(key).map(Vec::as_slice))
    }

    fn scan(&self, from: &[u8], to: &[u8], row: RowVisitor<'_>) -> Result<(), Need> {
        for (key, value) in self.0.range(Key::from_slice(from)..Key::from_slice(to)) {
            if row(key, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl State for Rows {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.0.insert(Key::from_slice(key), value.to_vec());
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.put(key, value);
    }

    fn insert_bulk(&mut self, key: &[u8], parts: &[&[u8]]) {
        self.put(key, &parts.concat());
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }

    fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.0.retain(|key, _| key.as_slice() < from || key.as_slice() >= to);
    }
}

struct World {
    engine: Engine,
    rows: Rows,
    now: Time,
}

impl World {
    fn ask(&mut self, command: &Command) -> Option<Reply> {
        let mut out = Output::default();
        self.engine.apply(self.now, &mut self.rows, Token(1), command, &mut out).expect("every row is in memory");
        out.replies.pop().map(|(_, reply)| reply.expect("the command makes sense"))
    }
}

fn of_key(n: u64, uses: usize) -> NewMessage {
    let key = Some(LimitKey(u128::from(n % KEYS + 1).to_be_bytes()));
    let limits = (uses > 0).then(|| Box::new(Limits { uses: vec![(key, 1); uses] }));
    NewMessage { payload: vec![7; 100], limits, ..NewMessage::default() }
}

/// Microseconds of a message's life.
fn life(uses: &[(&str, bool)]) -> f64 {
    let mut world = World { engine: Engine::new(), rows: Rows::default(), now: Time(1_700_000_000_000) };
    world.engine.open(world.now, &world.rows).expect("there is nothing to read");
    let namespace = Namespace(0);
    for (name, _) in uses {
        // More than is used, so that nothing waits.
        let windows = vec![Window { max: 900_000_000, per_ms: 10_000, counts: Counts::Starts }];
        let terms = Terms { windows, concurrency: Some(1_000_000), ..Terms::default() };
        world.ask(&Command::PutLimiter { namespace, name: (*name).into(), terms, unknown: Unknown::Full });
    }
    let limiters = uses.iter().map(|(name, keyed)| LimiterUse {
        limiter: (*name).into(),
        key: keyed.then(|| "data.key".to_owned()),
        cost: None,
    });
    let config = Config { limiters: limiters.collect(), ..Config::default() };
    let create = Command::CreateQueue {
        namespace,
        name: "a".into(),
        kind: Kind::Standard,
        config,
        tags: Tags::new(),
        seed: [7; 16],
    };
    let Some(Reply::Queue { queue, .. }) = world.ask(&create) else { return f64::NAN };
    let queue = queue.id;
    let began = Instant::now();
    for round in 0..MESSAGES / BATCH {
        world.now = Time(world.now.0 + 1);
        one_round(&mut world, queue, round, uses.len());
        if round % 10 == 0 {
            world.engine.flush(&mut world.rows);
            world.engine.tick(world.now, &mut world.rows, &mut Output::default()).expect("every row is in memory");
        }
    }
    began.elapsed().as_secs_f64() * 1e6 / MESSAGES as f64
}

fn one_round(world: &mut World, queue: QueueId, round: u64, uses: usize) {
    let messages = (0..BATCH).map(|n| of_key(round * BATCH + n, uses)).collect();
    world.ask(&Command::Send { queue, version: 1, messages });
    let mut left = BATCH;
    while left > 0 {
        let receive =
            Command::Receive { queue, max: 10, bytes_max: u64::MAX, visibility_ms: None, attempt: None, wait_ms: 0 };
        let Some(Reply::Received(deliveries)) = world.ask(&receive) else { return };
        let handles: smallvec::SmallVec<[Handle; 1]> = deliveries.iter().map(|delivery| delivery.handle).collect();
        left -= handles.len() as u64;
        if uses > 0 {
            world.ask(&Command::Released { queue, handles: handles.clone() });
        }
        world.ask(&Command::Delete { queue, handles });
    }
}

fn main() {
    println!("{:<44} {:>10} {:>8}", "", "us a life", "ratio");
    // The best of several, in turns: others use the machine too.
    let all: [(&str, &[(&str, bool)]); 4] = [
        ("no limiter", &[]),
        ("one that all share", &[("shared", false)]),
        ("one with a thousand keys", &[("keyed", true)]),
        ("both", &[("shared", false), ("keyed", true)]),
    ];
    let mut best = [f64::INFINITY; 4];
    for _ in 0..5 {
        for ((_, uses), best) in all.iter().zip(&mut best) {
            *best = best.min(life(uses));
        }
    }
    let [none, ..] = best;
    for ((name, _), us) in all.iter().zip(best) {
        println!("{name:<44} {us:>10.2} {:>8.2}", us / none);
    }
}
