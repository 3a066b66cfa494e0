//! How much of a budget is used, by whom, and how evenly.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it does not expect")]
#![allow(clippy::cast_precision_loss, reason = "times of tests are small")]

use std::num::NonZeroU32;

use proptest::prelude::*;
use weir_core::Time;
use weir_core::limiter::{Counts, KeyState, Limit, Reserve, SLOTS_MAX, Terms, What, Window};

const ONE: NonZeroU32 = NonZeroU32::MIN;

fn starts(max: u32, per_ms: u64) -> Window {
    Window { max, per_ms, counts: Counts::Starts }
}

fn limit(windows: &[Window]) -> Limit {
    Limit::new(Terms { windows: windows.to_vec(), ..Terms::default() }).unwrap()
}

fn start(key: &mut KeyState, limit: &Limit, now: u64, priority: u32) -> Result<(), Option<u64>> {
    let permit = key.start(limit, Time(now), ONE, priority).map_err(|blocked| blocked.until.map(|time| time.0))?;
    key.released(limit, &permit, Time(now));
    key.finished(limit, &permit);
    Ok(())
}

/// Starts all that has arrived as soon as there is room, until `end`; a later arrival waits for the ones before it.
fn used(limit: &Limit, arrivals: impl Iterator<Item = u64>, end: u64) -> usize {
    let mut key = KeyState::new(limit, Time(0));
    let mut now = 0;
    let mut count = 0;
    for arrival in arrivals {
        now = now.max(arrival);
        while let Err(until) = start(&mut key, limit, now, 0) {
            now = until.expect("windows always come back");
        }
        if now >= end {
            break;
        }
        count += 1;
    }
    count
}

/// The same by a list of all starts: none less than `per` after the one that is `max` before it.
fn ideal(windows: &[Window], arrivals: impl Iterator<Item = u64>, end: u64) -> usize {
    let mut times: Vec<u64> = Vec::new();
    for arrival in arrivals {
        let earliest = windows.iter().filter_map(|window| {
            let before = times.len().checked_sub(window.max as usize)?;
            Some(times[before] + window.per_ms)
        });
        let now = earliest.max().unwrap_or(0).max(arrival).max(times.last().copied().unwrap_or(0));
        if now >= end {
            break;
        }
        times.push(now);
    }
    times.len()
}

