//! Jobs that keep others of their deduplication id away, and those that are kept back until such a job has ended.
//!
//! Whether a job keeps others away belongs to what it may be: without a time that ends with the job, whenever that is.
//! What is kept back is a job from the beginning, of which nothing is to be seen until it comes; its id is only known
//! then. Until that it goes by the first one that it can have, which no other gets: ids are given in order.

use weir_core::api::job::{Hold, JobDedup, JobOptions, JobRef, NewJob};
use weir_core::api::{Delivery, Error, QueueId, Reply};

use super::super::{Checked, Model, number_of};
use super::{Job, Place, Span, Standing, State};

/// Whether a job keeps others away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Away {
    /// It does not.
    #[default]
    No,
    /// As long as it has not finished.
    Unfinished,
    /// Until then, whatever becomes of it, unless somebody removes it.
    Until(u64),
}

/// What is known of a job that was kept back.
#[derive(Clone, Copy, Debug)]
pub struct Back {
    /// By which one.
    by: u64,
    /// How long it is delayed once it comes.
    delay_ms: u64,
    /// Whether its id is known.
    is_known: bool,
}

/// What came of duplicates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Duplicates {
    /// Those that were dropped.
    pub dropped: u64,
    /// Those that were dropped because of one that had finished.
    pub dropped_for_finished: u64,
    /// Those that started the time anew.
    pub extended: u64,
    /// Those that took the place of another one.
    pub replaced: u64,
    /// Those that gave another one their time.
    pub rescheduled: u64,
    /// Those that were kept back.
    pub kept_back: u64,
    /// Those of them that came.
    pub came: u64,
    /// Jobs that keep others away again, since they are tried again.
    pub again: u64,
    /// Ids that were made free.
    pub freed: u64,
    /// Those that changed what stands in a group of a FIFO queue, or were kept back there.
    pub in_order: u64,
}

/// What a duplicate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Nothing,
    Replaces,
    Reschedules,
    IsKeptBack,
}

impl Away {
    fn of(dedup: &JobDedup, at: u64) -> Self {
        dedup.ttl_ms.map_or(Self::Unfinished, |ttl_ms| Self::Until(at.saturating_add(ttl_ms)))
    }
}

impl Model {
    /// A job is about to be added: whether another one keeps it away by its deduplication id, as its answer says.
    pub(super) fn deduplicated(&mut self, new: &NewJob, (id, duplicate): (u64, bool), at: u64) -> Result<bool, String> {
        let Some(dedup) = dedup_of(new) else { return Ok(false) };
        if !duplicate {
            self.see_keeper((new.queue, dedup.hash), None, at)?;
            return Ok(false);
        }
        let same = |job: &Job| job.options.dedup.is_some_and(|other| other.hash == dedup.hash);
        let known = self.jobs.all.get(&id).is_some_and(|job| job.queue == new.queue && same(job) && job.is_known());
        if !known && !self.adopt(new.queue, id, same) {
            return Err(format!("job {id} is said to keep another one away, and has not its id"));
        }
        self.see_keeper((new.queue, dedup.hash), Some(id), at)?;
        self.duplicate(id, new, &dedup, at)?;
        Ok(true)
    }

    /// A duplicate of the job that certainly keeps it away does what it asks for.
    fn duplicate(&mut self, id: u64, new: &NewJob, dedup: &JobDedup, at: u64) -> Checked {
        let ready_at = self.ready_at(new, at)?;
        let number = number_of(&new.message.payload).ok_or("a payload without a number")?;
        let job = self.job(id)?;
        let acts: Vec<Act> = job.may.iter().map(|standing| job.act(standing, dedup, at)).collect();
        let act = acts.first().copied().unwrap_or(Act::Nothing);
        if acts.iter().any(|other| *other != act) {
            return Err(format!("what a duplicate does to job {} is not known: {:?}", job.number, job.may));
        }
        let was_begun = job.certainly(|standing| standing.receives > 0);
        let has_finished = job.certainly(Standing::is_finished);
        if matches!(act, Act::Replaces | Act::Reschedules) {
            job.stands_since = at;
            job.not_before = None;
            let (state, due) = standing_at(ready_at, at);
            job.becomes(|before| Standing { state, due, ..before.clone() });
        }
        if let (true, Some(ttl_ms)) = (dedup.extend, dedup.ttl_ms) {
            job.becomes(|before| Standing { away: Away::Until(at.saturating_add(ttl_ms)), ..before.clone() });
        }
        let in_order = self.is_fifo(new.queue) && act != Act::Nothing;
        let counts = &mut self.jobs.duplicates;
        counts.in_order += u64::from(in_order);
        counts.extended += u64::from(dedup.extend && dedup.ttl_ms.is_some());
        match act {
            Act::Nothing => {
                counts.dropped += 1;
                counts.dropped_for_finished += u64::from(has_finished);
            }
            Act::Reschedules => counts.rescheduled += 1,
            Act::Replaces => {
                counts.replaced += 1;
                let options = new.message.options.as_deref().cloned().unwrap_or_default();
                let job = self.job(id)?;
                job.number = number;
                job.place = Place::new(new.message.priority, id, options.lifo);
                job.bytes = new.message.payload.len() as u64;
                job.lane = new.message.lane;
                job.options.expires_at = options.expires_at.filter(|_| !was_begun);
                self.by_id.insert(id, number);
            }
            Act::IsKeptBack => {
                counts.kept_back += 1;
                self.keep_back(id, new, ready_at, at)?;
            }
        }
        if act != Act::Nothing && act != Act::Reschedules {
            self.written_until = self.written_until.max(at);
        }
        Ok(())
    }

