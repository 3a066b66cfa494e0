//! Measures the engine's reads and writes: life cycles of messages as the engine writes them, over files in memory.
//!
//! `cargo run --release -p weir-store --example state_ops [BACKLOG [MILLIONS]]`

#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use weir_core::Time;
use weir_core::kv::{Key, State, View};
use weir_store::{LogWriter, MemoryDisk, Options, Store};

fn key(space: u64, kind: u8, numbers: &[u64]) -> Key {
    let mut key = Key::new();
    push_ordered(&mut key, 0);
    push_ordered(&mut key, space);
    key.push(kind);
    for n in numbers {
        push_ordered(&mut key, *n);
    }
    key
}

/// Appends a number so that it sorts as numbers do, as the engine's keys have it.
fn push_ordered(key: &mut Key, n: u64) {
    let zeros = n.leading_zeros() as usize / 8;
    key.push((8 - zeros) as u8);
    key.extend_from_slice(n.to_be_bytes().get(zeros..).unwrap_or_default());
}

struct Bench {
    store: Store<MemoryDisk>,
    writer: LogWriter<MemoryDisk>,
    body: [u8; 256],
    head: [u8; 56],
    next: u64,
    oldest: u64,
    ops: u64,
    append: Duration,
    seal: Duration,
    checkpoint: Duration,
    checkpointed: Duration,
}

impl Bench {
    fn send(&mut self) {
        let id = self.next;
        self.next += 1;
        self.store.insert(&key(7, 1, &[id]), &self.head);
        self.store.insert(&key(7, 2, &[0, id]), &[]);
        self.store.insert_bulk(&key(0, 20, &[id]), &[&self.body[..100], &self.body[100..]]);
        self.store.put(&key(0, 18, &[7]), &self.head[..20]);
        self.ops += 4;
    }

    fn get(&mut self, key: &[u8]) -> bool {
        self.ops += 1;
        loop {
            match self.store.get(key, 1000) {
                Ok(value) => return value.is_some(),
                Err(need) => self.store.load_now(&need).expect("the tables can be read"),
            }
        }
    }

    fn receive_and_delete(&mut self) {
        let (from, to) = (key(7, 2, &[0, self.oldest]), key(7, 3, &[]));
        let found = loop {
            let mut found = None;
            let result = self.store.scan(&from, &to, &mut |key, _| {
                found = Some(Key::from_slice(key));
                ControlFlow::Break(())
            });
            match result {
                Ok(()) => break found.expect("there is a backlog"),
                Err(need) => self.store.load_now(&need).expect("the tables can be read"),
            }
        };
        let id = self.oldest;
        self.oldest += 1;
        assert!(self.get(&key(7, 1, &[id])));
        self.store.put(&key(7, 1, &[id]), &self.head);
        self.store.delete(&found);
        self.store.insert(&key(0, 19, &[1_700_000_000_000 + id, 7, id]), &[]);
        self.store.put(&key(0, 18, &[7]), &self.head[..20]);
        assert!(self.get(&key(7, 1, &[id])));
        self.store.delete(&key(7, 1, &[id]));
        self.store.delete(&key(0, 19, &[1_700_000_000_000 + id, 7, id]));
        self.store.delete(&key(0, 20, &[id]));
        self.store.put(&key(0, 18, &[7]), &self.head[..20]);
        self.ops += 9;
    }

    fn commit(&mut self) {
        let start = Instant::now();
        let group = self.store.seal(Time(self.next)).expect("something was written");
        self.seal += start.elapsed();
        let start = Instant::now();
        self.writer.append(&group).expect("memory does not fail");
        self.append += start.elapsed();
        self.store.committed(group.sequence());
        if self.store.checkpoint_due() {
            let start = Instant::now();
            let checkpoint = self.store.freeze().expect("nothing is unsealed");
            let done = checkpoint.run().expect("memory does not fail");
            self.checkpoint += start.elapsed();
            let start = Instant::now();
            self.store.checkpointed(done);
            self.checkpointed = self.checkpointed.max(start.elapsed());
            if let Some(upkeep) = self.store.upkeep() {
                upkeep.run().expect("memory does not fail");
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let backlog = arguments.next().unwrap_or(1000);
    let cycles = arguments.next().unwrap_or(2) * 1_000_000;
    let (store, writer, _) = Store::open(MemoryDisk::new(), Options::default()).expect("an empty directory opens");
    let mut bench = Bench {
        store,
        writer,
        body: [7; 256],
        head: [1; 56],
        next: 1,
        oldest: 1,
        ops: 0,
        append: Duration::ZERO,
        seal: Duration::ZERO,
        checkpoint: Duration::ZERO,
        checkpointed: Duration::ZERO,
    };
    for n in 0..backlog {
        bench.send();
        if n % 128 == 127 {
            bench.commit();
        }
    }
    println!("backlog loaded: {:?}", bench.store.stats());
    (bench.ops, bench.append, bench.seal, bench.checkpoint) = (0, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let start = Instant::now();
    for n in 0..cycles {
        bench.send();
        bench.receive_and_delete();
        if n % 128 == 127 {
            bench.commit();
        }
    }
    let elapsed = start.elapsed();
    let engine = elapsed.saturating_sub(bench.append + bench.checkpoint);
    println!("{:?}", bench.store.stats());
    println!(
        "{cycles} cycles in {elapsed:?}: {} ns a cycle, {} ns an operation on the engine's thread; seal {:?}, append {:?}, checkpoints {:?}, longest hand-back {:?}",
        engine.as_nanos() / u128::from(cycles),
        engine.as_nanos() / u128::from(bench.ops),
        bench.seal,
        bench.append,
        bench.checkpoint,
        bench.checkpointed,
    );
}
