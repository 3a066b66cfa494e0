//! The head of a message: what changes over its life. Small, and rewritten on each transition.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::api::Lane;
use crate::api::job::FailureKind;
use crate::api::limit::{LimitKey, LimiterId};
use crate::api::topic::{Origin, SubscriptionId};
use crate::codec::{Reader, Unreadable, Writer};
use crate::time::Time;

/// Version 2 knows what only jobs have, behind what all messages have; version 3 what was published, version 4
/// starts that are counted anew.
const VERSION: u8 = 4;
const WHAT: &str = "a message's head";

const STATE: u8 = 0b0000_0011;
const HAS_LANE: u8 = 0b0000_0100;
const HAS_SOURCE: u8 = 0b0000_1000;
const HAS_RECEIVED: u8 = 0b0001_0000;
const IN_LANE: u8 = 0b0010_0000;
/// Further flags follow what every message has, and what they announce.
const MORE: u8 = 0b0100_0000;

const LIFO: u64 = 1;
const WORKER: u64 = 1 << 1;
const CANCEL: u64 = 1 << 2;
const HAS_SPEC: u64 = 1 << 3;
const HAS_CHILDREN: u64 = 1 << 4;
const HAS_FAILED: u64 = 1 << 5;
const HAS_STARTED: u64 = 1 << 6;
const HAS_TIMEOUT: u64 = 1 << 7;
const HAS_EXPIRY: u64 = 1 << 8;
const HAS_EXTRAS: u64 = 1 << 9;
const HAS_LIMITS: u64 = 1 << 10;
const HAS_PERMITS: u64 = 1 << 11;
/// Two bits: 0 for a state that all messages can have.
const JOB_STATE_SHIFT: u32 = 12;
const JOB_STATE: u64 = 0b11 << JOB_STATE_SHIFT;
const HAS_ORIGIN: u64 = 1 << 14;
const SHARES: u64 = 1 << 15;
const HAS_STARTS_BEFORE: u64 = 1 << 16;
const KNOWN: u64 = (1 << 17) - 1;
const RAW: u8 = 1;
const REPLAYED: u8 = 1 << 1;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// May be delivered (on a FIFO queue: once its lane lets it).
    Ready,
    /// Its delay ends at `Head::due`.
    Delayed,
    /// Under a lease that ends at `Head::due`.
    Leased,
    /// Waits for its children.
    Waiting,
    /// Done at `Head::due`, and kept.
    Completed,
    /// Failed for good at `Head::due`, and kept.
    Failed,
}

/// What belongs to a job beside its payload, in rows of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    pub(crate) progress: bool,
    pub(crate) result: bool,
    /// Attempts of the history that were ever written; the last [`crate::api::job::FAILURES_KEPT`] are kept.
    pub(crate) failures: u64,
    /// Number of the first line of the log that is kept, and of the next one.
    pub(crate) logs_from: u64,
    pub(crate) logs_next: u64,
}

/// The right to one start under a limiter, held while the message is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldPermit {
    pub(crate) limiter: LimiterId,
    pub(crate) key: Option<LimitKey>,
    pub(crate) seq: u64,
    pub(crate) cost: u32,
}

pub(crate) type HeldPermits = SmallVec<[HeldPermit; 1]>;

/// What a message is to the limiters of its queue, as far as its door found anything out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// Whether its lane stands for nothing but keys: its sender named no group.
    pub(crate) ungrouped: bool,
    pub(crate) uses: SmallVec<[HeadUse; 1]>,
}

/// What it is to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadUse {
    /// Says which limiter, by which expression: see `QueueState::tags`. It stays true when the queue's limiters change,
    /// and when the message comes to another queue.
    pub(crate) tag: u32,
    pub(crate) key: Option<LimitKey>,
    pub(crate) cost: u32,
}

