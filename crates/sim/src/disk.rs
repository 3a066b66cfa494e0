//! Simulated files: what was written is durable only once it was synced, and a crash keeps, loses or tears the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_store::disk::{Disk, DiskFile};

use crate::rng::Rng;

/// What a disk writes as one, in the ordinary kind of tearing.
const SECTOR: u64 = 512;

/// What may go wrong, in failures out of a million calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Writes that fail, after a part was written or none.
    pub writes: u64,
    /// Syncs that fail; what they should have made durable may be durable or never will be.
    pub syncs: u64,
    /// Reads that fail.
    pub reads: u64,
}

/// What the disk was asked for so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskStats {
    /// Calls that change anything.
    pub calls: u64,
    /// Writes that were made to fail.
    pub failed_writes: u64,
    /// Syncs that were made to fail.
    pub failed_syncs: u64,
    /// Reads that were made to fail.
    pub failed_reads: u64,
    /// Calls refused because the disk was full.
    pub full: u64,
    /// Unsynced writes that a crash kept whole.
    pub kept: u64,
    /// Unsynced writes that a crash lost.
    pub lost: u64,
    /// Unsynced writes that a crash kept a part of.
    pub torn: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Len(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write(content, *offset, bytes),
            Change::Len(len) => content.resize(*len as usize, 0),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// What reads see.
    seen: Vec<u8>,
    /// What a crash leaves at least.
    durable: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Change>,
}

/// A name that now stands for another file or for none. Those of one call become durable together.
#[derive(Clone, Debug)]
struct Naming {
    call: u64,
    name: String,
    file: Option<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<Naming>,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    /// Counts the crashes: files opened and locks taken before one are dead.
    life: u64,
    locked: bool,
    faults: Faults,
    rng: Option<Rng>,
    quota: Option<u64>,
    calls_left: Option<u64>,
    stats: DiskStats,
    lies: bool,
    blind: bool,
    last_synced: Option<(u64, u64, usize)>,
}

/// A simulated directory. Clones are the same directory.
#[derive(Clone)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    life: u64,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("life", &self.life).finish_non_exhaustive()
    }
}

/// An open file of a [`SimDisk`].
pub struct SimFile {
    disk: SimDisk,
    file: u64,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("file", &self.file).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Lock(SimDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        if inner.life == self.0.life {
            inner.locked = false;
        }
    }
}

impl SimDisk {
    /// An empty directory whose faults are drawn from `rng`.
    pub fn new(rng: Rng) -> Self {
        let inner = Inner { rng: Some(rng), ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), life: 0 }
    }

    /// What may go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.lock().faults = faults;
    }

    /// Lets all files together be at most `bytes` long from now on; `None` for no bound.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.inner.lock().quota = bytes;
    }

    /// Kills the machine in the middle of the call that comes after `calls` more that change anything: that call and all
    /// after it fail. `None` takes it back.
    pub fn die_after(&self, calls: Option<u64>) {
        self.inner.lock().calls_left = calls;
    }

    /// Whether syncs say that they were done and do nothing: a fault for checkers to find.
    pub fn lie_about_syncs(&self, lies: bool) {
        self.inner.lock().lies = lies;
    }

    /// Whether reads that fail say that they were done and read zeros: a fault for checkers to find.
    pub fn lie_about_reads(&self, lies: bool) {
        self.inner.lock().blind = lies;
    }

    /// Wipes out what was last written and synced to a file whose name contains `of`: a fault for checkers to find.
    pub fn wipe_last_synced_write(&self, of: &str) {
        let mut inner = self.inner.lock();
        let Some((file, offset, len)) = inner.last_synced else { return };
        let named = inner.durable_names.iter().any(|(name, &named)| named == file && name.contains(of));
        if named {
            write(&mut inner.content(file).durable, offset, &vec![0; len]);
        }
    }

    /// Whether the machine has died.
    pub fn is_dead(&self) -> bool {
        self.inner.lock().calls_left == Some(0)
    }

    /// Sum of the files' lengths.
    pub fn bytes(&self) -> u64 {
        self.inner.lock().used()
    }

    /// What was asked for so far.
    pub fn stats(&self) -> DiskStats {
        self.inner.lock().stats
    }

    /// Whether `bytes` occur in what a crash would certainly leave of a named file.
    pub fn holds_durably(&self, bytes: &[u8]) -> bool {
        let inner = self.inner.lock();
        let mut files = inner.durable_names.values().filter_map(|file| inner.files.get(file));
        files.any(|content| contains(&content.durable, bytes))
    }

    /// The process that uses the directory is killed: what it wrote is with the system, synced or not. Returns the
    /// directory as the next process sees it.
    #[must_use]
    pub fn kill(&self) -> SimDisk {
        let mut inner = self.inner.lock();
        inner.life += 1;
        inner.locked = false;
        inner.calls_left = None;
        SimDisk { inner: Arc::clone(&self.inner), life: inner.life }
    }

    /// The machine loses power and comes back: every unsynced change is kept, lost or torn, in no order. Returns the
    /// directory as the next life sees it.
    #[must_use]
    pub fn crash(&self, rng: &mut Rng) -> SimDisk {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        // Now and then all of it is lost, or all of it is kept: the extremes are as likely as the mixtures.
        let mood = rng.below(4);
        for content in inner.files.values_mut() {
            for change in std::mem::take(&mut content.unsynced) {
                settle(content, &change, mood, rng, &mut inner.stats);
            }
            content.seen.clone_from(&content.durable);
        }
        let mut fate = None;
        for naming in std::mem::take(&mut inner.unsynced_names) {
            let kept = match fate {
                Some((call, kept)) if call == naming.call => kept,
                _ => match mood {
                    0 => false,
                    1 => true,
                    _ => rng.chance(1, 2),
                },
            };
            fate = Some((naming.call, kept));
            if kept {
                name(&mut inner.durable_names, &naming);
            }
        }
        inner.names.clone_from(&inner.durable_names);
        let named: std::collections::BTreeSet<u64> = inner.names.values().copied().collect();
        inner.files.retain(|file, _| named.contains(file));
        inner.life += 1;
        inner.locked = false;
        inner.calls_left = None;
        SimDisk { inner: Arc::clone(&self.inner), life: inner.life }
    }
}

