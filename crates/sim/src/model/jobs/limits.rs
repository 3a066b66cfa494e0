//! Limiters: what runs under each key, and when its starts left.
//!
//! What left has left, whatever a loss of power undoes later, so the starts are kept apart from the model and outlive its
//! return to an earlier state.

use std::collections::BTreeMap;

use weir_core::api::limit::{Acquired, KeyStats, LimitKey, LimiterId, PermitId};
use weir_core::api::{Command, Delivery, Error, QueueId, Reply};
use weir_core::limiter::{Counts, Terms, Unknown, Window};

use super::super::{Checked, Effect, Model};
use super::{Job, State};

/// A key of a limiter.
pub type Key = (LimiterId, Option<LimitKey>);

/// A limiter.
#[derive(Clone, Debug)]
pub struct LimiterModel {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub terms: Terms,
    /// What each of its windows knows.
    pub known: Vec<Known>,
    /// When what was not known was last taken for nothing.
    pub forgiven: u64,
    /// Counts its changes.
    pub version: u64,
    /// Whether it was deleted.
    pub deleted: bool,
    /// When. Those who waited for it are brought back one after the other.
    pub deleted_at: u64,
}

/// What a window knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What left by then does not count.
    pub forgiven: u64,
    /// Whether it knows all the rest, so that there is nothing to be forgiven.
    pub whole: bool,
}

/// That something starts under a key.
#[derive(Clone, Debug)]
pub struct Use {
    /// The key.
    pub key: Key,
    /// What it costs.
    pub cost: u32,
    /// What the limiter allowed when it was granted, and what its windows knew.
    pub terms: Terms,
    /// One for each window.
    pub known: Vec<Known>,
}

impl LimiterModel {
    fn new(name: &str, terms: &Terms) -> Self {
        let known = vec![Known { forgiven: 0, whole: true }; terms.windows.len()];
        Self {
            name: name.to_owned(),
            terms: terms.clone(),
            known,
            forgiven: 0,
            version: 0,
            deleted: false,
            deleted_at: 0,
        }
    }

    /// A window knows what one as long, or longer, knew before; only what none did may be forgiven.
    fn change(&mut self, terms: &Terms, unknown: Unknown, at: u64) {
        let forgives = unknown == Unknown::Empty;
        if forgives {
            self.forgiven = at;
        }
        let later = Known { forgiven: self.forgiven, whole: false };
        let known = terms.windows.iter().map(|window| {
            let covers = |known: &Window| {
                known.counts == window.counts && known.per_ms + self.terms.guard_ms >= window.per_ms + terms.guard_ms
            };
            let known = self.terms.windows.iter().zip(&self.known).filter(|(known, _)| covers(known));
            let known = known.map(|(_, known)| *known).filter(|known| known.whole || !forgives);
            known.min_by_key(|known| (known.forgiven, !known.whole)).unwrap_or(later)
        });
        self.known = known.collect();
        self.terms = terms.clone();
    }

    fn started(&self, key: Key, cost: u32) -> Use {
        Use { key, cost, terms: self.terms.clone(), known: self.known.clone() }
    }
}

/// A permit that somebody holds, or may.
#[derive(Clone, Copy, Debug)]
pub struct PermitModel {
    /// Its key.
    pub key: Key,
    /// When it ends by itself.
    pub until: u64,
    /// Whether it was given back, and that may not have been noticed yet.
    pub returning: bool,
}

/// What is known of limiters.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// All limiters ever seen.
    pub limiters: BTreeMap<LimiterId, LimiterModel>,
    /// What each grant starts under.
    pub uses: BTreeMap<(u64, u32), Vec<Use>>,
    /// Permits.
    pub permits: BTreeMap<PermitId, PermitModel>,
    /// Until when keys are paused.
    pub paused: BTreeMap<Key, u64>,
    /// When something was last granted, given back or changed under each limiter.
    pub touched: BTreeMap<LimiterId, u64>,
    /// When something last left, and whether it may be later than that.
    pub released: (u64, bool),
    /// When all ends that were due had last been dealt with.
    pub rested: u64,
    /// Whether a queue was emptied and what ran of it may not be reclaimed yet.
    pub emptied: bool,
}

/// A start that left.
#[derive(Clone, Copy, Debug)]
struct Left {
    at: u64,
    cost: u32,
    /// The sequence of the state in which it was granted.
    sequence: u64,
}

/// Starts that left, by key.
#[derive(Clone, Debug, Default)]
pub struct Starts {
    left: BTreeMap<Key, Vec<Left>>,
}

