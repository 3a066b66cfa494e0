//! A limiter's terms, made ready to be asked often, and the row that they are stored in.

use super::ring::SLOTS_MAX;
use super::terms::{Counts, RESERVES_MAX, Refused, Reserve, Terms, Window};
use crate::codec::{Reader, Unreadable, Writer};
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a limiter";

/// Cut-off fractions of a millisecond, at the release of one start and at the grant of the next.
const TICK_MS: u64 = 1;

/// Nanoseconds in a millisecond.
pub(super) const MS_NS: u64 = 1_000_000;

/// What a live change to longer windows takes the starts for that are no longer known.
///
/// A key remembers its starts for as long as its longest window. After a change to a longer one it cannot know what left
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They fill the window: the promise holds over the change too, but a key may wait for as long as the windows grew.
    Full,
    /// They were none: intervals that began before the change may hold too many. Nobody waits for longer than it takes
    /// what was granted before to leave, since that counts.
    Empty,
}

/// A limiter: its terms, and what their changes in the past mean for its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    terms: Terms,
    past: Past,
    rules: Vec<Rule>,
    thresholds: Classes<Option<u32>>,
    concurrency: Ceilings,
}

/// What the changes of the past mean for the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Past {
    /// Counts the changes, so that a key notices.
    revision: u64,
    /// When the terms were changed last; zero if they never were.
    changed_at: Time,
    /// A key without a state may have had starts that were released up to here, under the terms before.
    forgotten_at: Time,
    /// What was forgotten up to here is taken for nothing.
    forgiven_at: Time,
}

/// A value for each reserve.
pub(super) type Classes<T> = [T; RESERVES_MAX];

/// How much everybody may use, and how much of it those who are not meant by the first reserve, by the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceilings {
    pub(super) all: u64,
    pub(super) later: Classes<u64>,
}

/// A window, ready to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) window: Window,
    /// How long a slot is held after its release.
    pub(super) hold_ms: u64,
    /// A slot of the ring takes no further start once it holds so much.
    pub(super) quantum: u64,
    pub(super) ceilings: Ceilings,
    /// Share of the window's length that belongs to one unit, for pacing.
    pub(super) unit_ns: u64,
}

impl Limit {
    /// A limiter of which nothing has started so far.
    pub fn new(terms: Terms) -> Result<Self, Refused> {
        Ok(Self::ready(terms.checked()?, Past::default()))
    }

    /// Changes the terms. What is laxer counts at once; what is stricter counts with the starts of the past.
    pub fn change(&mut self, terms: Terms, now: Time, unknown: Unknown) -> Result<(), Refused> {
        let terms = terms.checked()?;
        let past = Past {
            revision: self.past.revision + 1,
            changed_at: now,
            forgotten_at: self.forgotten_at(now),
            forgiven_at: match unknown {
                // What left in the millisecond of a change that forgave, and after it, is not forgiven.
                Unknown::Full => self.past.forgiven_at.min(Time(now.0.saturating_sub(1))),
                Unknown::Empty => now,
            },
        };
        *self = Self::ready(terms, past);
        Ok(())
    }

    /// What was asked for, with the reserves in the order of their priorities.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How often the terms were changed.
    pub fn revision(&self) -> u64 {
        self.past.revision
    }

    /// So long after its last start, and the end of its last pause, a key that nothing runs under has nothing to say.
    pub(crate) fn longest_ms(&self) -> u64 {
        let longest = self.rules.iter().map(|rule| rule.hold_ms).max().unwrap_or(0);
        longest.saturating_add(self.terms.slow_start_ms)
    }

