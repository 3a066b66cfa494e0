//! Replays one seed.
fn main() {}
