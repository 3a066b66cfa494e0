//! What a limiter's key does, case by case.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it does not expect")]

use std::num::NonZeroU32;

use weir_core::Time;
use weir_core::limiter::{Blocked, Counts, KeyState, Limit, Permit, Refused, Reserve, Terms, Unknown, What, Window};

const ONE: NonZeroU32 = NonZeroU32::MIN;

fn starts(max: u32, per_ms: u64) -> Window {
    Window { max, per_ms, counts: Counts::Starts }
}

fn units(max: u32, per_ms: u64) -> Window {
    Window { max, per_ms, counts: Counts::Units }
}

fn windows(windows: &[Window]) -> Terms {
    Terms { windows: windows.to_vec(), ..Terms::default() }
}

/// A key and its limit.
struct Key {
    limit: Limit,
    state: KeyState,
}

impl Key {
    fn new(terms: Terms) -> Self {
        let limit = Limit::new(terms).unwrap();
        let state = KeyState::new(&limit, Time(0));
        Self { limit, state }
    }

    fn start(&mut self, now: u64, cost: u32, priority: u32) -> Result<Permit, Blocked> {
        self.state.start(&self.limit, Time(now), NonZeroU32::new(cost).unwrap(), priority)
    }

    fn released(&mut self, permit: &Permit, at: u64) {
        self.state.released(&self.limit, permit, Time(at));
    }

    /// Starts and releases at once.
    fn go(&mut self, now: u64, cost: u32) -> Permit {
        let permit = self.start(now, cost, 0).unwrap();
        self.released(&permit, now);
        permit
    }

    fn blocked(&mut self, now: u64) -> (What, Option<u64>) {
        let blocked = self.state.waits_for(&self.limit, Time(now), ONE, 0).unwrap();
        (blocked.by, blocked.until.map(|until| until.0))
    }

    fn is_free(&mut self, now: u64) -> bool {
        self.state.waits_for(&self.limit, Time(now), ONE, 0).is_none()
    }

    fn is_idle(&mut self, now: u64) -> bool {
        self.state.is_idle(&self.limit, Time(now))
    }

    fn change(&mut self, terms: Terms, now: u64, unknown: Unknown) {
        self.limit.change(terms, Time(now), unknown).unwrap();
    }
}

#[test]
fn each_of_64_starts_comes_back_at_its_own_time() {
    let mut key = Key::new(windows(&[starts(64, 1_000)]));
    for now in 100..164 {
        key.go(now, 1);
    }
    for now in 1_101..1_165 {
        assert_eq!(key.blocked(now - 1), (What::Window(0), Some(now)));
        key.go(now, 1);
    }
}

#[test]
fn a_slot_comes_back_after_the_release_and_not_after_the_grant() {
    let mut key = Key::new(windows(&[starts(1, 1_000)]));
    let permit = key.start(100, 1, 0).unwrap();
    assert_eq!(key.blocked(150), (What::Window(0), Some(1_151)), "it may be released now");
    assert_eq!(key.blocked(5_000), (What::Window(0), Some(6_001)));
    key.released(&permit, 5_000);
    assert_eq!(key.blocked(6_000), (What::Window(0), Some(6_001)));
    assert!(key.is_free(6_001));
}

#[test]
fn a_start_without_a_known_release_is_released_by_the_recovery_and_by_nothing_later() {
    let mut key = Key::new(windows(&[starts(2, 1_000)]));
    let before = key.start(100, 1, 0).unwrap();
    key.state = KeyState::decode(&key.state.encode()).unwrap();
    key.state.recovered(&key.limit, Time(300));
    let after = key.start(400, 1, 0).unwrap();
    key.released(&before, 450);
    assert_eq!(key.blocked(450), (What::Window(0), Some(1_301)));
    key.released(&after, 500);
    key.go(1_301, 1);
    assert_eq!(key.blocked(1_302), (What::Window(0), Some(1_501)));
}

#[test]
fn all_windows_hold_at_once_and_the_one_that_holds_back_longest_is_named() {
    let mut key = Key::new(windows(&[starts(2, 100), starts(3, 1_000)]));
    key.go(10, 1);
    key.go(20, 1);
    assert_eq!(key.blocked(30), (What::Window(0), Some(111)));
    key.go(111, 1);
    assert_eq!(key.blocked(112), (What::Window(1), Some(1_011)));
    assert_eq!(key.state.used(&key.limit, Time(112), 1), Some((3, 3)));
}

