//! What requests take from outside: the time, and ids that nobody has.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time of the wall, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    // A clock before 1970 tells nothing.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A new public id: a random UUID (version 4).
pub(crate) fn uuid() -> [u8; 16] {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}
