//! One shard: an engine, its store, and what goes between them.
//!
//! [`Driver`] is the step-by-step form, without threads or a clock: simulation runs it. [`Shard`] runs a driver on an
//! engine thread, with threads for the log, checkpoints and reads; the server runs that.

mod answer;
mod directory;

pub use answer::{Answer, Answered, Refused, Respond};
pub use directory::Directory;
