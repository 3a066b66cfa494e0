//! Amazon SQS, API version 2012-11-05.

mod answer;
mod any_request;
mod attempt;
pub mod attributes;
mod digest;
mod group;
pub mod json;
mod limits;
pub mod message;
pub(crate) mod message_attributes;
pub mod move_task;
pub mod name;
mod operation;
mod page;
pub mod payload;
pub mod policy;
mod protocol;
pub mod query;
pub mod receipt;
pub mod received;
mod redrive_allow;
pub mod request;
mod settle;
pub mod tags;

use crate::{text, uuid};

pub(crate) use digest::hex;
pub(crate) use message::check_id;

pub use answer::{Answer, Outcome};
pub use any_request::AnyRequest;
pub use attempt::attempt;
pub use digest::Md5Hex;
pub use group::{
    Deduplication, attempt_hash, content_hash, custom_id_hash, id_hash, idempotency_hash, lane, limit_key_hash,
};
pub use limits::{Limits, RECEIVE_BYTES_MAX};
pub use operation::Operation;
pub use page::Page;
pub use protocol::Protocol;
pub use settle::{batch_ids, check_batch, visibility_ms, wait_ms};