/// What is known of a message beside its payload.
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the stored form")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) state: State,
    pub(crate) priority: u32,
    /// The fence: how often the message was leased. Only the newest grant may settle it natively.
    pub(crate) grants: u32,
    /// How often it was handed to a receiver: grants less those that could not be handed over.
    pub(crate) receives: u32,
    /// `receives` when it came into this queue: a dead letter starts its count anew.
    pub(crate) receives_before: u32,
    /// `grants` when its starts were last counted anew.
    pub(crate) starts_before: u32,
    /// Reported failures of the worker API.
    pub(crate) failures: u32,
    /// Leases lost by workers of the worker API.
    pub(crate) stalls: u32,
    pub(crate) sent_at: Time,
    /// Length of the payload.
    pub(crate) bytes: u64,
    pub(crate) first_received_at: Option<Time>,
    /// End of the delay or of the lease; the time of the last one for a ready message.
    pub(crate) due: Time,
    pub(crate) lane: Option<Lane>,
    /// Whether it stands in its lane. On FIFO queues all do; on standard queues those do not that came before there were
    /// lanes on these.
    pub(crate) in_lane: bool,
    /// Name of the queue that it was moved from as a dead letter.
    pub(crate) source: Option<Arc<str>>,
    /// Whether it stands before all others of its priority, the newest first.
    pub(crate) lifo: bool,
    /// Whether the lease is a worker's. Leased messages only.
    pub(crate) worker: bool,
    /// Whether somebody asked for it to be cancelled.
    pub(crate) cancel: bool,
    /// Whether it has a row of options, see `spec`.
    pub(crate) has_spec: bool,
    /// Whether it has, or had, children.
    pub(crate) has_children: bool,
    /// How it failed for good. Failed messages only.
    pub(crate) failed: Option<FailureKind>,
    /// When the newest attempt of a worker began.
    pub(crate) started_at: Option<Time>,
    /// When the attempt has to end. Leased messages only.
    pub(crate) timeout_at: Option<Time>,
    /// It fails if it was not started by then. There is a row of what is due for it until it was. When it has finished: it
    /// is removed then, whatever its queue keeps.
    pub(crate) expires_at: Option<Time>,
    pub(crate) extras: Extras,
    /// What it is to the limiters of its queue.
    pub(crate) limits: Option<Box<HeadLimits>>,
    /// What it holds of limiters. Leased messages only.
    pub(crate) permits: HeldPermits,
    /// What it was published as, where it came by a subscription.
    pub(crate) origin: Option<Origin>,
    /// Whether its payload is that of its publication, which it shares with others.
    pub(crate) shares: bool,
}

impl Head {
    pub(crate) fn write(&self) -> Writer {
        let mut flags = match self.state {
            State::Ready => 0,
            State::Delayed => 1,
            State::Leased => 2,
            State::Waiting | State::Completed | State::Failed => STATE,
        };
        if self.lane.is_some() {
            flags |= HAS_LANE;
        }
        if self.in_lane {
            flags |= IN_LANE;
        }
        if self.source.is_some() {
            flags |= HAS_SOURCE;
        }
        if self.first_received_at.is_some() {
            flags |= HAS_RECEIVED;
        }
        let more = self.more();
        if more != 0 {
            flags |= MORE;
        }
        let mut writer = Writer::new(VERSION);
        writer.byte(flags);
        writer.number(u64::from(self.priority));
        writer.time(self.sent_at);
        writer.time(self.due);
        writer.number(u64::from(self.grants));
        writer.number(u64::from(self.receives));
        writer.number(u64::from(self.receives_before));
        writer.number(u64::from(self.failures));
        writer.number(u64::from(self.stalls));
        writer.number(self.bytes);
        if let Some(at) = self.first_received_at {
            writer.time(at);
        }
        if let Some(lane) = self.lane {
            writer.fixed(&lane.0);
        }
        if let Some(source) = &self.source {
            writer.bytes(source.as_bytes());
        }
        if more != 0 {
            self.write_more(&mut writer, more);
        }
        writer
    }

    fn more(&self) -> u64 {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let job_state = match self.state {
            State::Ready | State::Delayed | State::Leased => 0,
            State::Waiting => 1,
            State::Completed => 2,
            State::Failed => 3,
        };
        flag(LIFO, self.lifo)
            | flag(WORKER, self.worker)
            | flag(CANCEL, self.cancel)
            | flag(HAS_SPEC, self.has_spec)
            | flag(HAS_CHILDREN, self.has_children)
            | flag(HAS_FAILED, self.failed.is_some())
            | flag(HAS_STARTED, self.started_at.is_some())
            | flag(HAS_TIMEOUT, self.timeout_at.is_some())
            | flag(HAS_EXPIRY, self.expires_at.is_some())
            | flag(HAS_EXTRAS, self.extras != Extras::default())
            | flag(HAS_LIMITS, self.limits.is_some())
            | flag(HAS_PERMITS, !self.permits.is_empty())
            | flag(HAS_ORIGIN, self.origin.is_some())
            | flag(SHARES, self.shares)
            | flag(HAS_STARTS_BEFORE, self.starts_before > 0)
            | job_state << JOB_STATE_SHIFT
    }