fn settle(content: &mut Content, change: &Change, mood: u64, rng: &mut Rng, stats: &mut DiskStats) {
    let outcome = if mood < 2 { mood } else { rng.below(3) };
    match (outcome, change) {
        (0, _) => stats.lost += 1,
        (2, Change::Write { offset, bytes }) => {
            stats.torn += 1;
            tear(&mut content.durable, *offset, bytes, rng);
        }
        _ => {
            stats.kept += 1;
            change.apply(&mut content.durable);
        }
    }
}

/// Writes a part of `bytes`: some sectors of it, or rarely a beginning that ends anywhere.
fn tear(durable: &mut Vec<u8>, offset: u64, bytes: &[u8], rng: &mut Rng) {
    if rng.chance(1, 4) {
        let len = rng.index(bytes.len() + 1);
        write(durable, offset, bytes.get(..len).unwrap_or_default());
        return;
    }
    let odds = rng.between(1, 9);
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + (SECTOR - (offset + at as u64) % SECTOR) as usize).min(bytes.len());
        if rng.chance(odds, 10) {
            write(durable, offset + at as u64, bytes.get(at..end).unwrap_or_default());
        }
        at = end;
    }
}

fn name(names: &mut BTreeMap<String, u64>, naming: &Naming) {
    match naming.file {
        Some(file) => names.insert(naming.name.clone(), file),
        None => names.remove(&naming.name),
    };
}

