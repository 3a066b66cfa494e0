//! The engine of Weir: queues, their messages and everything that may happen to them, as a pure function of state,
//! command and time.
//!
//! Deliberately absent: sockets, files, threads, logging, a clock, a source of randomness. Time and random bits enter
//! with each call; rows are read and written through [`kv::State`]; what the world should do about it comes out as
//! [`api::Output`].

pub mod api;
pub mod kv;
mod keys;
mod time;

pub use time::Time;
