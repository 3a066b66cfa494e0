//! Push: queues with a URL behind them.
//!
//! Each such queue has a task, which is a worker like any other: it leases what its target can take now, sends it, and
//! settles what came of it. So attempts, backoff, dead letters and limiters are the queue's own. While nothing is to be
//! sent, or nothing may be, a task waits: for the engine, which knows it as a receiver, or for a moment. What may be sent
//! how fast is decided in `weir-push`.

mod client;
mod connect;
mod farewell;
mod links;
mod note;
mod notifier;
mod outgoing;
mod parcel;
mod pusher;
mod pushers;
mod send;
mod setup;
mod shared;

pub(crate) use client::Shared;
pub(crate) use links::{is_over_sns, note as links_note};
pub(crate) use note::Note;
pub(crate) use notifier::Notifier;
pub(crate) use pushers::{Changes, Pushers};
pub(crate) use setup::Setup;
pub(crate) use shared::{Status, Trouble};