    /// A duplicate waits until the job has ended, in place of one that waited already.
    fn keep_back(&mut self, by: u64, new: &NewJob, ready_at: u64, at: u64) -> Checked {
        let before = self.job(by)?.may.first().and_then(|standing| standing.kept);
        if let Some(before) = before {
            self.jobs.all.remove(&before);
            self.by_id.remove(&before);
        }
        let id = self.by_id.last_key_value().map_or(1, |(&last, _)| last + 1);
        for standing in &mut self.job(by)?.may {
            standing.kept = Some(id);
        }
        let options = new.message.options.as_deref().cloned().unwrap_or_default();
        let options = JobOptions { custom_id: None, ..options };
        let standing =
            Standing { away: Away::Unfinished, ..Standing::new(new.queue, State::KeptBack, Span::after(at, 0, 0)) };
        let mut job = Job::new(new, id, options, at, standing).ok_or("a payload without a number")?;
        job.back = Some(Back { by, delay_ms: ready_at.saturating_sub(at), is_known: false });
        job.sent_is_known = false;
        self.by_id.insert(id, job.number);
        self.jobs.all.insert(id, job);
        Ok(())
    }

    /// It was seen who keeps others of an id away: this one, or nobody.
    fn see_keeper(&mut self, (queue, hash): (QueueId, [u8; 16]), keeper: Option<u64>, at: u64) -> Checked {
        let same = self.of_dedup(queue, hash, at);
        for &id in same.iter().filter(|id| Some(**id) != keeper) {
            self.job(id)?
                .see("keeps nobody away", |standing| !standing.keeps_away(at) || standing.state == State::KeptBack)?;
        }
        for &id in same.iter().filter(|id| Some(**id) != keeper) {
            let (_, may_be_kept) = self.let_go(id);
            self.job(id)?
                .see("has not come in place of another", |standing| standing.state != State::KeptBack || may_be_kept)?;
        }
        let Some(keeper) = keeper else { return Ok(()) };
        let (may_come, _) = self.let_go(keeper);
        self.job(keeper)?.see("keeps another one of its id away", |standing| {
            standing.keeps_away(at) && (standing.state != State::KeptBack || may_come)
        })
    }

    /// The jobs that may keep others of an id away then.
    fn of_dedup(&self, queue: QueueId, hash: [u8; 16], at: u64) -> Vec<u64> {
        let same = |job: &Job| job.queue == queue && job.options.dedup.is_some_and(|dedup| dedup.hash == hash);
        let may = |job: &Job| job.possibly(|standing| standing.keeps_away(at));
        self.jobs.all.iter().filter(|(_, job)| same(job) && may(job)).map(|(id, _)| *id).collect()
    }

    /// Whether the job that kept this one back may have let it go, and whether it may not have.
    fn let_go(&self, id: u64) -> (bool, bool) {
        let back = self.jobs.all.get(&id).and_then(|job| job.back);
        match back.and_then(|back| self.jobs.all.get(&back.by)) {
            Some(keeper) => {
                let keeps = |standing: &Standing| standing.kept == Some(id);
                (keeper.possibly(|standing| !keeps(standing)), keeper.possibly(keeps))
            }
            None => (true, false),
        }
    }

