//! Push: queues with something behind them that the server itself gives their messages to: a URL or, behind a function, a
//! command.
//!
//! Each such queue has a task, which is a worker like any other: it leases what its target can take now, sends it or gives it to
//! a process, and settles what came of it. So attempts, backoff, dead letters and limiters are the queue's own. While nothing is to be
//! sent, or nothing may be, a task waits: for the engine, which knows it as a receiver, or for a moment. What may be sent
//! how fast is decided in `weir-push`.

mod caller;
mod client;
mod connect;
mod farewell;
mod heard;
mod links;
mod note;
mod notifier;
mod outgoing;
mod parcel;
mod process;
mod pusher;
mod pushers;
mod send;
mod setup;
mod shared;

pub(crate) use client::Shared;
pub(crate) use links::{is_over_sns, note as links_note};
pub(crate) use note::Note;
pub(crate) use notifier::Notifier;
pub(crate) use parcel::{Leased, message};
pub(crate) use pushers::{Changes, Pushers};
pub(crate) use setup::Setup;
pub(crate) use shared::{Status, Trouble};
