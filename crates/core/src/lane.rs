//! The record of a lane: what a queue knows of one message group. It lives while the lane has messages.

use crate::api::limit::LimiterId;
use crate::codec::{Reader, Unreadable, Writer};
use crate::head::{read_key, write_key};
use crate::keys::OneKey;
use crate::place::Place;

/// Version 2 knows noisy lanes, version 3 messages that come before all others of their priority, version 4 lanes that
/// wait for limiters.
const VERSION: u8 = 4;
const WHAT: &str = "a lane";

const NOISY: u8 = 1;
const UNGROUPED: u8 = 2;
const PARKED: u8 = 4;

/// One lane's counts, and the row by which it offers itself to receivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneRecord {
    /// Messages under a lease. On a FIFO queue nothing more of the lane comes out while there is one.
    pub(crate) leased: u64,
    /// Messages that wait: ready or delayed on a FIFO queue, ready on a standard queue.
    pub(crate) waiting: u64,
    /// No message with a smaller id waits: where a walk to the first one starts. FIFO queues only.
    pub(crate) first: u64,
    /// Place of the message by which the lane stands among the lanes that may run.
    pub(crate) head: Option<Place>,
    /// Whether it stands among those that come after the others. Standard queues only.
    pub(crate) noisy: bool,
    /// Whether it stands for keys of limiters and for no group, so that it is never noisy. Standard queues only.
    pub(crate) ungrouped: bool,
    /// The key of a limiter for which its head waits. It stands in the line for that then, not among those that may run.
    pub(crate) parked: Option<OneKey>,
}

impl LaneRecord {
    pub(crate) fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(self.leased);
        writer.number(self.waiting);
        writer.number(self.first);
        if let Some(head) = self.head {
            writer.byte(if head.is_lifo() { 2 } else { 1 });
            writer.number(u64::from(head.priority));
            writer.number(head.id());
        } else {
            writer.byte(0);
        }
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        writer.byte(flag(NOISY, self.noisy) | flag(UNGROUPED, self.ungrouped) | flag(PARKED, self.parked.is_some()));
        if let Some((limiter, key)) = self.parked {
            writer.number(limiter.0);
            write_key(&mut writer, key);
        }
        writer
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let mut lane = LaneRecord {
            leased: reader.number()?,
            waiting: reader.number()?,
            first: reader.number()?,
            head: match reader.byte()? {
                0 => None,
                1 => Some(Place::new(reader.small()?, reader.number()?, false)),
                2 => Some(Place::new(reader.small()?, reader.number()?, true)),
                _ => return Err(reader.damaged()),
            },
            ..LaneRecord::default()
        };
        if reader.version() >= 2 {
            let flags = reader.byte()?;
            if flags & !(NOISY | UNGROUPED | PARKED) != 0 {
                return Err(reader.damaged());
            }
            lane.noisy = flags & NOISY != 0;
            lane.ungrouped = flags & UNGROUPED != 0;
            if flags & PARKED != 0 {
                lane.parked = Some((LimiterId(reader.number()?), read_key(&mut reader)?));
            }
        }
        reader.end()?;
        Ok(lane)
    }
}