    /// One that was kept back is seen under its id. Says whether there is such a one.
    fn adopt(&mut self, queue: QueueId, id: u64, test: impl Fn(&Job) -> bool) -> bool {
        let fits = |job: &Job| job.queue == queue && !job.is_known() && test(job);
        let Some(from) = self.jobs.all.range(..=id).rev().find(|(_, job)| fits(job)).map(|(from, _)| *from) else {
            return false;
        };
        self.rekey(from, id);
        self.jobs.duplicates.came += 1;
        if let Some(back) = self.jobs.all.get_mut(&id).and_then(|job| job.back.as_mut()) {
            back.is_known = true;
        }
        true
    }

    /// One that was kept back has another id, and cannot have the same as one that was kept back after it.
    fn rekey(&mut self, from: u64, to: u64) {
        if from == to {
            return;
        }
        if self.jobs.all.contains_key(&to) {
            self.rekey(to, to + 1);
        }
        let Some(mut job) = self.jobs.all.remove(&from) else { return };
        job.place = Place::new(job.place.priority(), to, job.place.is_lifo());
        self.by_id.remove(&from);
        self.by_id.insert(to, job.number);
        if let Some(keeper) = job.back.and_then(|back| self.jobs.all.get_mut(&back.by)) {
            for standing in keeper.may.iter_mut().filter(|standing| standing.kept == Some(from)) {
                standing.kept = Some(to);
            }
        }
        self.jobs.all.insert(to, job);
    }

    /// A job is said to come first in a group: it may be one that was kept back.
    pub(super) fn adopt_first(&mut self, queue: QueueId, id: u64, holds: &[Hold]) {
        let lane = self.jobs.all.get(&id).and_then(|job| job.lane);
        for hold in holds {
            if let Hold::Group { job: Some(first) } = hold
                && !self.jobs.all.get(first).is_some_and(Job::is_known)
            {
                self.adopt(queue, *first, |job| job.lane == lane);
            }
        }
    }

    /// Jobs come under a lease: among them may be some that were kept back.
    pub(super) fn adopt_leased(&mut self, queue: QueueId, deliveries: &[Delivery]) -> Checked {
        for delivery in deliveries {
            let id = delivery.handle.message;
            let priority = delivery.priority;
            let ready =
                |job: &Job| job.place.priority() == priority && job.possibly(|standing| standing.state == State::Ready);
            if !self.jobs.all.get(&id).is_some_and(Job::is_known) {
                self.adopt(queue, id, ready);
            }
            let back = self.jobs.all.get(&id).and_then(|job| job.back);
            if let Some(keeper) = back.and_then(|back| self.jobs.all.get_mut(&back.by)) {
                keeper.see("has let go whom it kept back", |standing| standing.kept != Some(id))?;
            }
        }
        Ok(())
    }

    /// A job is told as the one that keeps others away.
    pub(super) fn keeper_told(
        &mut self,
        queue: QueueId,
        hash: [u8; 16],
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        match reply {
            Ok(Reply::Job(told)) => {
                if !self.jobs.all.get(&told.id).is_some_and(Job::is_known) {
                    self.adopt(queue, told.id, |job| job.options.dedup.is_some_and(|dedup| dedup.hash == hash));
                }
                self.job(told.id)?;
                self.see_keeper((queue, hash), Some(told.id), at)?;
                self.described(queue, JobRef::Id(told.id), reply, false, at)
            }
            Err(Error::JobNotFound) => {
                for id in self.of_dedup(queue, hash, at) {
                    let (may_come, may_be_kept) = self.let_go(id);
                    self.job(id)?.see("is there and keeps nobody away", |standing| match standing.state {
                        State::KeptBack => may_come || may_be_kept,
                        State::Removed => true,
                        _ => !standing.keeps_away(at),
                    })?;
                }
                Ok(())
            }
            reply => Err(format!("asking who keeps others away was answered with {reply:?}")),
        }
    }

    /// An id was made free, or nobody had it.
    pub(in crate::model) fn dedup_forgotten(
        &mut self,
        (queue, hash): (QueueId, [u8; 16]),
        job: Option<JobRef>,
        reply: &Result<Reply, Error>,
        at: u64,
    ) -> Checked {
        let meant = match job {
            Some(JobRef::Id(id)) => Some(id),
            Some(other) => return Err(format!("nobody asks so: {other:?}")),
            None => None,
        };
        match reply {
            Ok(Reply::Done) => {
                let same = self.of_dedup(queue, hash, at);
                if same.is_empty() {
                    return Err("an id was made free that nobody had".to_owned());
                }
                if let Some(id) = meant {
                    self.job(id)?;
                    self.see_keeper((queue, hash), Some(id), at)?;
                }
                for id in same {
                    self.free(id, at);
                }
                self.jobs.duplicates.freed += 1;
                self.written_until = self.written_until.max(at);
                Ok(())
            }
            Err(Error::JobNotFound) => match meant {
                None => self.see_keeper((queue, hash), None, at),
                Some(id) => match self.jobs.all.get_mut(&id).filter(|job| job.has_dedup(hash)) {
                    Some(job) => job.see("does not have its id", |standing| !standing.keeps_away(at)),
                    None => Ok(()),
                },
            },
            reply => Err(format!("making an id free was answered with {reply:?}")),
        }
    }

