//! Tests of the server over a shard in memory. One program: each would link the whole server anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

mod hostile;
mod native;
mod refusing;
mod serving;
mod streams;
mod support;
mod tls;
mod topics;
