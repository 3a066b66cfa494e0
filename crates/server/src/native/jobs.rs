//! Jobs: adding them, working on them, looking at them, changing them.

mod add;
mod attributes;
mod bulk;
mod change;
mod data;
mod deduplication;
mod get;
mod job_ref;
mod lease;
mod list;
pub(super) mod options;
mod settle;
mod spec;
mod view;

pub(crate) use add::{Add, AddToQueue, AddedJobs, OneOrMany};
pub(super) use add::{HEADERS as ADD_HEADERS, add_to};
pub(super) use attributes::Attributes;
pub(crate) use bulk::{CancelMany, Clean, Drain, PromoteMany, RemoveMany, RetryMany};
pub(crate) use change::{Cancel, Change, LeaveParent, Promote, Remove, Report, Retry};
pub(super) use data::raw;
pub(crate) use data::{CUSTOM_ID, NAME, own, push_data};
pub(crate) use deduplication::{ForgetDeduplication, GetDeduplicated};
pub(super) use get::told;
pub(crate) use get::{Children, Explain, Get, Logs};
pub(crate) use lease::Lease;
pub(crate) use list::List;
pub(crate) use settle::Settle;
pub(super) use settle::StateView;
pub(super) use settle::bytes;
pub(crate) use spec::Spec;
pub(super) use spec::check_text;
pub(super) use view::FailureView;