    /// A job keeps nobody away any more; whom it keeps back may come.
    fn free(&mut self, id: u64, at: u64) {
        let Some(job) = self.jobs.all.get_mut(&id) else { return };
        let kept: Vec<u64> = job.may.iter().filter_map(|standing| standing.kept).collect();
        // One that is still to come has the id when it has.
        let is_to_come = job.possibly(|standing| standing.state == State::KeptBack);
        for standing in std::mem::take(&mut job.may) {
            if standing.state == State::KeptBack || is_to_come {
                job.add(standing.clone());
            }
            if standing.state != State::KeptBack {
                job.add(standing.freed());
            }
        }
        for kept in kept {
            if let Some(job) = self.jobs.all.get_mut(&kept) {
                job.comes(at);
            }
        }
    }

    /// A finished job is tried again: it keeps others away again, unless another one does so by now.
    pub(super) fn keeps_away_again(&mut self, id: u64, at: u64) {
        let Some(job) = self.jobs.all.get(&id) else { return };
        let Some(dedup) = job.options.dedup.filter(|dedup| dedup.ttl_ms.is_none()) else { return };
        let same = self.of_dedup(job.queue, dedup.hash, at);
        let others: Vec<u64> = same.into_iter().filter(|other| *other != id).collect();
        let sure = |other: &u64| {
            let (_, may_be_kept) = self.let_go(*other);
            self.jobs.all.get(other).is_some_and(|other| {
                other.certainly(|standing| {
                    standing.keeps_away(at) && (standing.state != State::KeptBack || !may_be_kept)
                })
            })
        };
        let (none, taken) = (others.is_empty(), others.iter().any(sure));
        let Some(job) = self.jobs.all.get_mut(&id) else { return };
        for standing in std::mem::take(&mut job.may) {
            let is_free = !standing.keeps_away(at);
            if is_free && !taken {
                job.may.push(Standing { away: Away::Unfinished, ..standing.clone() });
                self.jobs.duplicates.again += u64::from(none);
            }
            if !is_free || !none {
                job.may.push(standing);
            }
        }
    }

    /// The times for which others are kept away are over up to where the shard cannot come back to any more: after a loss of
    /// power it may be earlier than it was, but never than what is stored.
    pub(super) fn end_keeping_away(&mut self) {
        for job in self.jobs.all.values_mut() {
            job.end_keeping_away(self.written_until);
        }
    }

    /// Whoever may have ended may have let go whom it kept back.
    pub(super) fn let_kept_come(&mut self, settled: u64, at: u64) {
        for id in self.let_ended_come() {
            let Some(job) = self.jobs.all.get_mut(&id) else { continue };
            job.pass_alone(&self.jobs.queues, settled, at);
        }
    }

    /// Adds that who was kept back may have come. Says which of them there are.
    fn let_ended_come(&mut self) -> Vec<u64> {
        let kept = |job: &Job| job.possibly(|standing| standing.state == State::KeptBack);
        let kept = self.jobs.all.iter().filter(|(_, job)| kept(job));
        let kept: Vec<(u64, u64)> = kept.filter_map(|(id, job)| Some((*id, job.back?.by))).collect();
        for &(id, by) in &kept {
            let ended = self.jobs.all.get(&by).map(|keeper| keeper.let_go_since(id)).unwrap_or_default();
            let Some(job) = self.jobs.all.get_mut(&id) else { continue };
            for from in ended {
                job.comes(from);
            }
        }
        kept.into_iter().map(|(id, _)| id).collect()
    }

    /// A job is gone: whom it kept back may come.
    pub(super) fn let_come_of(&mut self, by: u64, gone: &Job) {
        let kept = self.jobs.all.iter_mut().filter(|(_, job)| job.back.is_some_and(|back| back.by == by));
        for (id, job) in kept.filter(|(_, job)| job.possibly(|standing| standing.state == State::KeptBack)) {
            for from in gone.let_go_since(*id) {
                job.comes(from);
            }
        }
    }