    fn write_more(&self, writer: &mut Writer, more: u64) {
        writer.number(more);
        if let Some(kind) = self.failed {
            writer.byte(failure_byte(kind));
        }
        for time in [self.started_at, self.timeout_at, self.expires_at].into_iter().flatten() {
            writer.time(time);
        }
        if more & HAS_EXTRAS != 0 {
            writer.byte(u8::from(self.extras.progress) | u8::from(self.extras.result) << 1);
            writer.number(self.extras.failures);
            writer.number(self.extras.logs_from);
            writer.number(self.extras.logs_next);
        }
        if let Some(limits) = &self.limits {
            writer.byte(u8::from(limits.ungrouped));
            writer.number(limits.uses.len() as u64);
            for HeadUse { tag, key, cost } in &limits.uses {
                writer.number(u64::from(*tag));
                write_key(writer, *key);
                writer.number(u64::from(*cost));
            }
        }
        if !self.permits.is_empty() {
            writer.number(self.permits.len() as u64);
            for permit in &self.permits {
                writer.number(permit.limiter.0);
                write_key(writer, permit.key);
                writer.number(permit.seq);
                writer.number(u64::from(permit.cost));
            }
        }
        if let Some(Origin { publication, subscription, raw, replayed }) = self.origin {
            writer.number(publication);
            writer.number(subscription.0);
            writer.byte(if raw { RAW } else { 0 } | if replayed { REPLAYED } else { 0 });
        }
        if self.starts_before > 0 {
            writer.number(u64::from(self.starts_before));
        }
    }

    fn read_more(&mut self, reader: &mut Reader<'_>) -> Result<(), Unreadable> {
        let more = reader.number()?;
        if more == 0 || more & !KNOWN != 0 {
            return Err(reader.damaged());
        }
        self.state = match (self.state, (more & JOB_STATE) >> JOB_STATE_SHIFT) {
            (state, 0) if state != State::Waiting => state,
            (State::Waiting, 1) => State::Waiting,
            (State::Waiting, 2) => State::Completed,
            (State::Waiting, 3) => State::Failed,
            _ => return Err(reader.damaged()),
        };
        self.lifo = more & LIFO != 0;
        self.worker = more & WORKER != 0;
        self.cancel = more & CANCEL != 0;
        self.has_spec = more & HAS_SPEC != 0;
        self.has_children = more & HAS_CHILDREN != 0;
        if more & HAS_FAILED != 0 {
            let byte = reader.byte()?;
            self.failed = Some(read_failure(byte).ok_or_else(|| reader.damaged())?);
        }
        let mut time = |flag| if more & flag == 0 { Ok(None) } else { reader.time().map(Some) };
        self.started_at = time(HAS_STARTED)?;
        self.timeout_at = time(HAS_TIMEOUT)?;
        self.expires_at = time(HAS_EXPIRY)?;
        if more & HAS_EXTRAS != 0 {
            let flags = reader.byte()?;
            self.extras = Extras {
                progress: flags & 1 != 0,
                result: flags & 2 != 0,
                failures: reader.number()?,
                logs_from: reader.number()?,
                logs_next: reader.number()?,
            };
        }
        if more & HAS_LIMITS != 0 {
            let mut limits = HeadLimits { ungrouped: reader.byte()? != 0, ..HeadLimits::default() };
            for _ in 0..reader.number()? {
                limits.uses.push(HeadUse { tag: reader.small()?, key: read_key(reader)?, cost: reader.small()? });
            }
            self.limits = Some(Box::new(limits));
        }
        if more & HAS_PERMITS != 0 {
            for _ in 0..reader.number()? {
                self.permits.push(HeldPermit {
                    limiter: LimiterId(reader.number()?),
                    key: read_key(reader)?,
                    seq: reader.number()?,
                    cost: reader.small()?,
                });
            }
        }
        if more & HAS_ORIGIN != 0 {
            let (publication, subscription) = (reader.number()?, SubscriptionId(reader.number()?));
            let flags = reader.byte()?;
            if flags & !(RAW | REPLAYED) != 0 {
                return Err(reader.damaged());
            }
            let (raw, replayed) = (flags & RAW != 0, flags & REPLAYED != 0);
            self.origin = Some(Origin { publication, subscription, raw, replayed });
        }
        self.shares = more & SHARES != 0;
        if self.shares && self.origin.is_none() {
            return Err(reader.damaged());
        }
        if more & HAS_STARTS_BEFORE != 0 {
            self.starts_before = reader.small()?;
        }
        Ok(())
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let flags = reader.byte()?;
        let state = match flags & STATE {
            0 => State::Ready,
            1 => State::Delayed,
            2 => State::Leased,
            // One that only jobs can have: the further flags say which.
            _ if flags & MORE != 0 => State::Waiting,
            _ => return Err(reader.damaged()),
        };
        let mut head = Head {
            state,
            priority: reader.small()?,
            sent_at: reader.time()?,
            due: reader.time()?,
            grants: reader.small()?,
            receives: reader.small()?,
            receives_before: reader.small()?,
            failures: reader.small()?,
            stalls: reader.small()?,
            bytes: reader.number()?,
            first_received_at: if flags & HAS_RECEIVED == 0 { None } else { Some(reader.time()?) },
            lane: if flags & HAS_LANE == 0 { None } else { Some(Lane(reader.fixed()?)) },
            in_lane: flags & IN_LANE != 0,
            source: if flags & HAS_SOURCE == 0 { None } else { Some(reader.text()?.into()) },
            ..Head::new(state, Time(0))
        };
        if flags & MORE != 0 {
            if reader.version() < 2 {
                return Err(reader.damaged());
            }
            head.read_more(&mut reader)?;
        }
        reader.end()?;
        Ok(head)
    }

