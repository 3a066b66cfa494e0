//! A queue in memory, and the two rows that it is stored in: configuration (written when it changes) and counters
//! (written once for each group of commands that changed them).

use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{self, Hasher128};
use smallvec::SmallVec;

use crate::api::job::Keep;
use crate::api::limit::{LimiterId, LimiterUse, Limits};
use crate::api::topic::SubscriptionId;
use crate::api::{
    Config, Counters, DedupScope, Kind, Lane, Namespace, Queue, QueueId, Redrive, RedriveAllow, Tags, Token,
};
use crate::buckets::Buckets;
use crate::codec::{Reader, Unreadable, Writer};
use crate::engine::Which;
use crate::gaps::Gaps;
use crate::head::{Head, HeadLimits, HeadUse};
use crate::keys::{OneKey, Space};
use crate::limiter::UNITS_MAX;
use crate::meter::Meter;
use crate::place::Place;
use crate::priorities::Priorities;
use crate::spec;
use crate::time::Time;

/// Version 2 added whose dead letters are taken, deduplication's window and scope, and tags; version 3 what concerns
/// jobs, limiters, and the pause; version 4 whose own queue it is.
const VERSION: u8 = 4;
const WHAT: &str = "a queue's configuration";
/// Version 2 has buckets of any length, and those of attempts; version 3 counts messages in lanes, version 4 those that
/// wait for children and finished ones, version 5 what finished, and ready ones by priority.
const COUNTERS_VERSION: u8 = 5;
const COUNTERS_WHAT: &str = "a queue's counters";

/// What a receive asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Messages at most.
    pub(crate) messages: u32,
    /// Bytes of their payloads at most; the first message comes whatever its length.
    pub(crate) bytes: u64,
    /// Length of the leases; `None` for the queue's.
    pub(crate) visibility_ms: Option<u64>,
    /// The attempt that this is, if it has an id.
    pub(crate) attempt: Option<[u8; 16]>,
    /// Whether it is a worker's.
    pub(crate) worker: bool,
    /// How long a batch may take to become full; 0 for what there is.
    pub(crate) linger_ms: u64,
    /// Whether all messages are to be of one lane.
    pub(crate) one_lane: bool,
}

/// A receive that waits for messages.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) token: Token,
    pub(crate) wanted: Wanted,
    /// How long it waits for a first message.
    pub(crate) deadline: Time,
    /// How long its batch fills, since there is a first message.
    pub(crate) fills_until: Option<Time>,
}

/// Whether waiting receivers are to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dispatch {
    /// Nothing to do.
    Idle,
    /// On the engine's list.
    Listed,
    /// Held up until rows are loaded.
    Stalled,
}

/// Which finished jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finished {
    Completed,
    Failed,
}

impl Finished {
    pub(crate) const BOTH: [Finished; 2] = [Finished::Completed, Finished::Failed];
}

/// What is known without reading of the order in which jobs finished.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keeping {
    /// None finished before.
    pub(crate) first: Time,
    /// Those before have their own time to go.
    pub(crate) passed: (Time, u64),
    /// How many are to be kept, while there are more.
    pub(crate) count: Option<u64>,
}

impl Config {
    /// What is kept of finished jobs that say nothing of it.
    pub(crate) fn keep(&self, finished: Finished) -> Keep {
        match finished {
            Finished::Completed => self.keep_completed,
            Finished::Failed => self.keep_failed,
        }
    }
}

/// A limiter of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) limiter: LimiterId,
    /// Says which of a message's keys and costs are meant.
    pub(crate) tag: u32,
    pub(crate) is_keyed: bool,
}

/// A turn in the line for a key of a limiter: by place, then as they came.
pub(crate) type Turn = (Place, u64);

/// Names a limiter, and where the doors find keys for it. Part of the stored format.
fn tag(used: &LimiterUse) -> u32 {
    let mut hasher = SipHasher13::new();
    hasher.write(used.limiter.as_bytes());
    hasher.write_u8(0);
    hasher.write(used.key.as_deref().unwrap_or_default().as_bytes());
    hasher.finish() as u32
}

