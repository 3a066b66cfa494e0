//! Limiters: how many starts may leave in any interval, how many may run at once, and for whom some of it is kept.
//!
//! A [`Limit`] is what somebody asked for ([`Terms`]), checked and ready to be asked often; it changes live. A
//! [`KeyState`] is what is known of one key of it (a customer, a host, or the only one): a few hundred bytes that exist
//! only while something of the key is in a window or running.
//!
//! ```
//! use std::num::NonZeroU32;
//! use weir_core::Time;
//! use weir_core::limiter::{Counts, KeyState, Limit, Terms, What, Window};
//!
//! let window = Window { max: 1, per_ms: 10_000, counts: Counts::Starts };
//! let limit = Limit::new(Terms { windows: vec![window], ..Terms::default() })?;
//! let mut key = KeyState::new(&limit, Time(0));
//! let permit = key.start(&limit, Time(0), NonZeroU32::MIN, 0).expect("the key is new");
//! key.released(&limit, &permit, Time(5));
//! let blocked = key.start(&limit, Time(6), NonZeroU32::MIN, 0).expect_err("the window is full");
//! assert_eq!((blocked.by, blocked.until), (What::Window(0), Some(Time(10_006))));
//! # Ok::<(), weir_core::limiter::Refused>(())
//! ```
//!
//! **The promise.** In no interval of `per_ms` do more than `max` starts leave, whatever happens: bursts, retries (each is
//! a start), live changes, crashes, clocks that jump ahead. It holds because a start counts from its grant until `per_ms`
//! after it was *released*, which is when its answer had left: wherever in between it really left, it is counted.
//!
//! **Units.** Time is engine time in whole milliseconds and never goes back. As fractions of a millisecond are cut off, a
//! slot is held for one millisecond more than `per_ms`; the promise so holds for the real times and for intervals that
//! include both their ends, at the price of `1 / per_ms` of the budget.
//!
//! **Cost.** A start, a release and a finish look at a bounded number of slots, none of them allocates once the ring of a
//! window has grown to its size. A blocked key costs nothing until the time that it was told.
//!
//! Deliberately absent: who waits, in which order, and who wakes them. That is the engine's.

mod earliest;
mod key;
mod limit;
mod ring;
mod stored;
mod terms;

pub use earliest::{Blocked, What};
pub use key::{KeyState, Permit};
pub use limit::{Limit, Unknown};
pub use ring::SLOTS_MAX;
pub use terms::{
    CONCURRENCY_MAX, Counts, GUARD_MS_MAX, PER_MS_MAX, RESERVES_MAX, Refused, Reserve, SLOW_START_MS_MAX, Terms,
    UNITS_MAX, WINDOWS_MAX, Window,
};
