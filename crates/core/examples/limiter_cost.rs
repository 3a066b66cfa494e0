//! What a grant costs: start, release and finish of one key, against a loop that only moves the clock.
//!
//! `cargo run --release -p weir-core --example limiter_cost`. Nanoseconds hang on the machine; the last column does not.

#![allow(clippy::print_stdout, clippy::disallowed_types, reason = "a measurement for people")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use weir_core::Time;
use weir_core::limiter::{Counts, KeyState, Limit, Reserve, Terms, Window};

const GRANTS: u32 = 2_000_000;
/// Grants of a durable group, which are released together.
const GROUP: u64 = 16;

fn window(max: u32, per_ms: u64) -> Window {
    Window { max, per_ms, counts: Counts::Starts }
}

fn nanoseconds(mut grant: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    for round in 0..u64::from(GRANTS) {
        grant(black_box(round));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(GRANTS)
}

/// One start in each millisecond, of which the limit allows a few more.
fn granted(terms: Terms) -> f64 {
    let limit = Limit::new(terms).expect("the terms are in range");
    let mut key = KeyState::new(&limit, Time(0));
    let mut group = Vec::with_capacity(GROUP as usize);
    nanoseconds(|round| {
        let now = Time(1_000_000 + round);
        let permit = key.start(&limit, now, NonZeroU32::MIN, (round % 3) as u32).expect("there is room");
        group.push(permit);
        if round % GROUP == GROUP - 1 {
            for permit in group.drain(..) {
                key.released(&limit, &permit, now);
                key.finished(&limit, &permit);
            }
        }
    })
}

/// A key that is asked while it is full.
fn refused() -> f64 {
    let limit = Limit::new(Terms { windows: vec![window(64, 1 << 40 >> 10)], ..Terms::default() });
    let limit = limit.expect("the terms are in range");
    let mut key = KeyState::new(&limit, Time(0));
    let now = Time(1_000_000);
    while let Ok(permit) = key.start(&limit, now, NonZeroU32::MIN, 0) {
        key.released(&limit, &permit, now);
    }
    nanoseconds(|round| {
        let blocked = key.start(&limit, Time(1_000_000 + round / 8), NonZeroU32::MIN, 0);
        black_box(blocked.expect_err("the window is full"));
    })
}

/// The row of a key with full windows, written and read.
fn stored() -> f64 {
    let terms = Terms { windows: vec![window(50, 10_000), window(300, 60_000)], ..Terms::default() };
    let limit = Limit::new(terms).expect("the terms are in range");
    let mut key = KeyState::new(&limit, Time(0));
    for round in 0..1_000 {
        if let Ok(permit) = key.start(&limit, Time(1_000_000 + round * 200), NonZeroU32::MIN, 0) {
            key.released(&limit, &permit, Time(1_000_000 + round * 200));
        }
    }
    nanoseconds(|_| {
        black_box(KeyState::decode(&black_box(&key).encode()).expect("it was written just now"));
    })
}

fn main() {
    // The clock alone, and a push and a pop of what is kept for the group.
    let mut group = Vec::with_capacity(GROUP as usize);
    let empty = nanoseconds(|round| {
        group.push(black_box(Time(1_000_000 + round)));
        if round % GROUP == GROUP - 1 {
            group.drain(..).for_each(|time| {
                black_box(time);
            });
        }
    });
    let one = |window| Terms { windows: vec![window], ..Terms::default() };
    let cases = [
        ("empty loop", empty),
        ("one window, 64 exact slots", granted(one(window(64, 40)))),
        ("one window, 64 slots of 16", granted(one(window(1_024, 900)))),
        ("two windows", granted(Terms { windows: vec![window(64, 40), window(1_024, 900)], ..Terms::default() })),
        (
            "two windows, concurrency, reserves, pacing",
            granted(Terms {
                windows: vec![window(64, 40), window(1_024, 900)],
                concurrency: Some(1_000),
                pacing: true,
                reserves: vec![Reserve { priority_max: 0, share: 5 }, Reserve { priority_max: 1, share: 5 }],
                ..Terms::default()
            }),
        ),
        ("a refusal, with its reason and its end", refused()),
        ("two full windows, written and read", stored()),
    ];
    println!("{:<45}{:>8}{:>8}", "", "ns", "times");
    for (name, cost) in cases {
        println!("{name:<45}{cost:>8.1}{:>8.1}", cost / empty);
    }
}
