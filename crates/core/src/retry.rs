//! How long a failed job waits before it is tried again.

use crate::api::Error;
use crate::api::job::{ATTEMPTS_MAX, BACKOFFS_MAX, Backoff, Retry};

/// The wait after the `failures`th failure, in milliseconds. `luck` is uniform over all numbers and decides the jitter.
pub(crate) fn backoff_ms(retry: &Retry, failures: u32, luck: u64) -> u64 {
    let nth = failures.saturating_sub(1);
    let whole_ms = match &retry.backoff {
        Backoff::Fixed { delay_ms } => *delay_ms,
        Backoff::Exponential { delay_ms } => delay_ms.saturating_mul(1_u64.checked_shl(nth).unwrap_or(u64::MAX)),
        Backoff::List { delays_ms } => {
            let nth = delays_ms.get(nth as usize).or(delays_ms.last());
            nth.copied().unwrap_or_default()
        }
    };
    let whole_ms = whole_ms.min(retry.cap_ms);
    let off_max = u128::from(whole_ms) * u128::from(retry.jitter_permille.min(1_000)) / 1_000;
    // A uniform part of it: 0 to all of it, rounded down.
    let off = ((off_max + 1) * u128::from(luck)) >> 64;
    whole_ms - u64::try_from(off).unwrap_or(whole_ms)
}

/// Refuses a policy that makes no sense.
pub(crate) fn check(retry: &Retry) -> Result<(), Error> {
    let exceeded = |what, allowed: u64, found: u64| Err(Error::LimitExceeded { what, allowed, found });
    if retry.attempts_max == 0 {
        return Err(Error::Invalid { field: "attempts_max", reason: "a job is tried once at least" });
    }
    if retry.attempts_max > ATTEMPTS_MAX {
        return exceeded("attempts of a job", u64::from(ATTEMPTS_MAX), u64::from(retry.attempts_max));
    }
    if retry.jitter_permille > 1_000 {
        return exceeded("thousandths of jitter", 1_000, u64::from(retry.jitter_permille));
    }
    match &retry.backoff {
        Backoff::List { delays_ms } if delays_ms.is_empty() => {
            Err(Error::Invalid { field: "backoff", reason: "a list of backoffs has one entry at least" })
        }
        Backoff::List { delays_ms } if delays_ms.len() > BACKOFFS_MAX => {
            exceeded("entries of a list of backoffs", BACKOFFS_MAX as u64, delays_ms.len() as u64)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: Backoff, cap_ms: u64) -> Vec<u64> {
        let retry = Retry { attempts_max: 9, backoff, jitter_permille: 0, cap_ms };
        [1, 2, 3, 4, 70].map(|failures| backoff_ms(&retry, failures, u64::MAX)).to_vec()
    }

    #[test]
    fn each_kind_of_backoff_waits_as_it_says_and_never_longer_than_the_cap() {
        assert_eq!(waits(Backoff::Fixed { delay_ms: 7 }, 100), [7; 5]);
        assert_eq!(waits(Backoff::Fixed { delay_ms: 7 }, 5), [5; 5]);
        assert_eq!(waits(Backoff::Exponential { delay_ms: 10 }, 1_000), [10, 20, 40, 80, 1_000]);
        assert_eq!(waits(Backoff::Exponential { delay_ms: 0 }, 1_000), [0; 5]);
        assert_eq!(waits(Backoff::List { delays_ms: vec![3, 1, 9] }, 8), [3, 1, 8, 8, 8]);
    }

    #[test]
    fn jitter_takes_off_up_to_its_part_evenly() {
        let backoff = Backoff::Fixed { delay_ms: 1_000 };
        let retry = Retry { attempts_max: 2, backoff, jitter_permille: 200, cap_ms: u64::MAX };
        assert_eq!(backoff_ms(&retry, 1, 0), 1_000);
        assert_eq!(backoff_ms(&retry, 1, u64::MAX / 2 + 1), 900);
        assert_eq!(backoff_ms(&retry, 1, u64::MAX), 800);
        let none = Retry { jitter_permille: 0, ..retry.clone() };
        assert_eq!(backoff_ms(&none, 1, u64::MAX), 1_000);
        let all =
            Retry { jitter_permille: 1_000, cap_ms: u64::MAX, backoff: Backoff::Fixed { delay_ms: u64::MAX }, ..retry };
        assert_eq!(backoff_ms(&all, 1, u64::MAX), 0);
    }
}
