//! A store against a plain map, with checkpoints, loads and crashes in any order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at what it does not expect"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use weir_core::Time;
use weir_core::kv::{State, View};
use weir_store::{Body, BodyLoad, Checkpoint, CheckpointDone, Load, LogWriter, MemoryDisk, Options, Store};

type Key = Vec<u8>;
type Model = BTreeMap<Key, (Vec<u8>, bool)>;

#[derive(Clone, Debug)]
enum Step {
    Put(Key, u8),
    Insert(Key, u8),
    InsertBulk(Key, u8, usize),
    Delete(Key),
    DeleteRange(Key, Key),
    Get(Key, usize),
    Scan(Key, Key, usize),
    Body(Key),
    RunBodies,
    Commit,
    Freeze,
    RunCheckpoint,
    Checkpointed,
    RunLoads,
    Upkeep,
    Crash,
    Close,
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        8 => (1..4_u8, 0..6_u8).prop_map(|(kind, n)| vec![1, 1, 1, 1, kind, 1, n]),
        4 => (0..3_u8, 0..4_u8).prop_map(|(bucket, n)| vec![1, 1, 1, 1, 6, 1, bucket, n]),
        1 => (0..30_u8).prop_map(|n| [vec![1, 1, 1, 2, 1], vec![n; 30]].concat()),
        1 => prop::collection::vec(0..3_u8, 1..6),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), any::<u8>()).prop_map(|(key, n)| Step::Put(key, n)),
        6 => (key(), any::<u8>()).prop_map(|(key, n)| Step::Insert(key, n)),
        6 => (key(), any::<u8>(), 0..900_usize).prop_map(|(key, n, len)| Step::InsertBulk(key, n, len)),
        9 => key().prop_map(Step::Delete),
        3 => (key(), key()).prop_map(|(from, to)| Step::DeleteRange(from, to)),
        8 => (key(), 0..4_usize).prop_map(|(key, ahead)| Step::Get(key, ahead)),
        6 => (key(), key(), 1..20_usize).prop_map(|(from, to, n)| Step::Scan(from, to, n)),
        6 => key().prop_map(Step::Body),
        1 => Just(Step::RunBodies),
        9 => Just(Step::Commit),
        3 => Just(Step::Freeze),
        3 => Just(Step::RunCheckpoint),
        3 => Just(Step::Checkpointed),
        2 => Just(Step::RunLoads),
        1 => Just(Step::Upkeep),
        1 => Just(Step::Crash),
        1 => Just(Step::Close),
    ]
}

fn options() -> Options {
    Options {
        segment_bytes: 1500,
        reserve_bytes: 1000,
        body_cache_bytes: 700,
        window_bytes_max: 2000,
        table_cache_bytes: 1 << 20,
        blob_bytes_min: 600,
        blob_segment_bytes: 3000,
        ..Options::default()
    }
}

struct Run {
    disk: MemoryDisk,
    store: Option<Store<MemoryDisk>>,
    writer: Option<LogWriter<MemoryDisk>>,
    model: Model,
    committed: Model,
    checkpoint: Option<Checkpoint<MemoryDisk>>,
    done: Option<CheckpointDone>,
    loads: Vec<Load<MemoryDisk>>,
    bodies: Vec<(BodyLoad<MemoryDisk>, Vec<u8>)>,
}

impl Run {
    fn new() -> Self {
        let disk = MemoryDisk::new();
        let (store, writer, _) = Store::open(disk.clone(), options()).unwrap();
        Run {
            disk,
            store: Some(store),
            writer: Some(writer),
            model: Model::new(),
            committed: Model::new(),
            checkpoint: None,
            done: None,
            loads: Vec::new(),
            bodies: Vec::new(),
        }
    }

    fn store(&mut self) -> &mut Store<MemoryDisk> {
        self.store.as_mut().unwrap()
    }

    fn commit(&mut self) {
        if let Some(group) = self.store().seal(Time(5)) {
            self.writer.as_mut().unwrap().append(&group).unwrap();
            self.store().committed(group.sequence());
        }
        self.committed = self.model.clone();
    }

    fn get(&mut self, key: &[u8], ahead: usize) -> Option<Vec<u8>> {
        loop {
            let store = self.store.as_mut().unwrap();
            match store.get(key, ahead) {
                Ok(value) => return value.map(<[u8]>::to_vec),
                Err(need) => {
                    self.loads.push(store.load(&need));
                    store.load_now(&need).unwrap();
                }
            }
        }
    }

