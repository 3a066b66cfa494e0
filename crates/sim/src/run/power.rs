//! How lives of the shard begin and end.

use std::collections::BTreeSet;

use weir_core::Time;
use weir_core::api::Handle;
use weir_shard::Driver;

use super::{Copying, Life, Run};
use crate::disk::Faults;
use crate::model::{Checked, Model};
use crate::mutation::Mutation;
use crate::quiet::Filling;

impl Run {
    /// Faults come and go.
    pub(super) fn draw_faults(&mut self) {
        if self.power.chance(1, 50) {
            let on = self.power.chance(1, 2);
            self.disk.set_faults(if on { self.profile.faults } else { Faults::default() });
        }
        if self.profile.crash_every > 0 && self.power.chance(1, self.profile.crash_every) {
            self.disk.die_after(Some(self.power.between(1, 12)));
        }
        if self.profile.set_clock_every > 0 && self.machine.chance(1, self.profile.set_clock_every) {
            self.set_clock();
        }
        if self.profile.full_every > 0 && !self.is_full && self.power.chance(1, self.profile.full_every) {
            self.is_full = true;
            let room = if self.power.chance(1, 2) { 0 } else { self.power.below(64 << 10) };
            self.disk.set_quota(Some(self.disk.bytes() + room));
            self.say(|| "the disk is full".to_owned());
        } else if self.is_full && self.power.chance(1, 25) {
            self.is_full = false;
            self.disk.set_quota(None);
            self.say(|| "the disk has room".to_owned());
        }
    }

    fn set_clock(&mut self) {
        let forward = self.clocks.set(&mut self.machine);
        *(if forward { &mut self.coverage.clock_set_forward } else { &mut self.coverage.clock_set_back }) += 1;
        let clocks = format!("{:?}", self.clocks);
        self.say(|| format!("the wall clock is set: {clocks}"));
    }

    /// Opens the shard, losing power now and then while doing so.
    pub(crate) fn open(&mut self) -> Checked {
        self.copying = Copying::Idle;
        self.closing = false;
        if self.machine.chance(1, 8) {
            self.clocks.stand(self.machine.below(200_000));
        }
        for attempt in 0.. {
            self.closed &= attempt == 0;
            if attempt < 3 && self.step > 0 && self.power.chance(1, 8) {
                self.disk.die_after(Some(self.power.between(1, 30)));
            }
            let failures = self.failures();
            let mut options = self.profile.options.clone();
            if let Some(mutation) = self.mutation {
                options.durability = mutation.alter_durability(options.durability);
            }
            match Driver::open(self.disk.clone(), options) {
                Ok((driver, writer, recovery)) => {
                    self.say(|| format!("opened: {recovery:?}"));
                    self.coverage.groups_replayed += recovery.replayed_groups;
                    self.coverage.torn_tails += u64::from(recovery.torn.is_some());
                    if self.closed && !recovery.clean && !self.disk.is_dead() {
                        return Err("a directory that was closed properly was opened as after a crash".to_owned());
                    }
                    self.closed = false;
                    self.failed_before = failures;
                    self.reads_failed_before = self.disk.stats().failed_reads;
                    self.coverage.openings_behind_the_log += u64::from(self.clocks.open(recovery.last_time.0));
                    self.now = self.clocks.now();
                    self.life = Some(Life::new(driver, writer));
                    return self.recovered(recovery.sequence);
                }
                Err(error) if self.disk.is_dead() => {
                    self.say(|| format!("the machine went down while opening: {error}"));
                    self.coverage.crashes_while_opening += 1;
                    self.lose_power();
                }
                Err(error) if self.failures() > failures => {
                    self.say(|| format!("opening failed as it should: {error}"));
                    self.disk.set_faults(Faults::default());
                    self.lose_power();
                }
                Err(error) if self.is_full => {
                    self.say(|| format!("opening failed on a full disk: {error}"));
                    self.is_full = false;
                    self.disk.set_quota(None);
                    self.lose_power();
                }
                Err(error) => return Err(format!("the shard does not open: {error}")),
            }
        }
        Ok(())
    }

    pub(super) fn failures(&self) -> u64 {
        let stats = self.disk.stats();
        stats.failed_writes + stats.failed_syncs + stats.failed_reads
    }

