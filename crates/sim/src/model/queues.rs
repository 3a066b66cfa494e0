//! Queues created, configured, purged, deleted and counted.

use std::collections::BTreeMap;

use weir_core::api::{Command, Config, Counters, Error, Kind, QueueId, Reply};

use super::{Checked, Effect, Hold, Model, QueueModel, is_job_queue};

impl Model {
    pub(super) fn created(
        &mut self,
        name: &str,
        kind: Kind,
        config: &Config,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let existing = self.queue_named(name).map(|(id, queue)| (id, queue.kind == kind && queue.config == *config));
        match (reply, existing) {
            (Ok(Reply::Queue { queue, created: false }), Some((id, true))) if queue.id == id => Ok(()),
            (Err(Error::QueueExists { .. }), Some((_, false))) => Ok(()),
            (Ok(Reply::Queue { queue, created: true }), None) if queue.version == 1 && queue.config == *config => {
                if self.queues.contains_key(&queue.id) {
                    return Err(format!("the id of queue {} was used before", queue.id.0));
                }
                let redrives = config.redrive.iter().map(|rule| (rule.target.clone(), rule.receives_max)).collect();
                self.queues.insert(
                    queue.id,
                    QueueModel {
                        name: name.to_owned(),
                        kind,
                        config: config.clone(),
                        version: 1,
                        deleted: false,
                        retention_min: config.retention_ms,
                        redrives,
                        dedup: BTreeMap::new(),
                        attempts: BTreeMap::new(),
                    },
                );
                self.job_queue_configured(queue.id, config, at);
                Ok(())
            }
            (reply, _) => Err(format!("creating queue {name} was answered with {reply:?}")),
        }
    }

    pub(super) fn configured(
        &mut self,
        id: QueueId,
        version: u64,
        config: &Config,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let queue = match (self.queue_mut(id), reply) {
            (Err(_), Err(Error::QueueNotFound)) => return Ok(()),
            (Err(wrong), _) => return Err(wrong),
            (Ok(queue), _) => queue,
        };
        match reply {
            Err(Error::Stale { version: found }) if *found == queue.version && version != *found => Ok(()),
            Ok(Reply::Queue { queue: public, created: false })
                if version == queue.version && public.version == version + 1 && public.config == *config =>
            {
                queue.version += 1;
                queue.config = config.clone();
                queue.retention_min = queue.retention_min.min(config.retention_ms);
                queue.redrives.extend(config.redrive.iter().map(|rule| (rule.target.clone(), rule.receives_max)));
                self.job_queue_configured(id, config, at);
                Ok(())
            }
            reply => Err(format!("configuring queue {} was answered with {reply:?}", id.0)),
        }
    }

    pub(super) fn queue_not_found(&self, effect: &Effect) -> Checked {
        if effect.canceled {
            return Ok(());
        }
        let command = &effect.command;
        let id = match command {
            Command::Move { queue, to, .. } if self.queue(*queue).is_ok() => *to,
            Command::ConfigureQueue { queue, .. }
            | Command::DeleteQueue { queue }
            | Command::PurgeQueue { queue }
            | Command::QueueStats { queue }
            | Command::Send { queue, .. }
            | Command::Receive { queue, .. }
            | Command::Lease { queue, .. }
            | Command::Settle { queue, .. }
            | Command::DescribeJob { queue, .. }
            | Command::ChangeJobs { queue, .. }
            | Command::Explain { queue, .. }
            | Command::ForgetDedup { queue, .. }
            | Command::JobChildren { queue, .. }
            | Command::Report { queue, .. }
            | Command::ListJobs { queue, .. }
            | Command::JobLogs { queue, .. }
            | Command::PauseQueue { queue, .. }
            | Command::Delete { queue, .. }
            | Command::Move { queue, .. }
            | Command::ChangeVisibility { queue, .. } => *queue,
            _ => return Err("a command without a queue did not find it".to_owned()),
        };
        if self.queue(id).is_ok() { Err(format!("queue {} was not found", id.0)) } else { Ok(()) }
    }

