//! AWS Lambda, as far as functions are invoked: `restJson1`, version 2015-03-31.
//!
//! [`route`] tells what a request asks for; [`Invocation`] is what the headers of an invocation say; [`Configuration`] is a
//! function as it is described, and [`event_source`] has what is said of queues that are mapped to functions. Errors are [`Fault`]s of their own: Lambda's names and its body.

mod configuration;
pub mod event_source;
mod fault;
mod invocation;
mod name;
mod route;

pub use configuration::{Configuration, function, functions};
pub use fault::Fault;
pub use invocation::{Invocation, Kind, LOG_TAIL_BYTES, log_tail};
pub use name::{FunctionName, function_arn};
pub use route::{Operation, PREFIX, Routed, route};

/// The only version of a function that there is.
pub const LATEST: &str = "$LATEST";
/// Longest payload of an invocation whose result is waited for, in bytes, where AWS's limits are enforced.
pub const REQUEST_BYTES_MAX: usize = 6 << 20;
/// Longest payload of any other, in bytes, where AWS's limits are enforced.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