    /// The shard came back in the state with this sequence: what took effect later never happened.
    fn recovered(&mut self, sequence: u64) -> Checked {
        if sequence < self.acknowledged {
            return Err(format!("{} was acknowledged and the shard came back at {sequence}", self.acknowledged));
        }
        self.acknowledged = 0;
        self.synced = sequence;
        self.coverage.starts_forgotten += self.starts.forget(sequence);
        let handles = std::mem::take(&mut self.model.handles);
        let mut model = std::mem::take(&mut self.base);
        model.settled_until = 0;
        model.opened_at = self.now;
        let mut rests = std::mem::take(&mut self.rests).into_iter().peekable();
        for (number, effect) in std::mem::take(&mut self.effects).into_iter().enumerate() {
            while let Some(rest) = rests.next_if(|rest| rest.effects <= number && rest.sequence <= sequence) {
                model.flows_rest(rest.at);
            }
            if effect.sequence <= sequence {
                model.take(&effect).map_err(|wrong| format!("after recovery: {wrong}"))?;
            } else {
                self.coverage.undone += 1;
            }
        }
        if self.now < model.written_until {
            return Err(format!("it is {} and something was stored at {}", self.now, model.written_until));
        }
        model.came_back(self.now).map_err(|wrong| format!("after recovery: {wrong}"))?;
        self.forget(&mut model, &handles);
        self.base = model.clone();
        self.model = model;
        self.pending.clear();
        self.filling = Filling::default();
        self.clients.receives.clear();
        drop(self.inbox.take());
        self.count_untold();
        self.check_queues()
    }

    /// Clients may have learned of messages and leases that never happened.
    fn forget(&mut self, model: &mut Model, handles: &BTreeSet<(u64, u64, u32, u64)>) {
        let lost: BTreeSet<_> = handles.difference(&model.handles).copied().collect();
        let of = |handle: &Handle| (handle.space, handle.message, handle.grant, handle.proof);
        self.clients.jobs.handles.retain(|(_, handle)| !lost.contains(&of(handle)));
        if self.profile.jobs > 0 && self.profile.options.durability.is_relaxed() {
            let permits = &model.jobs.limits.permits;
            self.clients.limits.permits.retain(|(_, permit)| permits.contains_key(permit));
            self.clients.jobs.listing = None;
            self.network.clear();
        }
        // A handle whose message is gone is as that of one that was deleted. Who lost a lease alone may have the very
        // handle that the next one is given.
        let (gone, leases): (BTreeSet<_>, BTreeSet<_>) =
            lost.into_iter().partition(|(_, message, _, _)| !model.by_id.contains_key(message));
        model.lost.extend(gone);
        self.clients.handles.retain(|(_, handle)| !leases.contains(&of(handle)));
        if !leases.is_empty() {
            self.network.clear();
        }
    }

    /// The queues are those of the model.
    fn check_queues(&mut self) -> Checked {
        let Some(life) = &self.life else { return Ok(()) };
        let mut found: Vec<_> = life.driver.engine().queues();
        found.sort_by_key(|queue| queue.id);
        let expected: Vec<_> = self.model.queues_alive().collect();
        if found.len() != expected.len() {
            return Err(format!("there are {} queues and should be {}", found.len(), expected.len()));
        }
        // A fault that changes the configuration on its way is to be found by what it does.
        let as_told = self.mutation.is_some();
        for (queue, (id, model)) in found.iter().zip(expected) {
            let is_config = as_told || queue.config == model.config;
            if !is_config || (queue.id, &queue.name, queue.version) != (id, &model.name, model.version) {
                return Err(format!("queue {} came back as {queue:?}, not {model:?}", id.0));
            }
        }
        self.clients.queues.clear();
        self.clients.jobs.queues.clear();
        for queue in found {
            self.clients.learn(&queue);
        }
        Ok(())
    }

    /// The disk stopped in the middle of a call: the machine lost power, or the process alone was killed.
    pub(super) fn die(&mut self) -> Checked {
        self.coverage.crashes_inside_calls += 1;
        if self.profile.kill_every > 0 && self.kills.chance(1, 3) { self.kill() } else { self.crash() }
    }

    /// The process is killed and started again.
    pub(super) fn kill(&mut self) -> Checked {
        if self.failures() > self.failed_before {
            // What a sync did not get out is lost with the power, whoever reads it before.
            return self.crash();
        }
        self.say(|| "the process is killed".to_owned());
        self.coverage.kills += 1;
        self.end_life();
        self.disk = match self.mutation {
            Some(Mutation::KillThatLosesWrites) => self.disk.crash(&mut self.kills),
            _ => self.disk.kill(),
        };
        self.life = None;
        self.open()
    }

