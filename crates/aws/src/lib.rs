//! The wire protocols of AWS: bytes to typed requests, typed results to bytes.
//!
//! [`sqs`] is Amazon SQS. A request is decoded ([`sqs::json`], [`sqs::query`]) to the plain types of [`sqs::request`], checked against a
//! [`sqs::Limits`] profile, and turned into what `weir-core` understands; results go the other way. Errors are
//! [`Fault`]s: an AWS error code and a sentence.
//!
//! [`lambda`] is AWS Lambda, as far as functions are invoked.
//!
//! [`sigv4`] verifies who a request comes from, given its parts, the time and the secrets.
//!
//! Deliberately absent: sockets, clocks, randomness, what a key may do, and any rule about what a queue does with its
//! messages.

mod arn;
mod fault;
pub mod lambda;
pub mod query;
pub mod request;
pub mod sigv4;
pub mod sns;
pub mod sqs;
mod text;
mod uuid;

pub use arn::{Arn, account_id, push_account_id};
pub use fault::{Code, Fault};
pub use uuid::text as uuid_text;
