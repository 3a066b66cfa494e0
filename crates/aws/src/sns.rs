//! Amazon SNS, API version 2010-03-31: the Query protocol, and what topics send out.

pub mod arn;
mod decode;
pub mod delivery_policy;
mod encode;
pub mod envelope;
pub mod fault;
mod limits;
mod operation;
pub mod publish;
pub mod replay_policy;
pub mod request;
pub mod subscription;
mod timestamp;
pub mod topic;

pub use decode::{Request, decode, is_meant, operation};
pub use encode::{Answer, Listed, Published, answer, error};
pub use limits::{CONFIRM_WITHIN_MS, LIST_MAX, MESSAGE_SIZE_DEFAULT};
pub use operation::{Operation, UNSERVED};
