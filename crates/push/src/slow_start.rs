//! Slow start: a target that was away, or is new, is not sent everything at once.

/// A share of a limit that grows from one to all of it.
#[derive(Clone, Copy, Debug)]
pub struct SlowStart {
    length_ms: u64,
    began_ms: u64,
}

impl SlowStart {
    /// Begins now; over at once where the length is 0.
    pub fn new(length_ms: u64, now_ms: u64) -> Self {
        Self { length_ms, began_ms: now_ms }
    }

    /// Begins anew.
    pub fn restart(&mut self, now_ms: u64) {
        self.began_ms = now_ms;
    }

    /// How much of `limit` may be used: at least 1.
    pub fn share(&self, limit: u32, now_ms: u64) -> u32 {
        let passed_ms = now_ms.saturating_sub(self.began_ms);
        if passed_ms >= self.length_ms {
            return limit;
        }
        let share = u128::from(limit) * u128::from(passed_ms) / u128::from(self.length_ms);
        u32::try_from(share).unwrap_or(limit).max(1)
    }

    /// When the share of `limit` grows next.
    pub fn grows_at_ms(&self, limit: u32, now_ms: u64) -> Option<u64> {
        let share = self.share(limit, now_ms);
        if share >= limit {
            return None;
        }
        let passed_ms = (u128::from(share) + 1) * u128::from(self.length_ms);
        let passed_ms = u64::try_from(passed_ms.div_ceil(u128::from(limit))).unwrap_or(self.length_ms);
        Some(self.began_ms.saturating_add(passed_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_from_one_to_all() {
        let slow = SlowStart::new(1_000, 500);
        let shares: Vec<u32> = [0, 500, 600, 750, 999, 1_499, 1_500, 9_000].map(|now| slow.share(10, now)).into();
        assert_eq!(shares, [1, 1, 1, 2, 4, 9, 10, 10]);
        assert_eq!(SlowStart::new(0, 500).share(10, 500), 10);
    }

    #[test]
    fn it_says_when_it_grows() {
        let slow = SlowStart::new(1_000, 0);
        let mut now = 0;
        let mut shares = vec![slow.share(4, now)];
        while let Some(at) = slow.grows_at_ms(4, now) {
            assert!(at > now);
            assert_eq!(slow.share(4, at - 1), *shares.last().unwrap());
            now = at;
            shares.push(slow.share(4, now));
        }
        assert_eq!((shares, now), (vec![1, 2, 3, 4], 1_000));
        assert_eq!(slow.grows_at_ms(1, 0), None);
    }
}
