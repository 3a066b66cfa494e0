//! What commands come to, as they take effect and as clients learn of it.

use weir_core::api::job::{Hold, JobChange, JobState};
use weir_core::api::limit::Acquired;
use weir_core::api::{Command, Delivery, Error, Reply, Token};
use weir_shard::{Answer, Refused};

use super::{Made, Run};
use crate::model::{Checked, Effect, payload_of};
use crate::mutation::Mutation;
use crate::profile::Profile;

impl Made {
    /// Without what was leased and went before its payload was read: nobody is given that. It can only go once its lease is
    /// over.
    fn without_what_went(mut self, answered: &Reply, now: u64) -> Self {
        if let (Ok(Reply::Received(made)), Reply::Received(answered)) = (&mut self.reply, answered) {
            let went = |delivery: &Delivery| delivery.deadline.0 <= now && !answered.contains(delivery);
            let mut numbers = std::mem::take(&mut self.numbers).into_iter();
            made.retain(|delivery| {
                let stays = !went(delivery);
                self.numbers.extend(numbers.next().filter(|_| stays));
                stays
            });
        }
        self
    }
}

impl Run {
    /// A command took effect.
    pub(super) fn made(&mut self, token: Token, sequence: u64, mut reply: Result<Reply, Error>) -> Checked {
        let Some(pending) = self.pending.get(&token) else {
            return Err(format!("an answer was made for command {}, which has none", token.0));
        };
        if pending.made.is_some() {
            return Err(format!("command {} took effect twice", token.0));
        }
        let (command, submitted) = (pending.command.clone(), pending.submitted);
        if let Some(mutation) = self.mutation {
            mutation.alter_reply(&command, &mut reply);
        }
        let mut canceled = pending.canceled;
        if let (
            Command::Receive { queue, .. } | Command::Lease { queue, .. } | Command::DescribeJob { queue, .. },
            Err(Error::QueueNotFound),
        ) = (&command, &reply)
        {
            // The receivers of a queue that is being deleted learn of it before the one who deletes it.
            let deletes =
                |command: &Command| matches!(command, Command::DeleteQueue { queue: deleted } if deleted == queue);
            canceled |= self.pending.values().any(|pending| pending.made.is_none() && deletes(&pending.command));
        }
        if let (Command::Acquire { limiter, .. }, Err(Error::LimiterNotFound)) = (&command, &reply) {
            // So do those who wait for a permit of a limiter that is being deleted.
            let deletes = |command: &Command| matches!(command, Command::DeleteLimiter { limiter: deleted } if deleted == limiter);
            canceled |= self.pending.values().any(|pending| pending.made.is_none() && deletes(&pending.command));
        }
        let effect = Effect { token, command, submitted, at: self.now, sequence, reply: Some(reply.clone()), canceled };
        self.count(&effect);
        self.digest(&format!("{}{sequence}{}{reply:?}", token.0, self.now));
        let line = format!("{} took effect at {sequence}: {reply:?}", token.0);
        self.say(|| line);
        let (repeats, additions) = (self.model.repeats, self.model.jobs.repeats);
        let (pages, duplicates) = (self.model.jobs.pages, self.model.jobs.duplicates);
        let moved = self.model.jobs.moved;
        self.model.take(&effect)?;
        self.coverage.deduplicated(duplicates, self.model.jobs.duplicates);
        self.coverage.listings_to_the_end += self.model.jobs.pages.walks - pages.walks;
        self.coverage.jobs_listed_once += self.model.jobs.pages.stayed - pages.stayed;
        self.coverage.jobs_moved_by_hand += self.model.jobs.moved - moved;
        self.coverage.additions_repeated += self.model.jobs.repeats - additions;
        let repeated = self.model.repeats - repeats;
        self.coverage.attempts_repeated += repeated;
        if let (Command::Receive { queue, .. } | Command::Lease { queue, .. }, Ok(Reply::Received(deliveries))) =
            (&effect.command, &reply)
            && !deliveries.is_empty()
            // Who asks for what it has already does not stand in the line.
            && repeated == 0
        {
            self.check_arrival(token, *queue)?;
        }
        self.count_flows(&reply);
        let numbers = reply.as_ref().map(|reply| self.numbers_of(reply)).unwrap_or_default();
        let along = reply.as_ref().map(|reply| self.along(&effect.command, reply)).unwrap_or_default();
        let starts = self.model.starts_of(&effect);
        self.effects.push(effect);
        if let Some(pending) = self.pending.get_mut(&token) {
            pending.made = Some(Made { sequence, reply, numbers, along, starts });
        }
        if self.mutation == Some(Mutation::ReplyBeforeDurable) {
            self.acknowledged = self.acknowledged.max(sequence);
        }
        Ok(())
    }

