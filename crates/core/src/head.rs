//! The head of a message: what changes over its life. Small, and rewritten on each transition.

use std::sync::Arc;

use crate::api::Lane;
use crate::codec::{Reader, Unreadable, Writer};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a message's head";

const STATE: u8 = 0b0000_0011;
const HAS_LANE: u8 = 0b0000_0100;
const HAS_SOURCE: u8 = 0b0000_1000;
const HAS_RECEIVED: u8 = 0b0001_0000;
const IN_LANE: u8 = 0b0010_0000;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// May be delivered (on a FIFO queue: once its lane lets it).
    Ready,
    /// Its delay ends at `Head::due`.
    Delayed,
    /// Under a lease that ends at `Head::due`.
    Leased,
}

/// What is known of a message beside its payload.
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
}

impl Head {
    pub(crate) fn write(&self) -> Writer {
        let mut flags = match self.state {
            State::Ready => 0,
            State::Delayed => 1,
            State::Leased => 2,
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
        writer
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let flags = reader.byte()?;
        let state = match flags & STATE {
            0 => State::Ready,
            1 => State::Delayed,
            2 => State::Leased,
            _ => return Err(reader.damaged()),
        };
        let head = Head {
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
        };
        reader.end()?;
        Ok(head)
    }

    /// How often this queue handed it out.
    pub(crate) fn receives_here(&self) -> u32 {
        self.receives.saturating_sub(self.receives_before)
    }
}