#[test]
fn requests_and_units_are_limited_side_by_side() {
    let mut key = Key::new(windows(&[starts(10, 1_000), units(100, 1_000)]));
    key.go(10, 60);
    let blocked = key.start(20, 50, 0).unwrap_err();
    assert_eq!(blocked, Blocked { until: Some(Time(1_011)), by: What::Window(1) });
    key.go(20, 40);
    assert_eq!(key.start(20, 101, 0), Err(Blocked { until: None, by: What::TooCostly(1) }));
}

#[test]
fn a_start_that_cost_less_gives_the_rest_back_at_once() {
    let mut key = Key::new(windows(&[units(100, 1_000)]));
    let mut permit = key.go(10, 100);
    assert!(!key.is_free(20));
    key.state.settle(&key.limit, &mut permit, 30, Time(20));
    assert_eq!(permit.cost, 30);
    key.go(20, 70);
    assert_eq!(key.blocked(21), (What::Window(0), Some(1_011)));
}

#[test]
fn a_start_that_cost_more_is_paid_off_before_the_next_one() {
    let mut key = Key::new(windows(&[units(100, 1_000)]));
    let mut permit = key.go(10, 20);
    key.state.settle(&key.limit, &mut permit, 130, Time(500));
    assert_eq!(key.blocked(500), (What::Window(0), Some(1_501)), "the debt counts from when it is known");
    key.state.settle(&key.limit, &mut permit, 130, Time(600));
    assert_eq!(key.blocked(600), (What::Window(0), Some(1_501)), "it is settled already");
}

#[test]
fn a_withdrawn_start_leaves_nothing_behind() {
    let mut key = Key::new(Terms { concurrency: Some(1), ..windows(&[starts(1, 1_000)]) });
    let permit = key.start(10, 1, 0).unwrap();
    key.state.withdrawn(&key.limit, &permit, Time(20));
    assert!(key.is_free(20));
}

#[test]
fn concurrency_comes_back_by_a_finish_and_by_no_time() {
    let mut key = Key::new(Terms { concurrency: Some(2), ..Terms::default() });
    let first = key.go(10, 1);
    key.go(10, 1);
    assert_eq!(key.blocked(1_000_000), (What::Concurrency, None));
    key.state.finished(&key.limit, &first);
    assert!(key.is_free(1_000_000));
}

#[test]
fn of_several_pauses_the_longest_counts_and_a_resume_ends_them() {
    let mut key = Key::new(windows(&[starts(1, 10)]));
    key.state.pause(Time(5_000));
    key.state.pause(Time(3_000));
    assert_eq!(key.blocked(100), (What::Paused, Some(5_000)));
    assert!(!key.is_idle(4_999));
    assert!(key.is_free(5_000));
    key.state.pause(Time::NEVER);
    assert_eq!(key.blocked(6_000), (What::Paused, None));
    key.state.resume(Time(7_000));
    assert!(key.is_free(7_000));
}

#[test]
fn after_a_pause_the_pace_and_the_concurrency_grow_from_a_tenth() {
    let terms = Terms { concurrency: Some(10), slow_start_ms: 10_000, ..windows(&[starts(10, 1_000)]) };
    let mut key = Key::new(terms);
    for _ in 0..3 {
        let permit = key.go(0, 1);
        key.state.finished(&key.limit, &permit);
    }
    key.state.pause(Time(50_000));
    let permit = key.go(50_000, 1);
    assert_eq!(key.blocked(50_001), (What::SlowStart, Some(51_010)), "two of ten, once more than a tenth is over");
    key.state.finished(&key.limit, &permit);
    // A tenth of ten a second is one a second, and a millisecond for the grain of time in each tenth of that.
    assert_eq!(key.blocked(50_001), (What::Pacing, Some(51_001)));
    let permit = key.go(55_000, 1);
    key.state.finished(&key.limit, &permit);
    assert_eq!(key.blocked(55_001), (What::Pacing, Some(55_182)), "half the pace, from a tenth of it before");
    for _ in 0..9 {
        key.go(60_000, 1);
    }
    assert!(key.is_free(60_000), "all of it, after ten seconds");
}

