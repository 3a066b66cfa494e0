//! The engine of Weir: queues, their messages and everything that may happen to them, as a pure function of state,
//! command and time.
//!
//! Deliberately absent: sockets, files, threads, logging, a clock, a source of randomness. Time and random bits enter
//! with each call; rows are read and written through [`kv::State`]; what the world should do about it comes out as
//! [`api::Output`].

pub mod api;
mod buckets;
mod codec;
mod engine;
mod gaps;
mod head;
mod keys;
pub mod kv;
mod lane;
pub mod limiter;
mod meter;
mod move_task;
mod pace;
mod place;
mod priorities;
mod queue;
mod retry;
mod spec;
mod time;
mod topic;

pub use codec::Unreadable;
pub use engine::{Engine, Needs, Stop};
pub use time::Time;
