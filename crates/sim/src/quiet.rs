//! What is checked of the whole: after each step, when the shard has come to rest, and at the end.

mod batches;
mod jobs;

use weir_core::api::{Command, Counters, IDEMPOTENCY_WINDOW_MS};
use weir_core::kv::View;

use crate::disk::Faults;
use crate::model::Checked;
use crate::run::Run;

pub(crate) use batches::Filling;

impl Run {
    /// The counters of every queue, after each step.
    pub(crate) fn check_state(&mut self) -> Checked {
        if self.is_stopped() {
            return Ok(());
        }
        if let Some(life) = &mut self.life {
            life.check_syncs(self.now, self.profile.options.durability)?;
        }
        self.model.pass(self.now);
        if let Some(wrong) = &self.model.jobs.flows.wrong {
            return Err(wrong.clone());
        }
        for id in self.queue_ids() {
            let Some(life) = &self.life else { return Ok(()) };
            let counters = life.driver.engine().counters(id).ok_or_else(|| format!("queue {} is gone", id.0))?;
            let counters = self.altered(counters);
            self.model.check_counters(id, counters, self.now)?;
        }
        Ok(())
    }

    fn altered(&self, counters: Counters) -> Counters {
        self.mutation.map_or(counters, |mutation| mutation.alter_counters(counters))
    }

    /// Once everything due was dealt with, no receiver waits while a message is ready.
    pub(crate) fn check_waiting(&mut self) -> Checked {
        self.check_waits()?;
        self.check_batches()?;
        for (token, pending) in &self.pending {
            if let (Command::Receive { queue, .. }, None, false) = (&pending.command, &pending.made, pending.canceled)
                && let Some(number) = self.model.certainly_ready(*queue, self.now).first()
            {
                return Err(format!("receive {} waits although message {number} is ready", token.0));
            }
            if let (Command::Lease { queue, linger_ms: 0, .. }, None, false) =
                (&pending.command, &pending.made, pending.canceled)
                && let Some((_, job)) = self
                    .model
                    .jobs_certainly_ready(*queue)
                    .find(|(_, job)| self.model.is_unlimited(*queue, job, self.now))
            {
                return Err(format!("lease {} waits although job {} is ready", token.0, job.number));
            }
        }
        Ok(())
    }

    /// Lets the shard come to rest, and compares.
    pub(crate) fn settle(&mut self) -> Checked {
        for _ in 0..500 {
            self.work_off()?;
            if self.disk.is_dead() || self.is_stopped() {
                // The next step sees to it.
                return Ok(());
            }
            self.tick()?;
            if self.model.settled_until == self.now && self.is_resting() {
                break;
            }
        }
        if self.disk.is_dead() || self.is_stopped() {
            return Ok(());
        }
        if self.model.settled_until != self.now {
            return Err("the shard does not come to rest".to_owned());
        }
        self.coverage.comparisons += 1;
        self.check_state()?;
        for queue in self.queue_ids() {
            self.submit(Command::QueueStats { queue })?;
        }
        self.work_off()
    }

    fn is_stopped(&self) -> bool {
        self.life.as_ref().is_none_or(|life| life.driver.poisoned().is_some())
    }

    fn is_resting(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.work.is_empty() && life.done.is_empty() && life.loads == 0)
    }

    /// The end: everything is received and deleted, and nothing is left over or missing.
    pub(crate) fn finish(&mut self) -> Checked {
        self.say(|| "the end begins".to_owned());
        self.disk.set_faults(Faults::default());
        self.disk.set_quota(None);
        self.is_full = false;
        if self.disk.is_dead() || self.is_stopped() || self.power.chance(1, 2) {
            self.crash_calmly()?;
        }
        self.disk.die_after(None);
        self.network.clear();
        let waiting: Vec<_> = self.pending.keys().copied().collect();
        for receive in waiting {
            self.submit(Command::Cancel { receive })?;
        }
        self.settle()?;
        if self.is_stopped() {
            // What failed before the faults ended was noticed only now.
            self.crash_calmly()?;
            self.settle()?;
        }
        // Leases and delays end; what is shorter kept than that may go.
        self.pass(700_000)?;
        self.settle()?;
        self.finish_jobs()?;
        for _ in 0..20_000 {
            if !self.drain()? {
                break;
            }
        }
        self.settle()?;
        for id in self.queue_ids() {
            self.submit(Command::QueueStats { queue: id })?;
            let counters = self.life.as_ref().and_then(|life| life.driver.engine().counters(id));
            if counters != Some(Counters::default()) {
                return Err(format!("queue {} was drained and says {counters:?}", id.0));
            }
        }
        let kept = |number: &&usize| {
            self.model
                .messages
                .get(number)
                .is_some_and(|message| !message.doubtful && !self.model.may_have_expired(message, self.now))
        };
        if let Some(number) = self.model.messages.keys().find(kept) {
            return Err(format!("message {number} was never deleted and is nowhere"));
        }
        self.check_leftovers()
    }

    fn crash_calmly(&mut self) -> Checked {
        self.disk.die_after(None);
        self.crash()
    }

    /// Receives from every queue and deletes what comes. Says whether anything came.
    fn drain(&mut self) -> Result<bool, String> {
        let mut more = false;
        for queue in self.queue_ids() {
            self.clients.handles.clear();
            self.submit(Command::Receive {
                queue,
                max: 10,
                bytes_max: u64::MAX,
                visibility_ms: Some(600_000),
                attempt: None,
                wait_ms: 0,
            })?;
            self.work_off()?;
            let handles = self.clients.handles.iter().map(|(_, handle)| *handle).collect::<Vec<_>>();
            if handles.is_empty() {
                continue;
            }
            more = true;
            self.submit(Command::Delete { queue, handles: handles.into() })?;
            self.work_off()?;
            if self.is_stopped() {
                return Err("the shard stopped while it was drained".to_owned());
            }
        }
        Ok(more)
    }

    /// In an empty shard nothing is stored but the queues themselves.
    fn check_leftovers(&mut self) -> Checked {
        for _ in 0..4 {
            self.pass(2 * crate::model::DEDUP_MS)?;
            self.settle()?;
        }
        self.pass(2 * IDEMPOTENCY_WINDOW_MS)?;
        self.settle()?;
        self.end_life();
        let Some(life) = self.life.take() else { return Ok(()) };
        let mut store = life.driver.into_store();
        let mut kinds = std::collections::BTreeMap::new();
        let mut from = Vec::new();
        loop {
            let scanned = store.scan(&from, &[0xFF], &mut |key, _| {
                *kinds.entry(key.get(kind_at(key)).copied().unwrap_or(0)).or_insert(0_u64) += 1;
                std::ops::ControlFlow::Continue(())
            });
            let Err(need) = scanned else { break };
            store.load_now(&need).map_err(|error| format!("the rows left cannot be read: {error}"))?;
            from = need.from.to_vec();
        }
        // Counters, queues and their statistics: see the table of the key space.
        kinds.retain(|kind, _| !matches!(kind, 16..=18 | 42));
        if kinds.is_empty() { Ok(()) } else { Err(format!("rows are left over, by kind: {kinds:?}")) }
    }
}

/// Where the kind stands in a key: after two numbers.
fn kind_at(key: &[u8]) -> usize {
    let after = |at: usize| at + 1 + key.get(at).map_or(0, |&len| usize::from(len));
    after(after(0))
}
