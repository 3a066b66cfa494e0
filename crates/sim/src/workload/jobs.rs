//! What workers do, and those who give them work.

use smallvec::SmallVec;
use weir_core::Time;
use weir_core::api::job::{
    Again, Backoff, JobChange, JobOptions, JobRef, JobState, Keep, NewJob, PageMark, Retry, Settlement,
};
use weir_core::api::{Command, Config, Handle, Kind, Lane, Namespace, NewMessage, QueueId, Tags};

use super::{Clients, KnownQueue, dead, dedup, limits, uuid};
use crate::clocks::START;
use crate::model::payload_of;
use crate::profile::Profile;
use crate::rng::Rng;

const NAMES: [&str; 4] = ["jobs", "jobs after jobs", "jobs under limits", "jobs under two limits"];
const STATES: [JobState; 7] = [
    JobState::Ready,
    JobState::Ready,
    JobState::Delayed,
    JobState::Leased,
    JobState::Waiting,
    JobState::Completed,
    JobState::Failed,
];
const NAMES_IN_ORDER: [&str; 2] = ["jobs in order", "jobs in order under limits"];

/// What workers and their clients know.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobClients {
    /// Queues, some of them deleted since.
    pub(crate) queues: Vec<KnownQueue>,
    /// Handles that they were given.
    pub(crate) handles: Vec<(QueueId, Handle)>,
    /// A listing that is to go on.
    pub(crate) listing: Option<(QueueId, JobState, PageMark)>,
    /// Ids of jobs that were added.
    pub(crate) ids: Vec<(QueueId, u64)>,
    /// Ids of jobs that came to an end, where those are looked after.
    pub(crate) ended: Vec<(QueueId, u64)>,
}

impl Clients {
    /// The next command of those who work with jobs.
    pub(crate) fn draw_job(&mut self, rng: &mut Rng, profile: &Profile) -> Command {
        let Some(queue) = rng.pick(&self.jobs.queues).cloned() else { return create(rng, profile) };
        let id = queue.id;
        if profile.flows > 0 && rng.chance(profile.flows, 10) {
            return self.draw_flow(rng, profile, &queue);
        }
        if profile.dead_letters && rng.chance(1, 8) {
            return self.draw_dead(rng, &queue);
        }
        if profile.dedups && rng.chance(1, 7) {
            return self.draw_dedup(rng, id);
        }
        match rng.weighted(&profile.job_weights) {
            0 => self.add(rng, profile, &queue),
            1 => lease(rng, profile, id),
            2 => self.settle(rng, profile, id),
            3 => Command::DescribeJob {
                queue: id,
                job: self.job(rng, id),
                wait_ms: *rng.pick(&[0, 0, 500, 20_000]).unwrap_or(&0),
            },
            4 => create(rng, profile),
            5 => {
                Command::ConfigureQueue { queue: id, version: queue.version, config: config(rng, profile, &queue.name) }
            }
            6 => Command::PauseQueue { queue: id, for_ms: *rng.pick(&[0, 0, 300, 5_000, u64::MAX]).unwrap_or(&0) },
            7 => match rng.below(6) {
                0 => Command::PurgeQueue { queue: id },
                1 => Command::DeleteQueue { queue: id },
                _ => Command::QueueStats { queue: id },
            },
            8 => self.give_back(rng, id),
            9 => self.draw_limit(rng),
            10 => {
                let jobs = (0..rng.between(1, 3)).map(|_| self.job(rng, id)).collect();
                Command::ChangeJobs { queue: id, jobs, change: self.change(rng, profile) }
            }
            _ if self.next_number.is_multiple_of(3) => {
                let said = payload_of(self.next_number, 20);
                let logs = (0..self.next_number % 4).map(|line| payload_of(line, 10)).collect();
                let progress = self.next_number.is_multiple_of(2).then_some(said);
                let logs_max = self.next_number.is_multiple_of(5).then_some(self.next_number as u64 % 2);
                Command::Report { queue: id, job: self.job(rng, id), progress, logs, logs_max }
            }
            _ if profile.varied && rng.chance(2, 3) => self.look(rng, profile, id),
            _ => Command::Explain { queue: id, job: self.job(rng, id) },
        }
    }