    /// The machine goes down: of what was acknowledged, only what was synced is certain to be there.
    fn lose_power(&mut self) {
        if self.profile.options.durability.is_relaxed() && self.synced < self.acknowledged {
            self.coverage.acknowledged_and_not_synced += 1;
            self.coverage.jobs_acknowledged_and_not_synced += u64::from(self.profile.jobs > 0);
            self.acknowledged = self.synced;
        }
        self.disk = self.disk.crash(&mut self.power);
    }

    /// The machine loses power.
    pub(crate) fn crash(&mut self) -> Checked {
        self.say(|| "the machine loses power".to_owned());
        self.coverage.crashes += 1;
        self.end_life();
        let relaxed_jobs = self.profile.jobs > 0 && self.profile.options.durability.is_relaxed();
        if self.mutation == Some(Mutation::ReplayWithoutTheLastGroup)
            || self.mutation == Some(Mutation::SyncedJobsThatAreLost) && relaxed_jobs
        {
            self.disk.wipe_last_synced_write("log");
        }
        self.lose_power();
        self.life = None;
        self.open()
    }

    /// The shard stopped itself. Only a failure of the disk is a reason.
    pub(super) fn after_poison(&mut self) -> Checked {
        let reason = self.life.as_ref().and_then(|life| life.driver.poisoned()).unwrap_or_default().to_owned();
        // The segments kept for consumers last only so long.
        let used_up = reason.contains("the disk is full") && self.disk.stats().full > 0;
        if self.failures() == self.failed_before && !used_up {
            return Err(format!("the shard stopped without a failure of the disk: {reason}"));
        }
        self.say(|| format!("the shard stopped: {reason}"));
        self.coverage.poisonings += 1;
        let reads_failed = self.disk.stats().failed_reads - self.reads_failed_before;
        self.coverage.poisonings_by_reads += u64::from(reads_failed > 0);
        self.disk.set_faults(Faults::default());
        self.crash()
    }

    /// The shard is closed properly and opened again.
    pub(super) fn close(&mut self) -> Checked {
        if self.disk.is_dead() {
            return Ok(());
        }
        self.say(|| "the shard is closed".to_owned());
        self.disk.die_after(None);
        self.disk.set_faults(Faults::default());
        self.is_full = false;
        self.disk.set_quota(None);
        // What was told to the clients counts; commands that wait for rows are still carried out.
        let now = Time(self.now);
        if let Some(life) = &mut self.life {
            life.driver.tick(now);
        }
        for pending in self.pending.values_mut() {
            pending.canceled = true;
        }
        self.closing = true;
        if let Some(life) = &mut self.life {
            life.driver.close();
        }
        self.listen()?;
        self.work_off()?;
        if self.life.as_ref().is_some_and(|life| life.driver.poisoned().is_some()) {
            return self.after_poison();
        }
        if !self.life.as_ref().is_some_and(|life| life.driver.is_idle()) {
            return Err("the shard does not come to rest".to_owned());
        }
        if let Some(token) = self.pending.keys().next() {
            return Err(format!("command {} was never answered", token.0));
        }
        self.end_life();
        let Some(mut life) = self.life.take() else { return Ok(()) };
        // Who has a copy has the directory's lock.
        life.copy = None;
        self.copying = Copying::Idle;
        match life.driver.into_store().close() {
            Ok(()) => {
                self.coverage.closes += 1;
                self.closed = true;
            }
            Err(error) => return Err(format!("the store does not close: {error}")),
        }
        self.open()
    }

    /// Counts what a life went through.
    pub(crate) fn end_life(&mut self) {
        let Some(life) = &self.life else { return };
        self.synced = life.driver.synced();
        let (stats, figures) = (life.driver.store().stats(), life.driver.figures());
        let coverage = &mut self.coverage;
        coverage.checkpoints += stats.checkpoints;
        coverage.syncs += stats.syncs;
        coverage.segments_recycled += stats.recycles;
        coverage.blobs_written += stats.blobs;
        coverage.blob_segments_removed += stats.blob_segments_removed;
        coverage.blobs_compacted += stats.blobs_moved;
        coverage.rows_spilled += stats.spills;
        coverage.windows_refilled += stats.window_refills;
        coverage.windows_evicted += stats.window_evictions;
        coverage.commands_parked += figures.parked;
        coverage.bodies_loaded += stats.body_loads;
        coverage.checkpoints_unread += figures.checkpoints_unread;
        let disk = self.disk.stats();
        coverage.failed_calls = disk.failed_writes + disk.failed_syncs;
        coverage.failed_reads = disk.failed_reads;
        coverage.writes_torn = disk.torn;
    }
}
