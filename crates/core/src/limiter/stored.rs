//! The row of a key: small, because slots are written as differences, and because most of them are alike.

use super::key::KeyState;
use super::limit::{Classes, read_counts, write_counts};
use super::ring::{Ring, SLOTS_MAX, Slot};
use super::terms::{Counts, PER_MS_MAX, RESERVES_MAX, UNITS_MAX, WINDOWS_MAX};
use crate::codec::{Reader, Unreadable, Writer};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a limiter's key";

/// Flags of a slot, below its time.
const LIKE_LAST: u64 = 1;
const OPEN: u64 = 2;
/// Every unit of the slot before was a start, so that the number of this slot's first one follows from them.
const DENSE: u64 = 4;
const FLAG_BITS: u32 = 3;

impl KeyState {
    /// The stored form: two or three bytes for each slot of a window, rarely more.
    pub fn encode(&self) -> Vec<u8> {
        self.write().finish().to_vec()
    }

    pub(crate) fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        writer.number(self.revision);
        for threshold in self.thresholds {
            writer.number(threshold.map_or(0, |priority_max| u64::from(priority_max) + 1));
        }
        writer.number(self.next_seq);
        writer.number(self.released_below);
        writer.number(self.unreleased);
        writer.number(self.in_flight);
        for sum in self.in_flight_held {
            writer.number(sum);
        }
        writer.time(self.paused_until);
        writer.number(self.paced_at_ns);
        writer.number(u64::from(self.paced_cost));
        writer.number(self.rings.len() as u64);
        for ring in &self.rings {
            write_ring(&mut writer, ring);
        }
        writer
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let revision = reader.number()?;
        let mut thresholds = [None; RESERVES_MAX];
        for threshold in &mut thresholds {
            if let Some(priority_max) = reader.number()?.checked_sub(1) {
                *threshold = Some(u32::try_from(priority_max).map_err(|_| reader.damaged())?);
            }
        }
        let mut key = KeyState {
            revision,
            thresholds,
            rings: Vec::new(),
            next_seq: reader.number()?,
            released_below: reader.number()?,
            unreleased: reader.number()?,
            in_flight: reader.number()?,
            in_flight_held: [0; RESERVES_MAX],
            paused_until: Time(0),
            paced_at_ns: 0,
            paced_cost: 0,
        };
        for sum in &mut key.in_flight_held {
            *sum = reader.number()?;
        }
        key.paused_until = reader.time()?;
        key.paced_at_ns = reader.number()?;
        key.paced_cost = reader.small()?;
        let rings = reader.number()?;
        if rings > WINDOWS_MAX as u64 {
            return Err(reader.damaged());
        }
        for _ in 0..rings {
            key.rings.push(read_ring(&mut reader)?);
        }
        reader.end()?;
        Ok(key)
    }
}

fn write_ring(writer: &mut Writer, ring: &Ring) {
    write_counts(writer, ring.counts);
    writer.number(ring.per_ms);
    writer.time(ring.forgotten_at);
    writer.number(ring.first);
    writer.number(ring.strangers);
    writer.number(ring.slots().len() as u64);
    let mut last = Slot::default();
    for slot in ring.slots() {
        // A slot is let go after those before it, so it loses nothing if it counts as released no earlier.
        let at = slot.at.max(last.at);
        let like_last = (slot.units, slot.held) == (last.units, last.held);
        let dense = slot.first == last.first + u64::from(last.units);
        let flags = [(like_last, LIKE_LAST), (slot.open > 0, OPEN), (dense, DENSE)];
        let flags = flags.iter().map(|&(set, flag)| if set { flag } else { 0 }).sum::<u64>();
        // Times past the end of the field are never reached; they are held as long as it can say.
        let since = (at.0 - last.at.0).min(u64::MAX >> FLAG_BITS);
        writer.number(since << FLAG_BITS | flags);
        if !dense {
            writer.number(slot.first - last.first);
        }
        if !like_last {
            writer.number(u64::from(slot.units));
            for held in slot.held {
                writer.number(u64::from(held));
            }
        }
        if slot.open > 0 {
            writer.number(u64::from(slot.open));
        }
        last = Slot { at: Time(last.at.0 + since), ..*slot };
    }
}

fn read_ring(reader: &mut Reader<'_>) -> Result<Ring, Unreadable> {
    let counts: Counts = read_counts(reader)?;
    let per_ms = reader.number()?;
    let mut ring = Ring::new(counts, per_ms, reader.time()?);
    ring.first = reader.number()?;
    ring.strangers = reader.number()?;
    let slots = reader.number()?;
    if slots > SLOTS_MAX as u64 || !(1..=PER_MS_MAX).contains(&per_ms) {
        return Err(reader.damaged());
    }
    let mut last = Slot::default();
    let mut used = 0;
    for _ in 0..slots {
        let word = reader.number()?;
        let at = last.at.0.checked_add(word >> FLAG_BITS).ok_or_else(|| reader.damaged())?;
        let starts = if word & DENSE == 0 { reader.number()? } else { u64::from(last.units) };
        let first = last.first.checked_add(starts).ok_or_else(|| reader.damaged())?;
        let mut slot = Slot { at: Time(at), first, open: 0, ..last };
        if word & LIKE_LAST == 0 {
            slot.units = reader.small()?;
            slot.held = read_held(reader, slot.units)?;
        }
        if word & OPEN != 0 {
            slot.open = reader.small()?;
        }
        used += u64::from(slot.units);
        if used > 4 * u64::from(UNITS_MAX) {
            return Err(reader.damaged());
        }
        ring.restore(slot);
        last = slot;
    }
    Ok(ring)
}

fn read_held(reader: &mut Reader<'_>, units: u32) -> Result<Classes<u32>, Unreadable> {
    let mut all = [0; RESERVES_MAX];
    for held in &mut all {
        *held = reader.small()?;
        if *held > units {
            return Err(reader.damaged());
        }
    }
    Ok(all)
}