/// A few at any time at first, and after that as many as there is room for.
fn rush(first: &[u64], from: u64) -> impl Iterator<Item = u64> + use<'_> {
    let mut now = 0;
    let trickle = first.iter().map(move |gap| {
        now += gap;
        now.min(from)
    });
    trickle.chain(std::iter::repeat(from))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_work_always_ready_98_percent_of_the_budget_is_used(
        max in 1_u32..=1_000,
        per_ms in 300_u64..60_000,
        first in prop::collection::vec(0_u64..100, 0..1_000),
    ) {
        let windows = [starts(max, per_ms)];
        let end = 12 * per_ms;
        let used = used(&limit(&windows), rush(&first, 2 * per_ms), end);
        let ideal = ideal(&windows, rush(&first, 2 * per_ms), end);
        prop_assert!(used * 100 >= ideal * 98, "{used} of {ideal}");
        prop_assert!(ideal >= 9 * max as usize, "the ideal is {ideal}");
    }

    #[test]
    fn with_several_windows_98_percent_of_what_they_leave_is_used(
        (max, per_ms) in (2_u32..=300, 300_u64..5_000),
        (more, longer) in (1_u64..20, 2_u64..30),
        first in prop::collection::vec(0_u64..100, 0..200),
    ) {
        // The longer window allows a part of what the shorter one would.
        let long = starts((u64::from(max) * longer * more / 20).max(1) as u32, per_ms * longer);
        let windows = [starts(max, per_ms), long];
        let end = 6 * per_ms * longer;
        let used = used(&limit(&windows), rush(&first, per_ms), end);
        let ideal = ideal(&windows, rush(&first, per_ms), end);
        prop_assert!(used * 100 >= ideal * 98, "{used} of {ideal} in {windows:?}");
    }

    #[test]
    fn what_starts_cost_less_than_was_thought_is_used_by_others(
        max in 600_u32..2_000,
        per_ms in 2_000_u64..10_000,
        costs in prop::collection::vec(5_u32..=10, 500),
    ) {
        let window = Window { max, per_ms, counts: Counts::Units };
        let limit = limit(&[window]);
        let mut key = KeyState::new(&limit, Time(0));
        let estimate = NonZeroU32::new(10).unwrap();
        let (mut now, mut used) = (0, 0_u64);
        for cost in costs.iter().cycle() {
            match key.start(&limit, Time(now), estimate, 0) {
                Ok(mut permit) => {
                    key.released(&limit, &permit, Time(now));
                    key.settle(&limit, &mut permit, *cost, Time(now));
                    key.finished(&limit, &permit);
                    used += u64::from(*cost);
                }
                Err(blocked) => now = blocked.until.unwrap().0,
            }
            if now >= 10 * per_ms {
                break;
            }
        }
        prop_assert!(used * 100 >= u64::from(max) * 10 * 98, "{used} of {}", max * 10);
    }

    #[test]
    fn after_a_pause_and_its_slow_start_the_budget_is_used_again(
        max in 10_u32..=200,
        per_ms in 1_000_u64..5_000,
        slow_start_ms in 1_u64..5_000,
        pause_ms in 1_u64..20_000,
    ) {
        let terms = Terms { windows: vec![starts(max, per_ms)], slow_start_ms, ..Terms::default() };
        let limit = Limit::new(terms).unwrap();
        let mut key = KeyState::new(&limit, Time(0));
        key.pause(Time(pause_ms));
        let (from, mut now, mut times) = (pause_ms + slow_start_ms + per_ms, 0, Vec::new());
        while now < from + 10 * per_ms {
            match start(&mut key, &limit, now, 0) {
                Ok(()) => times.push(now),
                Err(until) => now = until.unwrap(),
            }
        }
        prop_assert!(times[0] >= pause_ms, "a start in the pause");
        let used = times.iter().filter(|at| **at >= from).count();
        prop_assert!(used * 100 >= max as usize * 10 * 98, "{used} of {}", max * 10);
    }

    #[test]
    fn in_slots_of_many_starts_at_most_a_64th_of_the_budget_is_lost(
        max in 65_u32..=20_000,
        per_ms in 5_000_u64..60_000,
        first in prop::collection::vec(0_u64..100, 0..1_000),
    ) {
        let windows = [starts(max, per_ms)];
        let end = 8 * per_ms;
        let used = used(&limit(&windows), rush(&first, 2 * per_ms), end) as u64;
        let ideal = ideal(&windows, rush(&first, 2 * per_ms), end) as u64;
        // The millisecond by which a slot is held longer is apart from that.
        let least = ideal * 63 / 64 * per_ms / (per_ms + 1);
        prop_assert!(used >= least, "{used} of {ideal}");
    }

    #[test]
    fn urgent_starts_always_find_their_share(
        max in 2_u32..=400,
        share in 1_u32..=60,
        per_ms in 50_u64..2_000,
        urgent in prop::collection::vec(0_u64..200, 1..200),
    ) {
        let reserves = vec![Reserve { priority_max: 0, share }];
        let windows = vec![starts(max, per_ms)];
        let limit = Limit::new(Terms { windows, reserves, ..Terms::default() }).unwrap();
        let kept = (max * share).div_ceil(100).min(max - 1);
        // A slot of many starts may give back all but one of them late.
        let late = max.div_ceil(SLOTS_MAX as u32) - 1;
        let kept = kept.saturating_sub(late) as usize;
        prop_assume!(kept > 0);
        let mut key = KeyState::new(&limit, Time(0));
        let mut now = 1_000;
        let mut times: Vec<u64> = Vec::new();
        for gap in urgent {
            let before = times.len().checked_sub(kept).map_or(0, |before| times[before] + per_ms + 1);
            let next = (now + gap).max(before);
            // Others are always ready, before and at the same time.
            for now in now..=next {
                while start(&mut key, &limit, now, 1).is_ok() {}
            }
            now = next;
            prop_assert_eq!(start(&mut key, &limit, now, 0), Ok(()));
            times.push(now);
        }
    }

    #[test]
    fn what_urgent_starts_use_of_their_share_costs_the_others_nothing(
        max in 5_u32..=60,
        share in 20_u32..=60,
        per_ms in 300_u64..2_000,
    ) {
        let reserves = vec![Reserve { priority_max: 3, share }];
        let windows = vec![starts(max, per_ms)];
        let limit = Limit::new(Terms { windows, reserves, ..Terms::default() }).unwrap();
        let mut key = KeyState::new(&limit, Time(0));
        let mut used = [0_u64; 2];
        for now in 1..=20 * per_ms {
            for (class, priority) in [(0, 4), (1, 3)] {
                while start(&mut key, &limit, now, priority).is_ok() {
                    used[class] += 1;
                }
            }
        }
        let kept = (u64::from(max) * u64::from(share)).div_ceil(100);
        prop_assert_eq!(used, [20 * (u64::from(max) - kept), 20 * kept]);
    }

    #[test]
    fn paced_starts_are_spread_evenly_within_a_tenth(max in 1_u32..=500, per_ms in 1_000_u64..60_000) {
        let windows = vec![starts(max, per_ms)];
        let limit = Limit::new(Terms { windows, pacing: true, ..Terms::default() }).unwrap();
        let mut key = KeyState::new(&limit, Time(0));
        let mut now = 7_777;
        let mut times = Vec::new();
        while times.len() < 3 * max as usize {
            match start(&mut key, &limit, now, 0) {
                Ok(()) => times.push(now),
                Err(until) => now = until.unwrap(),
            }
        }
        // Of a slot of many starts, all but one may come back late.
        let even = per_ms as f64 / f64::from(max + 1 - max.div_ceil(SLOTS_MAX as u32));
        for pair in times.windows(2) {
            let gap = (pair[1] - pair[0]) as f64;
            // Times are whole milliseconds.
            prop_assert!((gap - even).abs() <= even / 10.0 + 1.0, "{gap} instead of {even}");
        }
        let took = (times[times.len() - 1] - times[0]) as f64;
        let mean = took / (times.len() - 1).max(1) as f64;
        prop_assert!((mean - even).abs() <= even / 100.0 + 1.0, "{mean} instead of {even}");
    }

    #[test]
    fn late_timers_do_not_slow_the_pace_down(
        max in 10_u32..=500,
        late in prop::collection::vec(0_u64..=8, 1_000),
    ) {
        let windows = vec![starts(max, 10_000)];
        let limit = Limit::new(Terms { windows, pacing: true, ..Terms::default() }).unwrap();
        let mut key = KeyState::new(&limit, Time(0));
        let mut now = 1_000;
        let mut count = 0_u64;
        for late in late.iter().cycle() {
            if now >= 101_000 {
                break;
            }
            match key.waits_for(&limit, Time(now), ONE, 0) {
                None => {
                    start(&mut key, &limit, now, 0).unwrap();
                    count += 1;
                }
                Some(blocked) => {
                    prop_assert!(matches!(blocked.by, What::Pacing | What::Window(0)), "{:?}", blocked);
                    now = blocked.until.unwrap().0 + late;
                }
            }
        }
        prop_assert!(count * 100 >= u64::from(max) * 10 * 98, "{} of {}", count, max * 10);
    }
}