#[derive(Debug)]
pub(crate) struct QueueState {
    pub(crate) public: Arc<Queue>,
    pub(crate) space: Space,
    /// Key of the proofs in its handles.
    pub(crate) secret: [u8; 16],
    pub(crate) counters: Counters,
    pub(crate) meter: Meter,
    /// Those of the ready messages.
    pub(crate) priorities: Priorities,
    /// Messages that stand in lanes, whatever their state. Standard queues only.
    pub(crate) laned: u64,
    /// Whether the counters differ from their row.
    pub(crate) dirty: bool,
    /// What may hold deduplication rows, and rows of attempts.
    pub(crate) dedup_buckets: Buckets,
    pub(crate) attempt_buckets: Buckets,
    pub(crate) waiters: VecDeque<Waiter>,
    /// Attempts that were just served, under which others may wait.
    pub(crate) served_attempts: Vec<[u8; 16]>,
    pub(crate) dispatch: Dispatch,
    /// How many watch what happens to its jobs.
    pub(crate) watchers: u64,
    /// Known gaps in the order of ready messages, of runnable lanes, and of message ids.
    pub(crate) ready_gaps: Gaps,
    pub(crate) head_gaps: Gaps,
    pub(crate) noisy_gaps: Gaps,
    pub(crate) message_gaps: Gaps,
    /// Before these ids there is no message that is not finished, and none that retention takes.
    unfinished_from: u64,
    retained_from: u64,
    completed: Keeping,
    failed: Keeping,
    /// Those of the limiters that its configuration names that there are.
    pub(crate) uses: SmallVec<[Use; 1]>,
    /// What the whole queue waits for: a key of a limiter that all messages share, and the turn in line for it.
    pub(crate) blocked: Option<(OneKey, Turn)>,
    /// What the messages wait for that stand in no lane.
    pub(crate) alone_blocked: Option<(OneKey, Turn)>,
    /// Where its turn has come: it keeps its place there until that is used or not needed.
    pub(crate) called: SmallVec<[(OneKey, Turn); 1]>,
    /// Lanes that left the lines in which they waited, of which the limiters are to take note.
    pub(crate) unparked: SmallVec<[(OneKey, Place); 1]>,
    /// When retention and deduplication buckets are looked at next.
    pub(crate) chores_at: Option<Time>,
    /// No row of a job's deduplication ends by time before; never where there is none.
    pub(crate) dedup_ends_at: Time,
}

impl QueueState {
    pub(crate) fn new(public: Arc<Queue>, space: Space, secret: [u8; 16]) -> Self {
        Self {
            public,
            space,
            secret,
            counters: Counters::default(),
            meter: Meter::default(),
            priorities: Priorities::default(),
            laned: 0,
            dirty: true,
            dedup_buckets: Buckets::default(),
            attempt_buckets: Buckets::default(),
            waiters: VecDeque::new(),
            served_attempts: Vec::new(),
            dispatch: Dispatch::Idle,
            watchers: 0,
            ready_gaps: Gaps::default(),
            head_gaps: Gaps::default(),
            noisy_gaps: Gaps::default(),
            message_gaps: Gaps::default(),
            unfinished_from: 0,
            retained_from: 0,
            completed: Keeping::default(),
            failed: Keeping::default(),
            uses: SmallVec::new(),
            blocked: None,
            alone_blocked: None,
            called: SmallVec::new(),
            unparked: SmallVec::new(),
            chores_at: None,
            dedup_ends_at: Time::NEVER,
        }
    }

    /// Finds the limiters that its configuration names.
    pub(crate) fn find_uses(&mut self, find: impl Fn(&str) -> Option<LimiterId>) {
        let uses = self.public.config.limiters.iter().filter_map(|used| {
            Some(Use { limiter: find(&used.limiter)?, tag: tag(used), is_keyed: used.key.is_some() })
        });
        self.uses = uses.collect();
    }