    /// Lists jobs, or reads a log.
    fn look(&self, rng: &mut Rng, profile: &Profile, queue: QueueId) -> Command {
        let max = rng.between(1, 4).min(profile.batch_max) as u32;
        if rng.chance(1, 4) {
            return Command::JobLogs { queue, job: self.job(rng, queue), from: rng.below(4) / 3, max };
        }
        let (queue, state, after) = match &self.jobs.listing {
            Some((queue, state, mark)) if !rng.chance(1, 5) => (*queue, *state, Some(mark.clone())),
            _ => (queue, *rng.pick(&STATES).unwrap_or(&JobState::Ready), None),
        };
        Command::ListJobs {
            queue,
            state,
            after,
            max,
            payload_bytes_max: *rng.pick(&[None, Some(0), Some(1_000)]).unwrap_or(&None),
        }
    }

    fn add(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
        let count = *rng.pick(&[1, 1, 2, 5, 12]).unwrap_or(&1);
        let mut jobs = Vec::new();
        for _ in 0..count {
            let other = if rng.chance(1, 4) { rng.pick(&self.jobs.queues).cloned() } else { None };
            let queue = other.as_ref().unwrap_or(queue);
            let stale = rng.chance(1, 60);
            let version = if stale { queue.version.saturating_sub(1) } else { queue.version };
            jobs.push(NewJob { queue: queue.id, version, message: self.job_message(rng, profile, queue) });
        }
        // Some of these keys are known already. No draw decides, so that what else is drawn stays what it was.
        let key = self.next_number / 12;
        let idempotency =
            self.next_number.is_multiple_of(4).then(|| payload_of(key, 16).first_chunk().copied()).flatten();
        Command::AddJobs { jobs, idempotency }
    }