    pub(super) fn queue_deleted(&mut self, id: QueueId, at: u64) -> Checked {
        self.empty(id)?;
        self.queue_mut(id)?.deleted = true;
        self.find_dead_letter_queues(at);
        Ok(())
    }

    pub(super) fn purged(&mut self, id: QueueId) -> Checked {
        self.empty(id)?;
        let queue = self.queue_mut(id)?;
        queue.dedup.clear();
        queue.attempts.clear();
        Ok(())
    }

    /// All messages of a queue go. Those that may have moved, here or from here, may have escaped.
    fn empty(&mut self, id: QueueId) -> Checked {
        self.queue(id)?;
        self.jobs_emptied(id);
        let here = |message: &super::Message| message.queue == id && !self.may_have_moved(message);
        let gone: Vec<usize> = self.messages.iter().filter(|(_, message)| here(message)).map(|(n, _)| *n).collect();
        let open: Vec<usize> = self
            .messages
            .iter()
            .filter(|(_, message)| !here(message) && self.possibly_in(message, id))
            .map(|(n, _)| *n)
            .collect();
        for number in gone {
            self.messages.remove(&number);
        }
        for number in open {
            self.doubt(number);
        }
        Ok(())
    }

    /// Counters that the engine keeps, at any moment.
    pub fn check_counters(&self, id: QueueId, counters: Counters, at: u64) -> Checked {
        self.count(id, counters, at).map(drop)
    }

    pub(super) fn counted(&self, id: QueueId, counters: Counters, oldest: Option<u64>, at: u64) -> Checked {
        let (oldest_certain, sent) = self.count(id, counters, at)?;
        match oldest {
            Some(oldest)
                if oldest <= oldest_certain && sent.iter().any(|(from, to)| (*from..=*to).contains(&oldest)) =>
            {
                Ok(())
            }
            None if oldest_certain == u64::MAX => Ok(()),
            oldest => Err(format!("the oldest message of queue {} is from {oldest:?}, not {oldest_certain}", id.0)),
        }
    }

    /// Compares counters with what they can be. Says when the oldest message that is certainly there was sent, and when
    /// all that may be there.
    fn count(&self, id: QueueId, counters: Counters, at: u64) -> Result<(u64, Vec<(u64, u64)>), String> {
        if is_job_queue(&self.queue(id)?.name) {
            return self.count_jobs(id, counters, at);
        }
        let mut least = Counters::default();
        let mut most = Counters::default();
        let mut sent = Vec::new();
        let mut oldest_certain = u64::MAX;
        for message in self.messages.values().filter(|message| self.possibly_in(message, id)) {
            sent.push((message.sent, message.sent));
            let ended = message.hold == Hold::Free || message.free <= at;
            let noticed = self.certainly_free(message);
            most.ready += u64::from(ended || message.maybe_returned || message.queue != id);
            most.delayed += u64::from(message.hold == Hold::Delay && !noticed);
            most.leased += u64::from(message.hold == Hold::Lease && !noticed);
            if self.certainly_in(message, id, at) {
                oldest_certain = oldest_certain.min(message.sent);
                least.ready += u64::from(noticed);
                least.delayed += u64::from(message.hold == Hold::Delay && !ended);
                least.leased += u64::from(message.hold == Hold::Lease && !ended && !message.maybe_returned);
            }
        }
        let certain = self.messages.values().filter(|message| self.certainly_in(message, id, at)).count() as u64;
        let total = counters.ready + counters.delayed + counters.leased;
        let fits = |n: u64, least: u64, most: u64| least <= n && n <= most;
        if !fits(total, certain, sent_count(self, id))
            || !fits(counters.ready, least.ready, most.ready)
            || !fits(counters.delayed, least.delayed, most.delayed)
            || !fits(counters.leased, least.leased, most.leased)
        {
            return Err(format!("queue {} says {counters:?}, which is not between {least:?} and {most:?}", id.0));
        }
        Ok((oldest_certain, sent))
    }
}

fn sent_count(model: &Model, id: QueueId) -> u64 {
    model.messages.values().filter(|message| model.possibly_in(message, id)).count() as u64
}