    /// What a new message is to the limiters, and the lane in which it stands: messages that may be held back by
    /// different keys do not stand in the same one, save on a FIFO queue, where the group rules.
    pub(crate) fn limits_of(
        &self,
        lane: Option<Lane>,
        limits: Option<&Limits>,
    ) -> (Option<Lane>, Option<Box<HeadLimits>>) {
        let named = &self.public.config.limiters;
        let Some(limits) = limits.filter(|_| !named.is_empty()) else { return (lane, None) };
        let uses = named.iter().zip(&limits.uses).map(|(used, &(key, cost))| {
            let key = key.filter(|_| used.key.is_some());
            HeadUse { tag: tag(used), key, cost: cost.clamp(1, UNITS_MAX) }
        });
        let uses: SmallVec<[HeadUse; 1]> = uses.filter(|used| used.key.is_some() || used.cost > 1).collect();
        let has_keys = uses.iter().any(|used| used.key.is_some());
        let ungrouped = has_keys && lane.is_none();
        let mut lane = lane;
        if has_keys && self.public.kind == Kind::Standard {
            let mut hasher = sip128::SipHasher13::new_with_key(&self.secret);
            hasher.write(&lane.map_or([0; 16], |lane| lane.0));
            for used in &uses {
                hasher.write_u32(used.tag);
                hasher.write(&used.key.map_or([0; 16], |key| key.0));
            }
            let hash = hasher.finish128();
            lane = Some(Lane(hash.as_bytes()));
        }
        (lane, (!uses.is_empty()).then(|| Box::new(HeadLimits { ungrouped, uses })))
    }

    /// Leaves all messages behind and goes on, empty, in `space`.
    pub(crate) fn move_to(&mut self, space: Space) {
        self.space = space;
        self.counters = Counters::default();
        self.priorities = Priorities::default();
        self.laned = 0;
        self.dirty = true;
        self.dedup_buckets = Buckets::default();
        self.attempt_buckets = Buckets::default();
        self.dedup_ends_at = Time::NEVER;
        self.ready_gaps = Gaps::default();
        self.head_gaps = Gaps::default();
        self.noisy_gaps = Gaps::default();
        self.message_gaps = Gaps::default();
        // Who stood in line for the old messages is passed over there.
        self.blocked = None;
        self.alone_blocked = None;
        self.unfinished_from = 0;
        self.retained_from = 0;
        self.completed = Keeping::default();
        self.failed = Keeping::default();
    }

    /// No message before this id is one of these.
    pub(crate) fn first(&self, which: Which) -> u64 {
        match which {
            Which::Unfinished => self.unfinished_from,
            Which::Retained => self.retained_from,
        }
    }

    /// There is none of these before `id`.
    pub(crate) fn passed(&mut self, which: Which, id: u64) {
        match which {
            Which::Unfinished => self.unfinished_from = id,
            Which::Retained => self.retained_from = id,
        }
    }

    /// A message now stands in the queue as its head says.
    pub(crate) fn stands(&mut self, id: u64, head: &Head) {
        for which in Which::ALL {
            if id < self.first(which) && which.counts(head) {
                self.passed(which, id);
            }
        }
    }

    pub(crate) fn keeping(&mut self, finished: Finished) -> &mut Keeping {
        match finished {
            Finished::Completed => &mut self.completed,
            Finished::Failed => &mut self.failed,
        }
    }

    /// How many finished jobs there are.
    pub(crate) fn finished(&self, finished: Finished) -> u64 {
        match finished {
            Finished::Completed => self.counters.completed,
            Finished::Failed => self.counters.failed,
        }
    }

    pub(crate) fn id(&self) -> QueueId {
        self.public.id
    }

    pub(crate) fn config(&self) -> &Config {
        &self.public.config
    }

    /// Whether nothing of it is given out.
    pub(crate) fn is_paused(&self, now: Time) -> bool {
        self.public.paused_until.is_some_and(|until| now < until)
    }

    /// Messages that are not finished.
    pub(crate) fn unfinished(&self) -> u64 {
        self.messages() - self.counters.completed - self.counters.failed
    }