    /// Numbers of the messages that come with an answer.
    fn numbers_of(&self, reply: &Reply) -> Vec<usize> {
        let number = |id: u64| self.model.by_id.get(&id).copied();
        match reply {
            Reply::Received(deliveries) => deliveries.iter().filter_map(|got| number(got.handle.message)).collect(),
            Reply::Jobs(page) if page.payloads => page.jobs.iter().filter_map(|job| number(job.id)).collect(),
            _ => Vec::new(),
        }
    }

    /// What comes along with a job that is told of, or of its log.
    fn along(&self, command: &Command, reply: &Reply) -> Vec<Vec<u8>> {
        match (command, reply) {
            (_, Reply::Job(job)) => self.model.job_payloads(job),
            (Command::JobLogs { queue, job, .. }, Reply::Logs { from, lines, .. }) => {
                self.model.log_lines(*queue, *job, *from, lines.len())
            }
            (_, Reply::Children { children, .. }) => self.model.child_payloads(children),
            _ => Vec::new(),
        }
    }

    /// A client has its answer.
    pub(super) fn answered(&mut self, token: Token, mut answer: Answer) -> Checked {
        let Some(pending) = self.pending.get(&token).cloned() else {
            return Err(format!("command {} was answered twice", token.0));
        };
        let line =
            format!("{} answered {}", token.0, if answer.is_ok() { "ok".to_owned() } else { format!("{answer:?}") });
        self.say(|| line);
        let producer = matches!(
            pending.command,
            Command::Send { .. }
                | Command::AddJobs { .. }
                | Command::CreateQueue { .. }
                | Command::ConfigureQueue { .. }
        );
        if let Some(mutation) = self.mutation {
            mutation.alter_answer(&pending.command, &mut answer);
        }
        match answer {
            Err(Refused::Poisoned { .. }) => return Ok(()),
            Err(Refused::DiskFull | Refused::Overloaded { .. }) if pending.made.is_none() && producer => {
                self.coverage.refused_disk_full += u64::from(matches!(answer, Err(Refused::DiskFull)));
                self.coverage.refused_overloaded += u64::from(matches!(answer, Err(Refused::Overloaded { .. })));
            }
            Err(Refused::Closed) if pending.made.is_none() => {}
            Err(Refused::Engine(ref error)) => {
                let made = self.check_made(token, pending.made.as_ref())?;
                if made.reply.as_ref().err() != Some(error) {
                    return Err(format!("command {} was answered with {error}, not {:?}", token.0, made.reply));
                }
            }
            Ok(answered) => {
                let made = self.check_made(token, pending.made.as_ref())?.without_what_went(&answered.reply, self.now);
                if self.mutation.is_none() && made.reply.as_ref().ok() != Some(&answered.reply) {
                    return Err(format!(
                        "command {} was answered with {:?}, not {:?}",
                        token.0, answered.reply, made.reply
                    ));
                }
                let mut payloads = answered.payloads;
                if let Some(mutation) = self.mutation {
                    mutation.alter_payloads(&mut payloads);
                }
                if payloads.len() != made.numbers.len() + made.along.len() {
                    return Err(format!("command {} brought {} payloads", token.0, payloads.len()));
                }
                // One that was changed meanwhile may come as it is now.
                let now = made.reply.as_ref().map(|reply| self.numbers_of(reply)).unwrap_or_default();
                for (at, (payload, number)) in payloads.iter().zip(&made.numbers).enumerate() {
                    let is = |number: usize| **payload == payload_of(number, payload.len());
                    if !is(*number) && !now.get(at).is_some_and(|number| is(*number)) {
                        return Err(format!("the payload of message {number} is not what was sent"));
                    }
                }
                let now = made.reply.as_ref().map(|reply| self.along(&pending.command, reply)).unwrap_or_default();
                let is = |at: usize, payload: &[u8]| {
                    let as_told = |told: &[Vec<u8>]| told.get(at).is_some_and(|told| told == payload);
                    as_told(&made.along) || as_told(&now)
                };
                if let Some((_, (payload, other))) =
                    payloads.iter().zip(&made.along).enumerate().find(|(at, (payload, _))| !is(*at, payload))
                {
                    return Err(format!("with a job came {payload:?} in place of {other:?}"));
                }
                if self.is_gone(&pending.command, made.reply.as_ref().ok()) {
                    self.coverage.answers += 1;
                    self.pending.remove(&token);
                    self.clients.receives.retain(|receive| *receive != token);
                    return self.take_back(&pending.command, made.reply.as_ref().ok());
                }
                // Nobody starts what is lost by the time that he learns of it.
                for (started, _) in made.starts.iter().filter(|(_, until)| self.now < *until) {
                    self.coverage.limited_starts += 1;
                    self.starts.leave(started, self.now, made.sequence)?;
                }
                self.release(&pending.command, made.reply.as_ref().ok())?;
                self.learn(&pending.command, made.reply.as_ref().ok());
            }
            Err(refused) => return Err(format!("command {} was refused: {refused}", token.0)),
        }
        self.coverage.answers += 1;
        self.pending.remove(&token);
        self.clients.receives.retain(|receive| *receive != token);
        Ok(())
    }