    /// The shard is at rest: whoever was let go has come.
    pub(super) fn kept_rest(&mut self) {
        let kept = |job: &Job| job.possibly(|standing| standing.state == State::KeptBack);
        let ids: Vec<u64> = self.jobs.all.iter().filter(|(_, job)| kept(job)).map(|(id, _)| *id).collect();
        // That was at a time that may be later than the one to which the shard came back.
        self.let_ended_come();
        for id in ids {
            let (_, may_be_kept) = self.let_go(id);
            let Some(job) = self.jobs.all.get_mut(&id).filter(|job| job.back.is_some() && !may_be_kept) else {
                continue;
            };
            if let Err(wrong) = job.see("was to come by now", |standing| standing.state != State::KeptBack) {
                self.jobs.flows.wrong.get_or_insert(wrong);
            }
        }
    }
}

impl Job {
    /// What a duplicate does to a job that stands so and keeps it away.
    fn act(&self, standing: &Standing, dedup: &JobDedup, at: u64) -> Act {
        let goes_on = standing.due.from > at;
        let too_late = standing.receives == 0 && self.options.expires_at.is_some_and(|expires| expires.0 <= at);
        match standing.state {
            State::Delayed if !goes_on || too_late => Act::Nothing,
            State::Delayed if dedup.replace => Act::Replaces,
            State::Delayed if dedup.reschedule => Act::Reschedules,
            State::Leased if goes_on && dedup.keep_last_if_active => Act::IsKeptBack,
            _ => Act::Nothing,
        }
    }

    /// Whether its id is known, if it was kept back.
    pub fn is_known(&self) -> bool {
        self.back.is_none_or(|back| back.is_known)
    }

    /// Whether it was kept back, and so came when another one had ended.
    pub(super) fn was_kept_back(&self) -> bool {
        self.back.is_some()
    }

    pub(super) fn has_dedup(&self, hash: [u8; 16]) -> bool {
        self.options.dedup.is_some_and(|dedup| dedup.hash == hash)
    }

    /// Since when one of its ends may have let go whom it kept back, for each of its ends.
    fn let_go_since(&self, kept: u64) -> Vec<u64> {
        let ended = self.may.iter().filter(|standing| standing.is_finished() && standing.kept != Some(kept));
        ended.map(|standing| standing.due.from).collect()
    }

    /// It was kept back, and may come from then on.
    fn comes(&mut self, from: u64) {
        let Some(back) = self.back else { return };
        let Some(kept) = self.may.iter().find(|standing| standing.state == State::KeptBack) else { return };
        let (state, due) = match back.delay_ms {
            0 => (State::Ready, Span::after(from, 0, 0)),
            delay_ms => (State::Delayed, Span::after(from, delay_ms, delay_ms)),
        };
        let came = Standing { state, due, ..kept.clone() };
        self.add(came);
    }

    /// It keeps others away from now on, if it was to.
    pub(super) fn keep_away(&mut self, at: u64) {
        if let Some(dedup) = self.options.dedup {
            for standing in &mut self.may {
                standing.away = Away::of(&dedup, at);
            }
        }
    }

    /// What kept others away for a time does not any more when the shard cannot come back to before its end.
    fn end_keeping_away(&mut self, written_until: u64) {
        let over = |standing: &Standing| standing.away != Away::No && !standing.keeps_away(written_until);
        if self.possibly(over) {
            self.becomes(|before| if over(before) { before.clone().freed() } else { before.clone() });
        }
    }
}

impl Standing {
    /// Whether it keeps others away then. Where one is kept back, its place is taken until it has come.
    pub(super) fn keeps_away(&self, at: u64) -> bool {
        match self.away {
            Away::No => false,
            Away::Unfinished => true,
            Away::Until(until) => self.kept.is_some() || at < until,
        }
    }

    /// The same job, which keeps nobody away.
    #[must_use]
    pub fn freed(mut self) -> Self {
        (self.away, self.kept) = (Away::No, None);
        self
    }

    /// It has ended: whom it kept away until then may come, and whom it kept back does.
    pub(super) fn lets_others_in(&mut self) {
        if self.kept.take().is_some() || self.away == Away::Unfinished {
            self.away = Away::No;
        }
    }
}

/// What a job that may run then stands as.
pub(super) fn standing_at(ready_at: u64, at: u64) -> (State, Span) {
    if ready_at <= at { (State::Ready, Span::at(at)) } else { (State::Delayed, Span::at(ready_at)) }
}

fn dedup_of(new: &NewJob) -> Option<JobDedup> {
    new.message.options.as_ref().and_then(|options| options.dedup)
}