    pub(crate) fn messages(&self) -> u64 {
        let Counters { ready, delayed, leased, waiting, completed, failed } = self.counters;
        ready + delayed + leased + waiting + completed + failed
    }

    pub(crate) fn write(&self) -> Writer {
        let Queue { name, kind, config, version, created_at, modified_at, tags, paused_until, subscription, .. } =
            &*self.public;
        let mut writer = Writer::new(VERSION);
        writer.number(self.space.id);
        writer.fixed(&self.secret);
        writer.bytes(name.as_bytes());
        writer.byte(match kind {
            Kind::Standard => 0,
            Kind::Fifo => 1,
        });
        writer.number(*version);
        writer.time(*created_at);
        writer.time(*modified_at);
        writer.number(config.delay_ms);
        writer.number(config.message_bytes_max);
        writer.number(config.retention_ms);
        writer.number(config.receive_wait_ms);
        writer.number(config.visibility_ms);
        writer.byte(u8::from(config.content_deduplication));
        match &config.redrive {
            None => writer.number(0),
            Some(redrive) => {
                writer.number(u64::from(redrive.receives_max));
                writer.bytes(redrive.target.as_bytes());
            }
        }
        writer.number(config.notes.len() as u64);
        for (name, value) in &config.notes {
            writer.bytes(name.as_bytes());
            writer.bytes(value.as_bytes());
        }
        writer.byte(match config.dedup_scope {
            DedupScope::Queue => 0,
            DedupScope::Lane => 1,
        });
        writer.number(config.dedup_window_ms);
        write_allow(&mut writer, &config.redrive_allow);
        writer.number(tags.len() as u64);
        for (key, value) in tags {
            writer.bytes(key.as_bytes());
            writer.bytes(value.as_bytes());
        }
        spec::write_retry(&mut writer, &config.retry);
        writer.number(u64::from(config.stalls_max));
        writer.number(config.timeout_ms.unwrap_or(0));
        for keep in [config.keep_completed, config.keep_failed] {
            spec::write_keep(&mut writer, keep);
        }
        writer.number(config.limiters.len() as u64);
        for LimiterUse { limiter, key, cost } in &config.limiters {
            writer.bytes(limiter.as_bytes());
            for text in [key, cost] {
                // No expression is empty.
                writer.bytes(text.as_deref().unwrap_or_default().as_bytes());
            }
        }
        writer.time(paused_until.unwrap_or(Time(0)));
        // Ids start from 1.
        writer.number(subscription.map_or(0, |subscription| subscription.0));
        writer
    }