    /// The door says when what was granted left.
    fn release(&mut self, command: &Command, reply: Option<&Reply>) -> Checked {
        let (queue, deliveries) = match (command, reply) {
            (Command::Acquire { limiter, .. }, Some(Reply::Acquired(Acquired::Granted { permit, .. }))) => {
                return self.submit(Command::PermitReleased { limiter: *limiter, permit: *permit });
            }
            (Command::Lease { queue, .. }, Some(Reply::Received(deliveries))) => (queue, deliveries),
            _ => return Ok(()),
        };
        let limited = self.clients.jobs.queues.iter().any(|known| known.id == *queue && !known.keyed.is_empty());
        if deliveries.is_empty() || !limited {
            return Ok(());
        }
        let handles = deliveries.iter().map(|delivery| delivery.handle).collect();
        self.submit(Command::Released { queue: *queue, handles })
    }

    fn check_made(&mut self, token: Token, made: Option<&Made>) -> Result<Made, String> {
        let made = made.cloned().ok_or_else(|| format!("command {} was answered before it took effect", token.0))?;
        let durable = self.life.as_ref().map_or(0, |life| life.driver.committed());
        if made.sequence > durable {
            return Err(format!("command {} was answered at {} when {durable} was committed", token.0, made.sequence));
        }
        self.acknowledged = self.acknowledged.max(made.sequence);
        Ok(made)
    }