fn contains(content: &[u8], bytes: &[u8]) -> bool {
    let Some((&first, rest)) = bytes.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = content.get(from..).and_then(|tail| tail.iter().position(|&byte| byte == first)) {
        if content.get(from + at + 1..).is_some_and(|tail| tail.starts_with(rest)) {
            return true;
        }
        from += at + 1;
    }
    false
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn dead() -> io::Error {
    io::Error::other("the simulated machine is down")
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full")
}

impl Inner {
    fn used(&self) -> u64 {
        let named = self.names.values().filter_map(|file| self.files.get(file));
        named.map(|content| content.seen.len() as u64).sum()
    }

    /// Counts a call that changes something; an error if the machine is down.
    fn call(&mut self, life: u64) -> io::Result<u64> {
        self.alive(life)?;
        self.stats.calls += 1;
        if let Some(left) = &mut self.calls_left {
            *left -= 1;
            if *left == 0 {
                return Err(dead());
            }
        }
        Ok(self.stats.calls)
    }

    fn alive(&self, life: u64) -> io::Result<()> {
        if self.life == life && self.calls_left != Some(0) { Ok(()) } else { Err(dead()) }
    }

    fn fails(&mut self, per_million: u64) -> bool {
        per_million > 0 && self.rng.as_mut().is_some_and(|rng| rng.chance(per_million, 1_000_000))
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.rng.as_mut().map_or(0, |rng| rng.below(bound))
    }

    fn has_room(&self, growth: u64) -> bool {
        growth == 0 || self.quota.is_none_or(|quota| self.used() + growth <= quota)
    }

    fn content(&mut self, file: u64) -> &mut Content {
        self.files.entry(file).or_default()
    }

    fn set_name(&mut self, call: u64, name_of: &str, file: Option<u64>) {
        let naming = Naming { call, name: name_of.to_owned(), file };
        name(&mut self.names, &naming);
        self.unsynced_names.push(naming);
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn open(&self, name: &str, create: bool) -> io::Result<SimFile> {
        let mut inner = self.inner.lock();
        inner.alive(self.life)?;
        let file = match inner.names.get(name) {
            Some(&file) => file,
            None if create => {
                let call = inner.call(self.life)?;
                inner.next_file += 1;
                let file = inner.next_file;
                inner.content(file);
                inner.set_name(call, name, Some(file));
                file
            }
            None => return Err(io::Error::new(io::ErrorKind::NotFound, format!("no simulated file {name}"))),
        };
        Ok(SimFile { disk: self.clone(), file })
    }

    fn list(&self, wanted: &str) -> io::Result<Vec<String>> {
        let inner = self.inner.lock();
        inner.alive(self.life)?;
        let wanted = wanted.trim_end_matches('/');
        let names = inner.names.keys().filter(|name| folder(name) == wanted);
        Ok(names.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let call = inner.call(self.life)?;
        let file = *inner.names.get(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        inner.set_name(call, from, None);
        inner.set_name(call, to, Some(file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let call = inner.call(self.life)?;
        if !inner.names.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        inner.set_name(call, name, None);
        Ok(())
    }

    fn sync_names(&self, wanted: &str) -> io::Result<()> {
        let mut guard = self.inner.lock();
        guard.call(self.life)?;
        let failing = guard.faults.syncs;
        if guard.fails(failing) {
            guard.stats.failed_syncs += 1;
            return Err(io::Error::other("simulated failure of a directory's sync"));
        }
        let inner = &mut *guard;
        let wanted = wanted.trim_end_matches('/');
        let (synced, unsynced): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.unsynced_names).into_iter().partition(|naming| folder(&naming.name) == wanted);
        for naming in &synced {
            name(&mut inner.durable_names, naming);
        }
        inner.unsynced_names = unsynced;
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn fmt::Debug + Send + Sync>> {
        let mut inner = self.inner.lock();
        inner.alive(self.life)?;
        if inner.locked {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        inner.locked = true;
        Ok(Box::new(Lock(self.clone())))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.disk.inner.lock();
        inner.alive(self.disk.life)?;
        let failing = inner.faults.reads;
        let fails = inner.fails(failing);
        if fails && !inner.blind {
            inner.stats.failed_reads += 1;
            return Err(io::Error::other("simulated failure of a read"));
        }
        let content = inner.content(self.file);
        let tail = content.seen.get(offset as usize..).unwrap_or_default();
        let len = tail.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), tail.get(..len)) {
            to.copy_from_slice(from);
            if fails {
                to.fill(0);
            }
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.disk.inner.lock();
        inner.alive(self.disk.life)?;
        // The machine may go down in this very call, which is then half done.
        let dies = inner.call(self.disk.life);
        let growth = (offset + bytes.len() as u64).saturating_sub(inner.content(self.file).seen.len() as u64);
        if !inner.has_room(growth) {
            inner.stats.full += 1;
            return Err(full());
        }
        let failing = inner.faults.writes;
        let fails = dies.is_ok() && inner.fails(failing);
        let written = if fails || dies.is_err() { inner.draw(bytes.len() as u64 + 1) as usize } else { bytes.len() };
        let change = Change::Write { offset, bytes: bytes.get(..written).unwrap_or_default().to_vec() };
        let content = inner.content(self.file);
        change.apply(&mut content.seen);
        content.unsynced.push(change);
        dies?;
        if fails {
            inner.stats.failed_writes += 1;
            return Err(io::Error::other("simulated failure of a write"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut guard = self.disk.inner.lock();
        guard.call(self.disk.life)?;
        let failing = guard.faults.syncs;
        let fails = guard.fails(failing);
        if guard.lies {
            return Ok(());
        }
        let unsynced = std::mem::take(&mut guard.content(self.file).unsynced);
        if let Some(Change::Write { offset, bytes }) = unsynced.last() {
            guard.last_synced = Some((self.file, *offset, bytes.len()));
        }
        for change in unsynced {
            // After a failed sync the system takes its pages for clean: what did not get out now never will.
            if !fails || guard.draw(2) == 0 {
                change.apply(&mut guard.content(self.file).durable);
            }
        }
        if fails {
            guard.stats.failed_syncs += 1;
            return Err(io::Error::other("simulated failure of a sync"));
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.disk.inner.lock();
        inner.call(self.disk.life)?;
        let growth = len.saturating_sub(inner.content(self.file).seen.len() as u64);
        if !inner.has_room(growth) {
            inner.stats.full += 1;
            return Err(full());
        }
        let content = inner.content(self.file);
        let change = Change::Len(len);
        change.apply(&mut content.seen);
        content.unsynced.push(change);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut inner = self.disk.inner.lock();
        inner.alive(self.disk.life)?;
        Ok(inner.content(self.file).seen.len() as u64)
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
