//! Signature Version 4: whether a request comes from who has the secret of its access key.
//!
//! A signature is in the header `Authorization`, or in the query of a presigned URL. It covers method, path, query, the
//! headers that it names and the body. [`Verifier::verify`] is given all of these, a look-up of secrets and the time, and
//! says whose request it is; what they may do is for the caller to decide.
//!
//! Deliberately absent: Signature Version 2 and 4A, and bodies signed chunk by chunk (`STREAMING-…`), which no SDK sends
//! to the services that are here. They are refused by name.

mod canonical;
mod claim;
mod key;
mod request;
mod time;
mod verify;

pub(crate) use time::date;

pub use request::{Payload, Request};
pub use verify::{EXPIRES_S_MAX, SKEW_S_MAX, Verified, Verifier};