    pub(crate) fn read(namespace: Namespace, id: QueueId, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let space = Space { namespace, id: reader.number()? };
        let secret = reader.fixed()?;
        let name = reader.text()?.to_owned();
        let kind = match reader.byte()? {
            0 => Kind::Standard,
            1 => Kind::Fifo,
            _ => return Err(reader.damaged()),
        };
        let version = reader.number()?;
        let created_at = reader.time()?;
        let modified_at = reader.time()?;
        let mut config = Config {
            delay_ms: reader.number()?,
            message_bytes_max: reader.number()?,
            retention_ms: reader.number()?,
            receive_wait_ms: reader.number()?,
            visibility_ms: reader.number()?,
            content_deduplication: reader.byte()? != 0,
            redrive: None,
            notes: Vec::new(),
            ..Config::default()
        };
        let receives_max = reader.small()?;
        if receives_max > 0 {
            config.redrive = Some(Redrive { receives_max, target: reader.text()?.to_owned() });
        }
        for _ in 0..reader.number()? {
            config.notes.push((reader.text()?.to_owned(), reader.text()?.to_owned()));
        }
        let mut tags = Tags::new();
        if reader.version() >= 2 {
            config.dedup_scope = match reader.byte()? {
                0 => DedupScope::Queue,
                1 => DedupScope::Lane,
                _ => return Err(reader.damaged()),
            };
            config.dedup_window_ms = reader.number()?;
            config.redrive_allow = read_allow(&mut reader)?;
            for _ in 0..reader.number()? {
                tags.insert(reader.text()?.to_owned(), reader.text()?.to_owned());
            }
        }
        let (mut paused_until, mut subscription) = (None, None);
        if reader.version() >= 3 {
            config.retry = spec::read_retry(&mut reader)?;
            config.stalls_max = reader.small()?;
            config.timeout_ms = Some(reader.number()?).filter(|&timeout_ms| timeout_ms > 0);
            config.keep_completed = spec::read_keep(&mut reader)?;
            config.keep_failed = spec::read_keep(&mut reader)?;
            for _ in 0..reader.number()? {
                let limiter = reader.text()?.to_owned();
                let mut text = || reader.text().map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
                config.limiters.push(LimiterUse { limiter, key: text()?, cost: text()? });
            }
            paused_until = Some(reader.time()?).filter(|&until| until > Time(0));
        }
        if reader.version() >= 4 {
            subscription = Some(reader.number()?).filter(|&id| id > 0).map(SubscriptionId);
        }
        reader.end()?;
        let public = Queue {
            id,
            namespace,
            name,
            kind,
            config,
            version,
            created_at,
            modified_at,
            tags,
            paused_until,
            subscription,
        };
        Ok(QueueState { dirty: false, dedup_ends_at: Time(0), ..QueueState::new(Arc::new(public), space, secret) })
    }

    pub(crate) fn write_counters(&self) -> Writer {
        let mut writer = Writer::new(COUNTERS_VERSION);
        writer.number(self.counters.ready);
        writer.number(self.counters.delayed);
        writer.number(self.counters.leased);
        self.dedup_buckets.write(&mut writer);
        self.attempt_buckets.write(&mut writer);
        writer.number(self.laned);
        writer.number(self.counters.waiting);
        writer.number(self.counters.completed);
        writer.number(self.counters.failed);
        self.meter.write(&mut writer);
        self.priorities.write(&mut writer);
        writer
    }

    pub(crate) fn read_counters(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut reader = Reader::new(COUNTERS_WHAT, bytes, COUNTERS_VERSION)?;
        let (ready, delayed, leased) = (reader.number()?, reader.number()?, reader.number()?);
        self.counters = Counters { ready, delayed, leased, ..Counters::default() };
        if reader.version() == 1 {
            self.dedup_buckets = Buckets::read_v1(&mut reader)?;
        } else {
            self.dedup_buckets = Buckets::read(&mut reader)?;
            self.attempt_buckets = Buckets::read(&mut reader)?;
        }
        if reader.version() >= 3 {
            self.laned = reader.number()?;
        }
        if reader.version() >= 4 {
            self.counters.waiting = reader.number()?;
            self.counters.completed = reader.number()?;
            self.counters.failed = reader.number()?;
        }
        if reader.version() >= 5 {
            self.meter = Meter::read(&mut reader)?;
            self.priorities = Priorities::read(&mut reader)?;
        } else if ready > 0 {
            self.priorities = Priorities::unknown();
        }
        reader.end()
    }
}

fn write_allow(writer: &mut Writer, allow: &RedriveAllow) {
    match allow {
        RedriveAllow::All => writer.byte(0),
        RedriveAllow::None => writer.byte(1),
        RedriveAllow::Queues(names) => {
            writer.byte(2);
            writer.number(names.len() as u64);
            for name in names {
                writer.bytes(name.as_bytes());
            }
        }
    }
}

fn read_allow(reader: &mut Reader<'_>) -> Result<RedriveAllow, Unreadable> {
    match reader.byte()? {
        0 => Ok(RedriveAllow::All),
        1 => Ok(RedriveAllow::None),
        2 => {
            let mut names = Vec::new();
            for _ in 0..reader.number()? {
                names.push(reader.text()?.to_owned());
            }
            Ok(RedriveAllow::Queues(names))
        }
        _ => Err(reader.damaged()),
    }
}