    fn learn(&mut self, command: &Command, reply: Option<&Reply>) {
        match (command, reply) {
            (_, Some(Reply::Queue { queue, .. })) => self.clients.learn(queue),
            (Command::Receive { queue, .. }, Some(Reply::Received(deliveries))) => {
                self.clients.handles.extend(deliveries.iter().map(|delivery| (*queue, delivery.handle)));
                let excess = self.clients.handles.len().saturating_sub(60);
                self.clients.handles.drain(..excess);
            }
            (Command::Lease { queue, .. }, Some(Reply::Received(deliveries))) => {
                self.clients.jobs.handles.extend(deliveries.iter().map(|delivery| (*queue, delivery.handle)));
                let excess = self.clients.jobs.handles.len().saturating_sub(60);
                self.clients.jobs.handles.drain(..excess);
                for delivery in deliveries.iter().filter(|delivery| delivery.dead_letter_source.is_some()) {
                    self.clients.learn_job(*queue, delivery.handle.message);
                }
            }
            (Command::Settle { queue, entries, .. }, Some(Reply::JobsSettled(settled))) => {
                let Profile { dead_letters, dedups, .. } = self.profile;
                let is_looked_after = |state| match state {
                    JobState::Failed => dead_letters || dedups,
                    JobState::Completed => dedups,
                    _ => false,
                };
                for ((handle, _), settled) in entries.iter().zip(settled) {
                    if settled.as_ref().is_ok_and(|settled| is_looked_after(settled.state)) {
                        self.clients.learn_end(*queue, handle.message);
                    }
                }
            }
            (command, Some(Reply::Added(added))) => {
                if let Command::AddJobs { jobs, .. } = command {
                    self.clients.learn_flow(jobs, added);
                }
                for added in added {
                    self.clients.learn_job(added.queue, added.id);
                }
            }
            (Command::ListJobs { queue, state, .. }, Some(Reply::Jobs(page))) => {
                self.clients.jobs.listing = page.next.clone().map(|mark| (*queue, *state, mark));
            }
            (_, Some(Reply::Limiter { limiter, .. })) => {
                self.clients.limits.limiters.retain(|known| *known != limiter.id);
                self.clients.limits.limiters.push(limiter.id);
            }
            (Command::Acquire { limiter, .. }, Some(Reply::Acquired(Acquired::Granted { permit, .. }))) => {
                self.clients.limits.permits.push((*limiter, *permit));
                let excess = self.clients.limits.permits.len().saturating_sub(10);
                self.clients.limits.permits.drain(..excess);
            }
            (Command::DeleteQueue { queue }, Some(Reply::Done)) if self.workload.chance(4, 5) => {
                self.clients.queues.retain(|known| known.id != *queue);
                self.clients.jobs.queues.retain(|known| known.id != *queue);
            }
            _ => {}
        }
    }

    /// Receivers are served in the order in which they came. One with an attempt's id may have to wait for rows before it
    /// joins the line.
    fn check_arrival(&self, token: Token, queue: weir_core::api::QueueId) -> Checked {
        let waits = |command: &Command| match command {
            Command::Receive { queue: other, attempt: None, .. }
            // Who waits for a batch may be passed over.
            | Command::Lease { queue: other, linger_ms: 0, one_lane: false, .. } => *other == queue,
            _ => false,
        };
        let passed = self
            .pending
            .range(..token)
            .find(|(_, pending)| pending.made.is_none() && !pending.canceled && waits(&pending.command));
        match passed {
            Some((passed, _)) => {
                Err(format!("receive {} was served before receive {}, which came first", token.0, passed.0))
            }
            None => Ok(()),
        }
    }

