//! Amazon SQS, API version 2012-11-05.

pub mod attributes;
mod digest;
mod group;
pub mod json;
mod limits;
pub mod message;
mod message_attributes;
pub mod name;
mod operation;
mod page;
pub mod payload;
pub mod receipt;
pub mod received;
pub mod request;
mod settle;
pub mod tags;
mod text;

pub use digest::Md5Hex;
pub use group::{Deduplication, content_hash, id_hash, lane};
pub use limits::{Limits, RECEIVE_BYTES_MAX};
pub use operation::Operation;
pub use page::Page;
pub use settle::{batch_ids, check_batch, visibility_ms, wait_ms};