#[test]
fn what_is_kept_for_urgent_starts_is_named_as_the_reason() {
    let reserves = vec![Reserve { priority_max: 5, share: 30 }, Reserve { priority_max: 0, share: 20 }];
    let mut key = Key::new(Terms { reserves, concurrency: Some(10), ..windows(&[starts(10, 1_000)]) });
    for _ in 0..5 {
        key.start(10, 1, 6).unwrap();
    }
    let too_many = Blocked { until: None, by: What::ReservedConcurrency };
    assert_eq!(key.start(10, 1, 6), Err(too_many));
    for _ in 0..3 {
        key.start(10, 1, 5).unwrap();
    }
    assert_eq!(key.start(10, 1, 5), Err(too_many));
    key.change(Terms { concurrency: None, ..key.limit.terms().clone() }, 10, Unknown::Full);
    let kept = Blocked { until: Some(Time(1_011)), by: What::Reserved(0) };
    assert_eq!(key.start(10, 1, 6), Err(kept));
    assert_eq!(key.start(10, 1, 5), Err(kept));
    key.start(10, 1, 0).unwrap();
    key.start(10, 1, 0).unwrap();
    assert_eq!(key.start(10, 1, 0).unwrap_err().by, What::Window(0));
}

#[test]
fn a_laxer_limit_frees_at_once_and_a_stricter_one_counts_the_past() {
    let mut key = Key::new(windows(&[starts(4, 1_000)]));
    for now in [10, 20, 30, 40] {
        key.go(now, 1);
    }
    key.change(windows(&[starts(5, 1_000)]), 50, Unknown::Full);
    key.go(50, 1);
    key.change(windows(&[starts(2, 1_000)]), 60, Unknown::Full);
    assert_eq!(key.blocked(60), (What::Window(0), Some(1_041)));
    key.change(windows(&[starts(5, 25)]), 60, Unknown::Full);
    assert!(key.is_free(60));
}

#[test]
fn a_longer_window_waits_for_the_starts_that_it_cannot_know_unless_told_otherwise() {
    for (unknown, free_at) in [(Unknown::Full, 1_011), (Unknown::Empty, 600)] {
        let mut key = Key::new(windows(&[starts(1, 100)]));
        let permit = key.go(10, 1);
        key.state.finished(&key.limit, &permit);
        assert!(key.is_idle(500));
        let mut fresh = Key::new(key.limit.terms().clone());
        for key in [&mut key, &mut fresh] {
            key.change(windows(&[starts(1, 1_000)]), 600, unknown);
        }
        if unknown == Unknown::Full {
            assert_eq!(key.blocked(600), (What::UnknownPast(0), Some(free_at)));
            assert!(!key.is_idle(1_010));
        }
        assert!(key.is_free(free_at));
        // A key without a state had nothing in the last hundred milliseconds.
        fresh.state = KeyState::new(&fresh.limit, Time(600));
        let expected =
            (unknown == Unknown::Full).then_some(Blocked { until: Some(Time(1_500)), by: What::UnknownPast(0) });
        assert_eq!(fresh.state.waits_for(&fresh.limit, Time(600), ONE, 0), expected);
        assert!(fresh.is_free(1_500));
    }
}

#[test]
fn what_is_on_its_way_when_the_past_is_forgiven_counts_from_when_it_leaves() {
    for (counts, left) in [(Counts::Starts, 1), (Counts::Units, 3)] {
        let mut key = Key::new(Terms::default());
        let before = key.go(10, 3);
        let permit = key.start(20, 3, 0).unwrap();
        let withdrawn = key.start(20, 3, 0).unwrap();
        key.change(windows(&[Window { max: 4, per_ms: 1_000, counts }]), 30, Unknown::Empty);
        assert_eq!(key.blocked(30), (What::UnknownPast(0), None), "only when it left it can be counted");
        key.state.withdrawn(&key.limit, &withdrawn, Time(40));
        key.released(&permit, 50);
        assert_eq!(key.state.used(&key.limit, Time(60), 0), Some((left, 4)));
        let mut all = vec![before, permit];
        all.extend((left..4).map(|_| key.go(60, 1)));
        for permit in all {
            key.state.finished(&key.limit, &permit);
        }
        assert_eq!(key.blocked(60), (What::Window(0), Some(1_051)));
        assert!(key.is_idle(1_061));
    }
}

#[test]
fn a_key_is_idle_when_nothing_of_it_is_in_a_window_or_running() {
    let mut key = Key::new(windows(&[starts(3, 100)]));
    assert!(key.is_idle(0));
    let permit = key.go(10, 1);
    assert!(!key.is_idle(200));
    key.state.finished(&key.limit, &permit);
    assert!(!key.is_idle(110));
    assert!(key.is_idle(111));
}