    fn ready(terms: Terms, past: Past) -> Self {
        let rules = terms.windows.iter().map(|window| Rule::new(*window, &terms)).collect();
        let mut thresholds = [None; RESERVES_MAX];
        for (threshold, reserve) in thresholds.iter_mut().zip(&terms.reserves) {
            *threshold = Some(reserve.priority_max);
        }
        let concurrency = Ceilings::new(terms.concurrency.map_or(u64::MAX, u64::from), &terms.reserves);
        Self { terms, past, rules, thresholds, concurrency }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn thresholds(&self) -> Classes<Option<u32>> {
        self.thresholds
    }

    /// Whether a start of `priority` is held to the ceiling of each reserve.
    pub(super) fn held(&self, priority: u32) -> Classes<bool> {
        self.thresholds.map(|threshold| threshold.is_some_and(|priority_max| priority > priority_max))
    }

    pub(super) fn concurrency(&self) -> Ceilings {
        self.concurrency
    }

    pub(super) fn changed_at(&self) -> Time {
        self.past.changed_at
    }

    /// Up to when a key that has no state at `now` may have had starts that were released.
    pub(super) fn forgotten_at(&self, now: Time) -> Time {
        // It has nothing in any window.
        let longest = self.rules.iter().map(|rule| rule.hold_ms).max().unwrap_or(0);
        self.past.forgotten_at.max(Time(now.0.saturating_sub(longest)))
    }

    pub(super) fn forgiven_at(&self) -> Time {
        self.past.forgiven_at
    }

    /// The share of time that belongs to a start of `cost`, by the window that gives it the most.
    pub(super) fn interval_ns(&self, cost: u32) -> u64 {
        self.rules.iter().map(|rule| rule.unit_ns.saturating_mul(rule.weight(cost))).max().unwrap_or(0)
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        self.write().finish().to_vec()
    }

    pub(crate) fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        let Past { revision, changed_at, forgotten_at, forgiven_at } = self.past;
        writer.number(revision);
        for time in [changed_at, forgotten_at, forgiven_at] {
            writer.time(time);
        }
        let Terms { windows, concurrency, pacing, reserves, guard_ms, slow_start_ms } = &self.terms;
        writer.number(windows.len() as u64);
        for window in windows {
            write_counts(&mut writer, window.counts);
            writer.number(u64::from(window.max));
            writer.number(window.per_ms);
        }
        writer.number(u64::from(concurrency.unwrap_or(0)));
        writer.byte(u8::from(*pacing));
        writer.number(reserves.len() as u64);
        for reserve in reserves {
            writer.number(u64::from(reserve.priority_max));
            writer.number(u64::from(reserve.share));
        }
        writer.number(*guard_ms);
        writer.number(*slow_start_ms);
        writer
    }

    /// Reads the stored form. Terms that [`Limit::new`] would refuse are damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let damaged = reader.damaged();
        let past = Past {
            revision: reader.number()?,
            changed_at: reader.time()?,
            forgotten_at: reader.time()?,
            forgiven_at: reader.time()?,
        };
        let mut terms = Terms::default();
        for _ in 0..reader.number()? {
            let counts = read_counts(&mut reader)?;
            terms.windows.push(Window { counts, max: reader.small()?, per_ms: reader.number()? });
        }
        terms.concurrency = Some(reader.small()?).filter(|&concurrency| concurrency > 0);
        terms.pacing = reader.byte()? != 0;
        for _ in 0..reader.number()? {
            terms.reserves.push(Reserve { priority_max: reader.small()?, share: reader.small()? });
        }
        terms.guard_ms = reader.number()?;
        terms.slow_start_ms = reader.number()?;
        reader.end()?;
        let terms = terms.checked().map_err(|_| damaged)?;
        Ok(Self::ready(terms, past))
    }
}

impl Rule {
    fn new(window: Window, terms: &Terms) -> Self {
        let hold_ms = window.per_ms + terms.guard_ms + TICK_MS;
        let max = u64::from(window.max);
        let quantum = max.div_ceil(SLOTS_MAX as u64);
        Self {
            window,
            hold_ms,
            quantum,
            ceilings: Ceilings::new(max, &terms.reserves),
            // Of every slot all but one may come back late, and the pace must not meet a full window. A year in
            // nanoseconds fits 500 times.
            unit_ns: (hold_ms * MS_NS).div_ceil(max + 1 - quantum),
        }
    }

    /// What a start of `cost` adds to the window.
    pub(super) fn weight(&self, cost: u32) -> u64 {
        match self.window.counts {
            Counts::Starts => 1,
            Counts::Units => u64::from(cost),
        }
    }
}

impl Ceilings {
    fn new(all: u64, reserves: &[Reserve]) -> Self {
        let mut later = [all; RESERVES_MAX];
        let mut shares = 0;
        for (ceiling, reserve) in later.iter_mut().zip(reserves) {
            shares += u64::from(reserve.share);
            if all < u64::MAX {
                *ceiling = (all - (all * shares).div_ceil(100)).max(1);
            }
        }
        Self { all, later }
    }

    /// The lowest ceiling that a start held to `held` has to stay under.
    pub(super) fn lowest(&self, held: Classes<bool>) -> u64 {
        self.later.iter().zip(held).filter(|&(_, held)| held).map(|(&ceiling, _)| ceiling).min().unwrap_or(self.all)
    }
}

pub(super) fn write_counts(writer: &mut Writer, counts: Counts) {
    writer.byte(match counts {
        Counts::Starts => 0,
        Counts::Units => 1,
    });
}

pub(super) fn read_counts(reader: &mut Reader<'_>) -> Result<Counts, Unreadable> {
    match reader.byte()? {
        0 => Ok(Counts::Starts),
        1 => Ok(Counts::Units),
        _ => Err(reader.damaged()),
    }
}