    fn scan(&mut self, from: &[u8], to: &[u8], max: usize) -> Vec<(Key, Vec<u8>)> {
        loop {
            let store = self.store.as_mut().unwrap();
            let mut rows = Vec::new();
            let result = store.scan(from, to, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                if rows.len() < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            match result {
                Ok(()) => return rows,
                Err(need) => {
                    self.loads.push(store.load(&need));
                    store.load_now(&need).unwrap();
                }
            }
        }
    }

    fn finish_checkpoint(&mut self) {
        if let Some(checkpoint) = self.checkpoint.take() {
            self.done = Some(checkpoint.run().unwrap());
        }
        if let Some(done) = self.done.take() {
            self.store().checkpointed(done);
        }
    }

    fn run_bodies(&mut self) {
        for (load, expected) in self.bodies.drain(..) {
            assert_eq!(load.run().unwrap().as_deref(), Some(&expected[..]));
        }
    }

    fn reopen(&mut self) {
        self.loads.clear();
        let (store, writer, recovery) = Store::open(self.disk.clone(), options()).unwrap();
        assert_eq!(recovery.torn, None);
        self.store = Some(store);
        self.writer = Some(writer);
        self.model = self.committed.clone();
        self.compare();
    }

    fn compare(&mut self) {
        let expected: Vec<_> = self
            .model
            .iter()
            .map(|(key, (value, bulk))| (key.clone(), if *bulk { vec![] } else { value.clone() }))
            .collect();
        assert_eq!(self.scan(&[], &[255; 9], usize::MAX), expected);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(key, n) => {
                self.store().put(&key, &vec![n; usize::from(n)]);
                self.model.insert(key, (vec![n; usize::from(n)], false));
            }
            Step::Insert(key, n) => {
                if !self.model.contains_key(&key) {
                    self.store().insert(&key, &[n]);
                    self.model.insert(key, (vec![n], false));
                }
            }
            Step::InsertBulk(key, n, len) => {
                if !self.model.contains_key(&key) {
                    self.store().insert_bulk(&key, &[&[n], &vec![n; len]]);
                    self.model.insert(key, (vec![n; len + 1], true));
                }
            }
            Step::Delete(key) => {
                self.store().delete(&key);
                self.model.remove(&key);
            }
            Step::DeleteRange(from, to) => {
                self.store().delete_range(&from, &to);
                self.model.retain(|key, _| *key < from || *key >= to);
            }
            Step::Get(key, ahead) => {
                let expected = self.model.get(&key).map(|(value, bulk)| if *bulk { vec![] } else { value.clone() });
                assert_eq!(self.get(&key, ahead), expected, "{key:?}");
            }
            Step::Scan(from, to, max) => {
                let expected: Vec<_> = self
                    .model
                    .iter()
                    .filter(|(key, _)| **key >= from && **key < to)
                    .map(|(key, (value, bulk))| (key.clone(), if *bulk { vec![] } else { value.clone() }))
                    .take(max)
                    .collect();
                assert_eq!(self.scan(&from, &to, max), expected);
            }
            Step::Body(key) => {
                let expected = self.model.get(&key).map(|(value, _)| value.clone());
                match self.store().body(&key) {
                    Body::Ready(body) => assert_eq!(Some(body.to_vec()), expected),
                    Body::Absent => assert_eq!(None, expected),
                    Body::Load(load) => match expected {
                        Some(expected) => self.bodies.push((load, expected)),
                        None => assert_eq!(load.run().unwrap(), None),
                    },
                }
            }
            Step::RunBodies => self.run_bodies(),
            Step::Commit => self.commit(),
            Step::Freeze => {
                if self.checkpoint.is_none() && self.done.is_none() {
                    self.checkpoint = self.store().freeze();
                }
            }
            Step::RunCheckpoint => {
                if let Some(checkpoint) = self.checkpoint.take() {
                    self.done = Some(checkpoint.run().unwrap());
                }
            }
            Step::Checkpointed => {
                if let Some(done) = self.done.take() {
                    self.store().checkpointed(done);
                }
            }
            Step::RunLoads => {
                for load in std::mem::take(&mut self.loads) {
                    let loaded = load.run().unwrap();
                    self.store().loaded(loaded);
                }
            }
            Step::Upkeep => {
                if let Some(upkeep) = self.store().upkeep() {
                    upkeep.run().unwrap();
                }
            }
            Step::Crash => {
                self.run_bodies();
                self.disk = self.disk.copy();
                self.checkpoint = None;
                self.done = None;
                self.reopen();
            }
            Step::Close => {
                self.commit();
                self.finish_checkpoint();
                self.run_bodies();
                self.loads.clear();
                self.writer = None;
                self.store.take().unwrap().close().unwrap();
                self.reopen();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_map_whatever_is_checkpointed_loaded_or_reopened_meanwhile(steps in prop::collection::vec(step(), 1..150)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        run.compare();
    }
}
