//! Pushing messages to URLs: what is sent, what an answer means, how fast to go.
//!
//! A [`Target`] is settings that were checked. It makes a [`request`] of messages; [`answer`] tells what came of it;
//! a [`Gate`] says how many requests may be under way, from adaptive concurrency, a circuit breaker and a slow start. The
//! [`Egress`] guard judges the address before anything is connected.
//!
//! Pure: no IO, no clock, no randomness. Time and random bits come in with each call; the server resolves, connects,
//! sends, and settles.

pub mod adaptive;
pub mod answer;
mod body;
pub mod breaker;
pub mod egress;
pub mod gate;
pub mod message;
pub mod network;
mod pace;
pub mod request;
pub mod settings;
pub mod signature;
pub mod slow_start;
mod target;
mod template;
pub mod trace;
pub mod url;
pub mod wait;

pub use body::lambda::record as lambda_record;
pub use egress::Egress;
pub use gate::{Gate, Health};
pub use settings::{Invalid, Settings};
pub use target::Target;
