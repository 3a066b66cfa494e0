//! Rows that commands and the engine wait for.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use weir_core::api::{Command, Token};
use weir_core::kv::{Key, Need};
use weir_store::disk::Disk;
use weir_store::{Load, Store};

use super::LOADS_TOGETHER_MAX;
use crate::work::{LoadWork, Range};

/// How many pieces of work that load rows are given out at once. What is asked for meanwhile goes out together with the
/// next, so that a thousand commands that wait cost a few wake-ups.
const LOADS_MAX: usize = 2;

/// A command that waits for rows.
#[derive(Debug)]
struct Parked {
    token: Token,
    command: Command,
    /// How many loads are still under way for it.
    missing: usize,
}

/// What is to be loaded, and for whom.
#[derive(Debug)]
pub(super) struct Rows<D: Disk> {
    /// Commands that wait for rows, by ticket.
    parked: FxHashMap<u64, Parked>,
    /// What is being loaded, and the tickets of the commands that wait for it. None: the engine itself waits.
    loading: FxHashMap<Range, Vec<u64>>,
    /// Loads that were not given out yet, and how many pieces of work for loads were.
    loads: BTreeMap<Range, Load<D>>,
    out: usize,
    last_ticket: u64,
}

impl<D: Disk> Default for Rows<D> {
    fn default() -> Self {
        Self {
            parked: FxHashMap::default(),
            loading: FxHashMap::default(),
            loads: BTreeMap::new(),
            out: 0,
            last_ticket: 0,
        }
    }
}

impl<D: Disk> Rows<D> {
    /// Keeps a command until all that it needs is loaded. Returns how many new loads that takes.
    pub(super) fn park(&mut self, store: &Store<D>, token: Token, command: Command, needs: &[Need]) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.parked.insert(ticket, Parked { token, command, missing: needs.len() });
        needs.iter().map(|need| self.want(store, need, Some(ticket))).sum()
    }

    /// Takes note of what is needed: by a command that is parked, or by the engine. Returns how many new loads that takes.
    pub(super) fn want(&mut self, store: &Store<D>, need: &Need, ticket: Option<u64>) -> u64 {
        let range: (Key, Key) = (need.from.clone(), need.to.clone());
        let waiting = self.loading.entry(range.clone());
        let is_new = matches!(waiting, Entry::Vacant(_));
        if is_new {
            self.loads.insert(range, store.load(need));
        }
        waiting.or_default().extend(ticket);
        u64::from(is_new)
    }

    /// What is to be loaded now, in the order of the keys: neighbours share pages.
    pub(super) fn poll(&mut self) -> Option<LoadWork<D>> {
        if self.loads.is_empty() || self.out >= LOADS_MAX {
            return None;
        }
        self.out += 1;
        let together = std::iter::from_fn(|| self.loads.pop_first());
        Some(LoadWork { loads: together.take(LOADS_TOGETHER_MAX).collect() })
    }

    /// Takes note that what was given out together is loaded. Returns the commands for which nothing is missing now.
    pub(super) fn loaded(&mut self, ranges: &[Range]) -> Vec<(Token, Command)> {
        self.out = self.out.saturating_sub(1);
        let mut complete = Vec::new();
        for ticket in ranges.iter().filter_map(|range| self.loading.remove(range)).flatten() {
            let Some(parked) = self.parked.get_mut(&ticket) else { continue };
            parked.missing -= 1;
            if parked.missing == 0
                && let Some(Parked { token, command, .. }) = self.parked.remove(&ticket)
            {
                complete.push((token, command));
            }
        }
        complete
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.loads.clear();
        self.loading.clear();
        self.parked.clear();
    }
}