impl Starts {
    /// What was granted after this state never was, as far as the limiters know: how much that is. Where nothing is
    /// answered before it is durable, it is nothing.
    pub fn forget(&mut self, sequence: u64) -> u64 {
        let count = |left: &BTreeMap<Key, Vec<Left>>| left.values().map(Vec::len).sum::<usize>() as u64;
        let before = count(&self.left);
        self.left.values_mut().for_each(|left| left.retain(|left| left.sequence <= sequence));
        before - count(&self.left)
    }

    /// Something left at `at` that was granted in the state with this sequence.
    pub fn leave(&mut self, started: &Use, at: u64, sequence: u64) -> Checked {
        let left = self.left.entry(started.key).or_default();
        left.push(Left { at, cost: started.cost, sequence });
        for (window, known) in started.terms.windows.iter().zip(&started.known) {
            let inside = left.iter().filter(|left| left.at + window.per_ms > at && left.at > known.forgiven);
            let sum: u64 = match window.counts {
                Counts::Starts => inside.count() as u64,
                Counts::Units => inside.map(|left| u64::from(left.cost)).sum(),
            };
            if sum > u64::from(window.max) {
                return Err(format!(
                    "under limiter {} {sum} left within {} ms, and {} may",
                    started.key.0.0, window.per_ms, window.max
                ));
            }
        }
        Ok(())
    }
}

impl Model {
    pub(in crate::model) fn limiter_put(
        &mut self,
        name: &str,
        terms: &Terms,
        unknown: Unknown,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let existing = self.limiter_named(name);
        let Ok(Reply::Limiter { limiter, created }) = reply else {
            return Err(format!("a limiter was answered with {reply:?}"));
        };
        if *created == existing.is_some() || existing.is_some_and(|id| id != limiter.id) {
            return Err(format!("limiter {name} was put as {limiter:?}"));
        }
        self.forget_bounds(None);
        let limits = &mut self.jobs.limits;
        let model = limits.limiters.entry(limiter.id).or_insert_with(|| LimiterModel::new(name, terms));
        if !*created {
            model.change(terms, unknown, at);
        }
        model.version = limiter.version;
        limits.touched.insert(limiter.id, at);
        Ok(())
    }

    pub(in crate::model) fn limiter_deleted(&mut self, id: LimiterId, at: u64) -> Checked {
        self.forget_bounds(None);
        let limits = &mut self.jobs.limits;
        let limiter = limits.limiters.get_mut(&id).ok_or("a limiter that never was is deleted")?;
        limiter.deleted = true;
        limiter.deleted_at = at;
        limits.permits.retain(|_, permit| permit.key.0 != id);
        limits.paused.retain(|key, _| key.0 != id);
        Ok(())
    }

    pub(in crate::model) fn limiter_not_found(&self, effect: &Effect) -> Checked {
        let (Command::DeleteLimiter { limiter }
        | Command::LimiterStats { limiter, .. }
        | Command::PauseKey { limiter, .. }
        | Command::Acquire { limiter, .. }
        | Command::SettlePermit { limiter, .. }) = effect.command
        else {
            return Err("a command without a limiter did not find it".to_owned());
        };
        let there = self.jobs.limits.limiters.get(&limiter).is_some_and(|limiter| !limiter.deleted);
        if there && !effect.canceled { Err(format!("limiter {} was not found", limiter.0)) } else { Ok(()) }
    }

    pub(in crate::model) fn key_paused(&mut self, key: Key, for_ms: u64, at: u64) {
        self.forget_bounds(None);
        let limits = &mut self.jobs.limits;
        limits.touched.insert(key.0, at);
        let until = at.saturating_add(for_ms);
        let paused = limits.paused.entry(key).or_insert(0);
        *paused = if for_ms == 0 { 0 } else { until.max(*paused) };
    }

    /// The limiter of that name.
    pub fn limiter_named(&self, name: &str) -> Option<LimiterId> {
        let named = |limiter: &LimiterModel| limiter.name == name && !limiter.deleted;
        self.jobs.limits.limiters.iter().find(|(_, limiter)| named(limiter)).map(|(id, _)| *id)
    }

    /// What a job starts under when it is granted now.
    pub fn uses_of(&self, queue: QueueId, job: &Job) -> Vec<Use> {
        let Some(queue) = self.jobs.queues.get(&queue) else { return Vec::new() };
        let limits = queue.config().limiters.into_iter().enumerate().filter_map(|(at, limited)| {
            let id = self.limiter_named(&limited.limiter)?;
            let (key, cost) = job.limits.get(at).copied().unwrap_or_default();
            Some(self.jobs.limits.limiters.get(&id)?.started((id, key), cost.max(1)))
        });
        limits.collect()
    }

