//! Time as the engine knows it: a value that enters with each call.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch, in engine time, which never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Later than every deadline.
    pub const NEVER: Time = Time(u64::MAX);

    /// This time and `duration` more, [`Time::NEVER`] at the latest. Fractions of a millisecond are rounded up, so that
    /// nothing ever happens early.
    #[must_use]
    pub fn after(self, duration: Duration) -> Time {
        let ms = duration.as_nanos().div_ceil(1_000_000);
        Time(self.0.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it was not.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