    pub(super) fn job_message(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> NewMessage {
        self.next_number += 1;
        let len = rng.between(8, profile.payload_max) as usize;
        let mut options = rng.chance(2, 3).then(|| Box::new(options(rng, self.now)));
        let fifo = queue.kind == Kind::Fifo;
        if let Some(options) = options.as_mut().filter(|_| fifo) {
            options.lifo &= rng.chance(1, 20);
        }
        if let Some(options) = options.as_mut().filter(|_| profile.dead_letters) {
            // Who has a name where a dead letter of that name comes keeps it: who that is may not be known.
            options.custom_id = None;
        }
        let message = NewMessage {
            uuid: uuid(rng),
            payload: payload_of(self.next_number, len),
            delay_ms: *rng.pick(&[None, None, Some(0), Some(600), Some(15_000)]).unwrap_or(&None),
            priority: *rng.pick(&[0, 0, 0, 1, 2, 7]).unwrap_or(&0),
            lane: (if fifo { !rng.chance(1, 200) } else { rng.chance(1, 4) }).then(|| group(rng, profile)),
            limits: limits::limits_of(rng, queue),
            options,
            ..NewMessage::default()
        };
        if profile.dedups { dedup::deduplicated(rng, message) } else { message }
    }

    fn settle(&self, rng: &mut Rng, profile: &Profile, queue: QueueId) -> Command {
        let (queue, handles) = super::pick_handles(&self.jobs.handles, rng, profile, queue);
        let settlement = |rng: &mut Rng| {
            if profile.flows > 0 { flow_settlement(rng, profile) } else { settlement(rng, profile) }
        };
        let entries = handles.into_iter().map(|handle| (handle, settlement(rng))).collect();
        Command::Settle { queue, entries, seed: rng.next() }
    }

    fn give_back(&self, rng: &mut Rng, queue: QueueId) -> Command {
        let recent = self.jobs.handles.len().saturating_sub(12);
        let at = rng.between(recent as u64, self.jobs.handles.len().max(1) as u64 - 1) as usize;
        match self.jobs.handles.get(at) {
            Some(&(queue, handle)) => Command::Return { queue, handles: SmallVec::from_elem(handle, 1) },
            None => Command::QueueStats { queue },
        }
    }

    fn change(&mut self, rng: &mut Rng, profile: &Profile) -> JobChange {
        match rng.below(8) {
            0 => JobChange::Priority { priority: rng.below(4) as u32, lifo: rng.chance(1, 3) },
            1 => JobChange::RunAt(Time(self.now.saturating_add(rng.below(9_000)).saturating_sub(1_000).max(START))),
            2 => JobChange::Promote,
            3 => JobChange::Retry { reset: rng.chance(1, 2), reset_starts: false },
            4..=5 => JobChange::Cancel,
            6 => JobChange::Remove,
            _ => {
                self.next_number += 1;
                JobChange::Payload(payload_of(self.next_number, rng.between(8, profile.payload_max) as usize))
            }
        }
    }

    /// A job that was added, or nobody.
    pub(super) fn job(&self, rng: &mut Rng, queue: QueueId) -> JobRef {
        let of: Vec<u64> = self.jobs.ids.iter().filter(|(of, _)| *of == queue).map(|(_, id)| *id).collect();
        match rng.pick(&of) {
            Some(&id) if !rng.chance(1, 5) => JobRef::Id(id),
            _ => JobRef::Custom(custom_id(rng)),
        }
    }

    /// A worker was told that a job had come to its end.
    pub(crate) fn learn_end(&mut self, queue: QueueId, id: u64) {
        self.jobs.ended.push((queue, id));
        let excess = self.jobs.ended.len().saturating_sub(16);
        self.jobs.ended.drain(..excess);
    }

    pub(crate) fn learn_job(&mut self, queue: QueueId, id: u64) {
        self.jobs.ids.push((queue, id));
        let excess = self.jobs.ids.len().saturating_sub(80);
        self.jobs.ids.drain(..excess);
    }
}

fn custom_id(rng: &mut Rng) -> [u8; 16] {
    [rng.below(12) as u8; 16]
}

/// A group. No name hashes to zero: under limiters that stands for no group.
fn group(rng: &mut Rng, profile: &Profile) -> Lane {
    Lane([rng.below(profile.lanes) as u8 + u8::from(profile.ordered); 16])
}

fn options(rng: &mut Rng, now: u64) -> JobOptions {
    JobOptions {
        custom_id: rng.chance(1, 4).then(|| custom_id(rng)),
        lifo: rng.chance(1, 6),
        run_at: rng.chance(1, 8).then(|| Time(now.saturating_add(rng.below(20_000)).saturating_sub(2_000).max(START))),
        retry: rng.chance(1, 3).then(|| retry(rng)),
        timeout_ms: rng.chance(1, 5).then(|| rng.between(200, 20_000)),
        expires_at: rng.chance(1, 8).then(|| Time(now.saturating_add(rng.between(1, 30_000)))),
        keep_completed: rng.chance(1, 6).then(|| keep(rng)),
        keep_failed: rng.chance(1, 6).then(|| keep(rng)),
        ..JobOptions::default()
    }
}

fn retry(rng: &mut Rng) -> Retry {
    let delay_ms = *rng.pick(&[0, 100, 3_000]).unwrap_or(&0);
    let backoff = match rng.below(3) {
        0 => Backoff::Fixed { delay_ms },
        1 => Backoff::Exponential { delay_ms },
        _ => Backoff::List { delays_ms: vec![delay_ms, 500, 4_000] },
    };
    Retry {
        attempts_max: rng.between(1, 4) as u32,
        backoff,
        jitter_permille: *rng.pick(&[0, 200, 1_000]).unwrap_or(&0),
        cap_ms: *rng.pick(&[3_600_000, 5_000]).unwrap_or(&5_000),
    }
}

/// What a queue keeps. Where others are kept away, more jobs are there to be tried again.
fn kept(rng: &mut Rng, profile: &Profile) -> Keep {
    let keep = keep(rng);
    if profile.dedups && rng.chance(1, 2) { Keep::ALL } else { keep }
}

fn keep(rng: &mut Rng) -> Keep {
    match rng.below(4) {
        0 => Keep::NONE,
        1 => Keep::ALL,
        2 => Keep { age_ms: u64::MAX, count: rng.between(0, 5) },
        _ => Keep { age_ms: rng.between(1_000, 60_000), count: u64::MAX },
    }
}

pub(super) fn create(rng: &mut Rng, profile: &Profile) -> Command {
    let names = if profile.ordered && rng.chance(1, 2) { &NAMES_IN_ORDER[..] } else { &NAMES[..] };
    let mut name = *rng.pick(names).unwrap_or(&"jobs");
    if profile.dead_letters && rng.chance(1, 3) {
        name = dead::name_for(kind_of(name));
    }
    Command::CreateQueue {
        namespace: Namespace(0),
        name: name.to_owned(),
        kind: kind_of(name),
        config: config(rng, profile, name),
        tags: Tags::new(),
        seed: uuid(rng),
    }
}

fn kind_of(name: &str) -> Kind {
    if name.starts_with(NAMES_IN_ORDER[0]) { Kind::Fifo } else { Kind::Standard }
}

fn config(rng: &mut Rng, profile: &Profile, name: &str) -> Config {
    Config {
        delay_ms: *rng.pick(&[0, 0, 0, 2_000]).unwrap_or(&0),
        retention_ms: 10_000 * 86_400_000,
        visibility_ms: *rng.pick(&[1_000, 30_000, 30_000, 600_000]).unwrap_or(&30_000),
        retry: retry(rng),
        stalls_max: rng.below(4) as u32,
        timeout_ms: rng.pick(&[None, None, Some(3_000), Some(90_000)]).copied().flatten().filter(|_| !profile.dedups),
        keep_completed: kept(rng, profile),
        keep_failed: kept(rng, profile),
        redrive: if profile.dead_letters { dead::rule(rng, name, kind_of(name)) } else { None },
        limiters: if profile.job_weights[9] > 0 { limits::limiters_of(name) } else { Vec::new() },
        ..Config::default()
    }
}

fn lease(rng: &mut Rng, profile: &Profile, queue: QueueId) -> Command {
    Command::Lease {
        queue,
        max: (*rng.pick(&[1, 1, 2, 5, 10]).unwrap_or(&1)).min(profile.batch_max as u32),
        bytes_max: *rng.pick(&[u64::MAX, u64::MAX, 2_000, 100, 0]).unwrap_or(&u64::MAX),
        lease_ms: *rng.pick(&[None, Some(500), Some(5_000), Some(60_000)]).unwrap_or(&None),
        wait_ms: *rng.pick(&[0, 0, 0, 200, 5_000, 20_000]).unwrap_or(&0),
        linger_ms: if profile.varied { *rng.pick(&[0, 0, 300, 3_000]).unwrap_or(&0) } else { 0 },
        one_lane: profile.varied && rng.chance(1, 3),
    }
}

/// Where others wait for the end of jobs, these come to one more often than not.
fn flow_settlement(rng: &mut Rng, profile: &Profile) -> Settlement {
    let said = payload_of(rng.below(1_000) as usize, rng.below(60) as usize + 8);
    match rng.below(8) {
        0..=3 => Settlement::Complete { result: rng.chance(2, 3).then_some(said) },
        4..=5 => Settlement::Fail { failure: said, again: Again::Never },
        _ => settlement(rng, profile),
    }
}

fn settlement(rng: &mut Rng, profile: &Profile) -> Settlement {
    let bytes = |rng: &mut Rng| payload_of(rng.below(1_000) as usize, rng.below(60) as usize + 8);
    match rng.below(12) {
        0..=3 => Settlement::Complete { result: rng.chance(1, 2).then(|| bytes(rng)) },
        4..=6 => Settlement::Fail {
            failure: bytes(rng),
            again: match rng.below(6) {
                0 => Again::Never,
                1 => Again::After(rng.below(4_000)),
                _ => Again::ByPolicy,
            },
        },
        7..=8 => Settlement::Release {
            delay_ms: *rng.pick(&[0, 0, 700]).unwrap_or(&0),
            pause: if profile.varied { limits::pause(rng) } else { None },
        },
        _ => Settlement::Extend {
            lease_ms: *rng.pick(&[None, Some(300), Some(40_000)]).unwrap_or(&None),
            progress: rng.chance(1, 3).then(|| bytes(rng)),
            logs: (0..rng.below(3)).map(|_| bytes(rng)).collect(),
        },
    }
}
