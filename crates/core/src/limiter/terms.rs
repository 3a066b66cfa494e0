//! What somebody asks of a limiter: plain data, and what of it is refused.

/// Windows of one limiter at most. Each costs a ring for every busy key.
pub const WINDOWS_MAX: usize = 4;
/// Reserves of one limiter at most: three classes.
pub const RESERVES_MAX: usize = 2;
/// `max` of a window, and the cost of one start, at most.
pub const UNITS_MAX: u32 = 1_000_000_000;
/// `per_ms` of a window at most: 366 days.
pub const PER_MS_MAX: u64 = 366 * 86_400_000;
/// Starts at once at most.
pub const CONCURRENCY_MAX: u32 = 1_000_000_000;
/// `guard_ms` at most: an hour.
pub const GUARD_MS_MAX: u64 = 3_600_000;
/// `slow_start_ms` at most: a day.
pub const SLOW_START_MS_MAX: u64 = 86_400_000;

/// What a window adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// One for each start, whatever it costs.
    Starts,
    /// The cost of each start, corrected when it is settled.
    Units,
}

/// At most `max` in any interval of `per_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Starts or units, 1 to [`UNITS_MAX`].
    pub max: u32,
    /// Length in milliseconds, 1 to [`PER_MS_MAX`].
    pub per_ms: u64,
    /// What is added up.
    pub counts: Counts,
}

/// A part of every window, and of the concurrency, that is kept for urgent starts.
///
/// Starts of a later priority together never use it; urgent ones may use all the rest too. What is kept is rounded up to
/// whole units, but something is always left for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Kept for priorities up to this one; 0 is the most urgent.
    pub priority_max: u32,
    /// Percent of the budget. The shares of all reserves add up to 99 at most.
    pub share: u32,
}

/// What somebody asks of a limiter. Nothing asked is nothing limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Windows that all hold at once, [`WINDOWS_MAX`] at most.
    pub windows: Vec<Window>,
    /// Starts that are not finished, 1 to [`CONCURRENCY_MAX`].
    pub concurrency: Option<u32>,
    /// Whether starts are spread evenly over the windows instead of leaving as soon as there is room. A start that is late
    /// by up to ten milliseconds, or a tenth of the distance, does not shift those after it.
    pub pacing: bool,
    /// Shares kept for urgent starts, [`RESERVES_MAX`] at most.
    pub reserves: Vec<Reserve>,
    /// Milliseconds added to every `per_ms`, for what the network may add between here and there.
    pub guard_ms: u64,
    /// For so long after a pause the key goes from a tenth of its pace and concurrency to all of it; 0 for at once.
    pub slow_start_ms: u64,
}

/// Terms that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A number is too small or too large.
    #[error("{field} must be from {min} to {max}, and is {found}")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
        /// The number found.
        found: u64,
    },
    /// A list is too long.
    #[error("{field} may have {max} entries, and has {found}")]
    TooMany {
        /// Which list.
        field: &'static str,
        /// Entries allowed.
        max: usize,
        /// Entries found.
        found: usize,
    },
    /// Two reserves are for the same priorities.
    #[error("two reserves have the priority_max {priority_max}")]
    Repeated {
        /// Their priority.
        priority_max: u32,
    },
}

impl Refused {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Refused::OutOfRange { .. } => "limiter.out_of_range",
            Refused::TooMany { .. } => "limiter.too_many",
            Refused::Repeated { .. } => "limiter.reserve_repeated",
        }
    }
}

impl Terms {
    /// The same terms with their reserves in order, if they can be kept.
    pub(super) fn checked(mut self) -> Result<Self, Refused> {
        few("windows", self.windows.len(), WINDOWS_MAX)?;
        few("reserves", self.reserves.len(), RESERVES_MAX)?;
        for window in &self.windows {
            within("windows.max", u64::from(window.max), 1, u64::from(UNITS_MAX))?;
            within("windows.per_ms", window.per_ms, 1, PER_MS_MAX)?;
        }
        if let Some(concurrency) = self.concurrency {
            within("concurrency", u64::from(concurrency), 1, u64::from(CONCURRENCY_MAX))?;
        }
        within("guard_ms", self.guard_ms, 0, GUARD_MS_MAX)?;
        within("slow_start_ms", self.slow_start_ms, 0, SLOW_START_MS_MAX)?;
        self.reserves.sort_by_key(|reserve| reserve.priority_max);
        let mut before = None;
        let mut shares = 0;
        for reserve in &self.reserves {
            within("reserves.share", u64::from(reserve.share), 1, 99)?;
            shares += u64::from(reserve.share);
            if before.replace(reserve.priority_max) == Some(reserve.priority_max) {
                return Err(Refused::Repeated { priority_max: reserve.priority_max });
            }
        }
        within("the sum of reserves.share", shares, 0, 99)?;
        Ok(self)
    }
}

fn within(field: &'static str, found: u64, min: u64, max: u64) -> Result<(), Refused> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(Refused::OutOfRange { field, min, max, found }) }
}

fn few(field: &'static str, found: usize, max: usize) -> Result<(), Refused> {
    if found <= max { Ok(()) } else { Err(Refused::TooMany { field, max, found }) }
}
