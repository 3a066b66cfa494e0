//! The AWS JSON 1.0 protocol: the body of a request, and of its answer.

mod answer;
mod decode;
mod encode;
mod place;
mod shapes;

pub use answer::answer;
pub use decode::{Decode, decode};
pub use encode::{
    change_visibility_batch, delete_batch, error, list_queues, queue_attributes, queue_url, received, send, send_batch,
};

pub use super::answer::Outcome;

/// Media type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