    fn count(&mut self, effect: &Effect) {
        self.count_varied(effect);
        let coverage = &mut self.coverage;
        coverage.effects += 1;
        match (&effect.command, &effect.reply) {
            (_, Some(Ok(Reply::Sent(sent)))) => {
                coverage.duplicates += sent.iter().flatten().filter(|sent| sent.duplicate).count() as u64;
            }
            (Command::Send { .. }, Some(Err(Error::Stale { .. }))) => coverage.stale_sends += 1,
            (Command::Receive { .. }, Some(Ok(Reply::Received(deliveries)))) if !deliveries.is_empty() => {
                coverage.long_polls_served += u64::from(effect.at > effect.submitted);
                for delivery in deliveries {
                    coverage.dead_letters += u64::from(delivery.dead_letter_source.is_some());
                    coverage.redeliveries += u64::from(delivery.grants > 1);
                }
            }
            (_, Some(Ok(Reply::Added(added)))) => {
                let duplicates = added.iter().filter(|added| added.duplicate).count() as u64;
                coverage.jobs_duplicate += duplicates;
                coverage.jobs_added += added.len() as u64 - duplicates;
                if let Command::AddJobs { jobs, .. } = &effect.command {
                    coverage.flow_added(jobs);
                }
            }
            (Command::Lease { .. }, Some(Ok(Reply::Received(deliveries)))) if !deliveries.is_empty() => {
                coverage.jobs_leased += deliveries.len() as u64;
                for delivery in deliveries {
                    coverage.jobs_stalled += u64::from(delivery.stalls > 0);
                    coverage.dead_jobs_leased += u64::from(delivery.dead_letter_source.is_some());
                    coverage.jobs_failed_before += u64::from(delivery.failures > 0);
                }
            }
            (Command::Settle { entries, .. }, Some(Ok(Reply::JobsSettled(settled)))) => {
                for ((_, settlement), settled) in entries.iter().zip(settled) {
                    coverage.settled(settlement, settled);
                }
            }
            (_, Some(Ok(Reply::Children { children, .. }))) => coverage.children_told(children),
            (Command::DescribeJob { .. }, Some(Ok(Reply::Job(_)))) => {
                coverage.jobs_described += 1;
                coverage.ends_awaited += u64::from(effect.at > effect.submitted);
            }
            (Command::ChangeJobs { change, .. }, Some(Ok(Reply::Settled(settled)))) => {
                let changed = settled.iter().filter(|result| result.is_ok()).count() as u64;
                coverage.jobs_changed += changed;
                match change {
                    JobChange::LeaveParent => coverage.children_that_left += changed,
                    JobChange::RemoveAlone => coverage.parents_removed_alone += changed,
                    _ => {}
                }
            }
            (Command::AddJobs { .. }, Some(Err(Error::JobState { .. }))) => coverage.children_refused += 1,
            (Command::Report { .. }, Some(Ok(_))) => coverage.jobs_reported += 1,
            (_, Some(Ok(Reply::Explained(explanation)))) => {
                coverage.jobs_explained += u64::from(explanation.not_before.is_some());
                let children = |hold: &Hold| matches!(hold, Hold::Children { .. });
                coverage.parents_explained += u64::from(explanation.holds.iter().any(children));
            }
            (_, Some(Ok(Reply::Limiter { .. }))) => coverage.limiters_put += 1,
            (_, Some(Ok(Reply::Acquired(Acquired::Granted { .. })))) => coverage.permits_granted += 1,
            (_, Some(Ok(Reply::Acquired(Acquired::Blocked(_))))) => coverage.permits_refused += 1,
            (Command::PauseKey { for_ms: 1.., .. }, Some(Ok(_))) => coverage.keys_paused += 1,
            (Command::PauseQueue { for_ms: 1.., .. }, Some(Ok(_))) => coverage.pauses += 1,
            (Command::PurgeQueue { .. }, Some(Ok(_))) => coverage.purges += 1,
            (Command::DeleteQueue { .. }, Some(Ok(_))) => coverage.queues_deleted += 1,
            (Command::ChangeVisibility { .. }, Some(Ok(Reply::Settled(settled)))) => {
                coverage.visibility_changes += settled.iter().filter(|result| result.is_ok()).count() as u64;
            }
            (Command::Delete { .. }, Some(Ok(Reply::Settled(settled)))) => {
                coverage.odd_deletes += settled.iter().filter(|result| result.is_err()).count() as u64;
            }
            _ => {}
        }
    }
}