    /// A message that nothing is known of but its state and when it was sent.
    pub(crate) fn new(state: State, sent_at: Time) -> Self {
        Self {
            state,
            priority: 0,
            grants: 0,
            receives: 0,
            receives_before: 0,
            starts_before: 0,
            failures: 0,
            stalls: 0,
            sent_at,
            bytes: 0,
            first_received_at: None,
            due: sent_at,
            lane: None,
            in_lane: false,
            source: None,
            lifo: false,
            worker: false,
            cancel: false,
            has_spec: false,
            has_children: false,
            failed: None,
            started_at: None,
            timeout_at: None,
            expires_at: None,
            extras: Extras::default(),
            limits: None,
            permits: HeldPermits::new(),
            origin: None,
            shares: false,
        }
    }

    /// The publication whose payload it shares.
    pub(crate) fn shared(&self) -> Option<u64> {
        self.origin.filter(|_| self.shares).map(|origin| origin.publication)
    }

    /// How often work on it was started, since that was last counted anew.
    pub(crate) fn starts(&self) -> u32 {
        self.grants.saturating_sub(self.starts_before)
    }

    /// How often this queue handed it out.
    pub(crate) fn receives_here(&self) -> u32 {
        self.receives.saturating_sub(self.receives_before)
    }
}

pub(crate) fn failure_byte(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Reported => 0,
        FailureKind::TimedOut => 1,
        FailureKind::Stalled => 2,
        FailureKind::Cancelled => 3,
        FailureKind::Expired => 4,
        FailureKind::ChildFailed => 5,
    }
}

pub(crate) fn read_failure(byte: u8) -> Option<FailureKind> {
    let kinds = [
        FailureKind::Reported,
        FailureKind::TimedOut,
        FailureKind::Stalled,
        FailureKind::Cancelled,
        FailureKind::Expired,
        FailureKind::ChildFailed,
    ];
    kinds.into_iter().find(|&kind| failure_byte(kind) == byte)
}

pub(crate) fn write_key(writer: &mut Writer, key: Option<LimitKey>) {
    if let Some(key) = key {
        writer.byte(1);
        writer.fixed(&key.0);
    } else {
        writer.byte(0);
    }
}

pub(crate) fn read_key(reader: &mut Reader<'_>) -> Result<Option<LimitKey>, Unreadable> {
    match reader.byte()? {
        0 => Ok(None),
        1 => Ok(Some(LimitKey(reader.fixed()?))),
        _ => Err(reader.damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let plain = Head { priority: 3, bytes: 9, ..Head::new(State::Ready, Time(5)) };
        let states = [State::Ready, State::Delayed, State::Leased, State::Waiting, State::Completed, State::Failed];
        for state in states {
            let plain = Head { state, ..plain.clone() };
            let full = Head {
                lane: Some(Lane([7; 16])),
                in_lane: true,
                source: Some("a".into()),
                first_received_at: Some(Time(8)),
                starts_before: 3,
                lifo: true,
                worker: true,
                cancel: true,
                has_spec: true,
                has_children: true,
                failed: Some(FailureKind::Stalled),
                started_at: Some(Time(6)),
                timeout_at: Some(Time(7)),
                expires_at: Some(Time::NEVER),
                extras: Extras { progress: true, result: true, failures: 3, logs_from: 4, logs_next: 1_000 },
                limits: Some(Box::new(HeadLimits {
                    ungrouped: true,
                    uses: SmallVec::from_iter([
                        HeadUse { tag: 5, key: None, cost: 1 },
                        HeadUse { tag: u32::MAX, key: Some(LimitKey([1; 16])), cost: 70_000 },
                    ]),
                })),
                permits: HeldPermits::from_iter([HeldPermit { limiter: LimiterId(4), key: None, seq: 9, cost: 1 }]),
                origin: Some(Origin {
                    publication: 70_000,
                    subscription: SubscriptionId(3),
                    raw: true,
                    replayed: true,
                }),
                shares: true,
                ..plain.clone()
            };
            for head in [plain, full] {
                assert_eq!(Head::read(head.write().finish()).as_ref(), Ok(&head));
            }
        }
    }

    #[test]
    fn a_message_without_a_job_is_as_short_as_before() {
        let head = Head::new(State::Ready, Time(1_700_000_000_000));
        assert_eq!(head.write().finish().len(), 21);
    }
}
