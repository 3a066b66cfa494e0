//! Durations, collected and summed up.

use std::time::Duration;

/// Durations in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    nanos: Vec<u64>,
}

impl Samples {
    pub(crate) fn push(&mut self, duration: Duration) {
        self.nanos.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn extend(&mut self, other: Samples) {
        self.nanos.extend(other.nanos);
    }

    pub(crate) fn len(&self) -> usize {
        self.nanos.len()
    }

    /// The duration that `percent` of all do not exceed; zero if there are none.
    pub(crate) fn percentile(&mut self, percent: f64) -> Duration {
        self.nanos.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a rank among some millions, not below 0"
        )]
        let rank = (self.nanos.len() as f64 * percent / 100.0).ceil() as usize;
        let at = rank.saturating_sub(1);
        Duration::from_nanos(self.nanos.get(at).copied().unwrap_or(0))
    }

    /// How many did not exceed `bound`.
    pub(crate) fn within(&self, bound: Duration) -> usize {
        self.nanos.iter().filter(|&&nanos| Duration::from_nanos(nanos) <= bound).count()
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.nanos.iter().copied().max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let mut samples = Samples::default();
        for ms in (1..=100).rev() {
            samples.push(Duration::from_millis(ms));
        }
        assert_eq!(samples.percentile(50.0), Duration::from_millis(50));
        assert_eq!(samples.percentile(99.0), Duration::from_millis(99));
        assert_eq!(samples.percentile(100.0), Duration::from_millis(100));
        assert_eq!(samples.longest(), Duration::from_millis(100));
        assert_eq!(samples.within(Duration::from_millis(30)), 30);
        assert_eq!(Samples::default().percentile(99.0), Duration::ZERO);
    }
}