    /// A job is granted at `at`, under `grant`.
    pub(super) fn started(&mut self, queue: QueueId, id: u64, grant: u32, at: u64) -> Checked {
        let Some(job) = self.jobs.all.get(&id) else { return Ok(()) };
        let uses = self.uses_of(queue, job);
        for started in &uses {
            self.check_start(started, at)?;
            self.jobs.limits.touched.insert(started.key.0, at);
        }
        if !uses.is_empty() {
            self.jobs.limits.uses.insert((id, grant), uses);
        }
        Ok(())
    }

    fn check_start(&self, started: &Use, at: u64) -> Checked {
        let key = started.key;
        if let Some(until) = self.jobs.limits.paused.get(&key).filter(|until| **until > at) {
            return Err(format!("something started under limiter {}, which is paused until {until}", key.0.0));
        }
        let running = self.running(key, at).0;
        if let Some(concurrency) = started.terms.concurrency.filter(|max| running >= u64::from(*max)) {
            return Err(format!("{running} ran under limiter {} already, and {concurrency} may", key.0.0));
        }
        Ok(())
    }

    /// How much runs under a key: at least and at most.
    fn running(&self, key: Key, at: u64) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        for (&(id, grant), uses) in &self.jobs.limits.uses {
            let count = uses.iter().filter(|started| started.key == key).count() as u64;
            let Some(job) = self.jobs.all.get(&id).filter(|_| count > 0) else { continue };
            least += if job.certainly(|standing| standing.is_held(grant, at)) { count } else { 0 };
            let held = job.possibly(|standing| standing.state == State::Leased && standing.grants == grant);
            most += if held { count } else { 0 };
        }
        for permit in self.jobs.limits.permits.values().filter(|permit| permit.key == key) {
            least += u64::from(at < permit.until && !permit.returning);
            most += u64::from(permit.until >= self.settled_until);
        }
        (least, most)
    }

    pub(in crate::model) fn key_told(&self, key: Key, stats: &KeyStats, at: u64) -> Checked {
        let (least, most) = self.running(key, at);
        let most = if self.jobs.limits.emptied { u64::MAX } else { most };
        if !(least..=most).contains(&stats.running) {
            return Err(format!("under limiter {} run {least} to {most}, and it says {stats:?}", key.0.0));
        }
        Ok(())
    }

    pub(in crate::model) fn acquired(&mut self, effect: &Effect, acquired: Acquired) -> Checked {
        let Command::Acquire { limiter, key, cost, lease_ms, wait_ms, .. } = effect.command else {
            return Err("a permit for another command".to_owned());
        };
        let (key, at) = ((limiter, key), effect.at);
        match acquired {
            Acquired::Granted { permit, until } => {
                let model = self.jobs.limits.limiters.get(&limiter).ok_or("a permit of a limiter that never was")?;
                let started = model.started(key, cost);
                self.check_start(&started, at)?;
                self.jobs.limits.touched.insert(limiter, at);
                if until.0 != at.saturating_add(lease_ms) {
                    return Err(format!("permit {} ends at {until}", permit.0));
                }
                let model = PermitModel { key, until: until.0, returning: false };
                if self.jobs.limits.permits.insert(permit, model).is_some() {
                    return Err(format!("permit {} was granted twice", permit.0));
                }
                Ok(())
            }
            Acquired::Blocked(_) if effect.canceled || at >= effect.submitted + wait_ms => {
                if !effect.canceled && self.is_free(key, at) {
                    return Err(format!("nothing runs under limiter {}, and a permit was refused", limiter.0));
                }
                Ok(())
            }
            Acquired::Blocked(_) => Err("a permit was refused before its wait was over".to_owned()),
        }
    }

    /// A permit was given back that had not left, at once or when the rows are there that this needs.
    pub(in crate::model) fn permit_returned(&mut self, id: PermitId, at: u64, at_once: bool) {
        self.forget_bounds(None);
        let limits = &mut self.jobs.limits;
        let Some(permit) = limits.permits.get_mut(&id) else { return };
        limits.touched.insert(permit.key.0, at);
        permit.returning = true;
        if at_once {
            limits.permits.remove(&id);
        }
    }

    pub(in crate::model) fn permit_settled(
        &mut self,
        id: PermitId,
        done: bool,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        self.forget_bounds(None);
        let permit = self.jobs.limits.permits.get(&id).copied();
        match (reply, permit) {
            (Ok(Reply::Done), Some(permit)) => {
                self.jobs.limits.touched.insert(permit.key.0, at);
                if done {
                    self.jobs.limits.permits.remove(&id);
                }
                Ok(())
            }
            (Ok(Reply::Done), None) => Err(format!("permit {} is gone and was settled", id.0)),
            (Err(Error::PermitNotFound), Some(permit)) if at < permit.until => {
                Err(format!("permit {} was not found before its end", id.0))
            }
            (Err(Error::PermitNotFound), _) => {
                self.jobs.limits.permits.remove(&id);
                Ok(())
            }
            (reply, _) => Err(format!("settling a permit was answered with {reply:?}")),
        }
    }

    /// The door said that something left; the engine may have to load rows before it knows.
    pub fn released(&mut self, parked: bool, at: u64) {
        let limits = &mut self.jobs.limits;
        limits.released = (at, limits.released.1 || parked);
    }

    /// The engine has all rows that it wanted.
    pub fn releases_settled(&mut self, at: u64) {
        let limits = &mut self.jobs.limits;
        // What was never said to have left left when it ended, which was noticed since.
        let rested = std::mem::replace(&mut limits.rested, at);
        let ended = |permit: &&PermitModel| (rested..=at).contains(&permit.until);
        let ended: Vec<LimiterId> = limits.permits.values().filter(ended).map(|permit| permit.key.0).collect();
        let emptied = if limits.emptied { limits.limiters.keys().copied().collect() } else { Vec::new() };
        limits.touched.extend(ended.into_iter().chain(emptied).map(|limiter| (limiter, at)));
        let returned = limits.permits.values().filter(|permit| permit.returning).map(|permit| permit.key.0);
        limits.touched.extend(returned.collect::<Vec<_>>().into_iter().map(|limiter| (limiter, at)));
        limits.permits.retain(|_, permit| !permit.returning);
        limits.emptied = false;
        if limits.released.1 {
            limits.released = (at, false);
        }
    }

    /// What starts with a command that took effect, and until when it may.
    pub fn starts_of(&self, effect: &Effect) -> Vec<(Use, u64)> {
        match (&effect.command, &effect.reply) {
            (Command::Lease { .. }, Some(Ok(Reply::Received(deliveries)))) => {
                let uses = |delivery: &Delivery| {
                    let uses = self.jobs.limits.uses.get(&(delivery.handle.message, delivery.handle.grant))?;
                    Some(uses.iter().map(|started| (started.clone(), delivery.deadline.0)).collect::<Vec<_>>())
                };
                deliveries.iter().filter_map(uses).flatten().collect()
            }
            (
                Command::Acquire { limiter, key, cost, .. },
                Some(Ok(Reply::Acquired(Acquired::Granted { until, .. }))),
            ) => {
                let model = self.jobs.limits.limiters.get(limiter);
                let started = model.map(|model| model.started((*limiter, *key), *cost));
                started.map(|started| (started, until.0)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether nothing at all holds a start under the key back, beyond doubt: nothing runs, no pause, and for twice as long
    /// as any of its windows nothing happened.
    pub fn is_free(&self, key: Key, at: u64) -> bool {
        let limits = &self.jobs.limits;
        let Some(limiter) = limits.limiters.get(&key.0) else { return true };
        let terms = &limiter.terms;
        let longest = terms.windows.iter().map(|window| window.per_ms).max().unwrap_or(0);
        let rest = 2 * longest + terms.guard_ms + terms.slow_start_ms + 1_000;
        let (released, later) = limits.released;
        let since = limits.touched.get(&key.0).copied().unwrap_or(0).max(self.opened_at).max(released);
        let paused = limits.paused.get(&key).copied().unwrap_or(0);
        let pause_over = paused.saturating_add(rest) < self.settled_until;
        pause_over && !later && since.saturating_add(rest) < self.settled_until && self.running(key, at).1 == 0
    }

    /// Whether no limiter can hold a job back.
    pub fn is_unlimited(&self, queue: QueueId, job: &Job, at: u64) -> bool {
        let waits = |limiter: &LimiterModel| limiter.deleted && limiter.deleted_at >= self.settled_until;
        !self.jobs.limits.limiters.values().any(waits)
            && self.uses_of(queue, job).iter().all(|started| self.is_free(started.key, at))
    }
}