#[test]
fn a_busy_key_is_a_few_hundred_bytes() {
    let mut key = Key::new(windows(&[starts(50, 10_000), starts(300, 60_000)]));
    let mut now = 1_700_000_000_000;
    for round in 0..1_000 {
        if let Some(blocked) = key.state.waits_for(&key.limit, Time(now), ONE, 0) {
            now = blocked.until.unwrap().0;
        }
        let permit = key.go(now, 1);
        key.state.finished(&key.limit, &permit);
        now += 37 + round % 171;
    }
    let bytes = key.state.encode();
    assert!(bytes.len() <= 300, "{} bytes", bytes.len());
    assert_eq!(KeyState::decode(&bytes).unwrap().encode(), bytes);
}

#[test]
fn the_stored_forms_are_what_they_were() {
    let terms = Terms {
        concurrency: Some(3),
        pacing: true,
        reserves: vec![Reserve { priority_max: 1, share: 20 }],
        guard_ms: 5,
        slow_start_ms: 1_000,
        ..windows(&[starts(2, 100), units(1_000, 60_000)])
    };
    let mut key = Key::new(terms.clone());
    key.change(terms, 7, Unknown::Full);
    key.go(100_000, 3);
    key.start(200_000, 200, 9).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(hex(&key.limit.encode()), "01010700000200026401e807e0d403030101011405e807");
    assert_eq!(
        hex(&key.state.encode()),
        "0101020002000102010000dca1bac2e405c801020064a08d0600000182d461010101000101e0d403a08d0600000182d46101c801c8010001"
    );
}

#[test]
fn a_stored_form_of_a_later_version_is_refused_by_name() {
    assert_eq!(
        KeyState::decode(&[2]).unwrap_err().to_string(),
        "a limiter's key has version 2, and this program knows versions up to 1"
    );
    assert_eq!(
        Limit::decode(&[2]).unwrap_err().to_string(),
        "a limiter has version 2, and this program knows versions up to 1"
    );
}

#[test]
fn refused_terms_say_which_number_and_what_would_be_right() {
    let refused = |terms| {
        let refused: Refused = Limit::new(terms).unwrap_err();
        format!("{}: {refused}", refused.code())
    };
    let reserve = |priority_max, share| Reserve { priority_max, share };
    assert_eq!(
        refused(windows(&[starts(0, 1)])),
        "limiter.out_of_range: windows.max must be from 1 to 1000000000, and is 0"
    );
    assert_eq!(
        refused(windows(&[starts(1, 0)])),
        "limiter.out_of_range: windows.per_ms must be from 1 to 31622400000, and is 0"
    );
    assert_eq!(refused(windows(&[starts(1, 1); 5])), "limiter.too_many: windows may have 4 entries, and has 5");
    assert_eq!(
        refused(Terms { concurrency: Some(0), ..Terms::default() }),
        "limiter.out_of_range: concurrency must be from 1 to 1000000000, and is 0"
    );
    assert_eq!(
        refused(Terms { reserves: vec![reserve(0, 50), reserve(1, 50)], ..Terms::default() }),
        "limiter.out_of_range: the sum of reserves.share must be from 0 to 99, and is 100"
    );
    assert_eq!(
        refused(Terms { reserves: vec![reserve(3, 10), reserve(3, 20)], ..Terms::default() }),
        "limiter.reserve_repeated: two reserves have the priority_max 3"
    );
}

#[test]
fn a_changed_window_takes_over_the_starts_of_the_one_that_remembers_them() {
    let mut key = Key::new(windows(&[starts(2, 100), starts(10, 10_000)]));
    key.go(10, 1);
    assert!(key.is_free(200));
    key.change(windows(&[starts(2, 5_000)]), 300, Unknown::Full);
    key.go(300, 1);
    assert_eq!(key.blocked(301), (What::Window(0), Some(5_011)));
}

#[test]
fn what_started_before_there_was_a_reserve_counts_as_not_urgent() {
    let mut key = Key::new(windows(&[starts(10, 1_000)]));
    for _ in 0..5 {
        key.go(10, 1);
    }
    let reserves = vec![Reserve { priority_max: 0, share: 50 }];
    key.change(Terms { reserves, ..windows(&[starts(10, 1_000)]) }, 20, Unknown::Full);
    assert_eq!(key.start(20, 1, 1).unwrap_err().by, What::Reserved(0));
    key.go(20, 1);
}
