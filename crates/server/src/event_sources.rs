//! Event source mappings: queues whose messages are handed to functions, as those of SQS are to functions of AWS Lambda.
//!
//! A mapping is a note of its queue. It has a task, which receives messages as any consumer of SQS does, makes an event of
//! each batch, calls the function with it, and deletes what was handled; what was not is seen again when its visibility
//! timeout ends. The call is a job of the function's queue. So whatever stands behind the function gets it, under the
//! function's limits and timeout, and a batch that waits for its turn costs its messages nothing.

mod batch;
mod change;
mod gather;
mod note;
mod poller;
mod pollers;
mod settings;

pub(crate) use change::{MAPPINGS_MAX, Mapped, Refusal, Which, change, create, delete};
pub(crate) use note::{Mapping, list};
pub(crate) use pollers::{Changes, Pollers};
pub(crate) use settings::{CONCURRENCY, Change, Settings, Unfit, Words};

/// What came of the last batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LastResult {
    /// There was none.
    #[default]
    Nothing,
    /// It was handled.
    Handled,
    /// It was not, for this reason.
    Failed(String),
    /// There is no function.
    NoFunction,
}

impl LastResult {
    /// The same in the words of AWS.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Nothing => "No records processed",
            Self::Handled => "OK",
            Self::Failed(_) => "PROBLEM: Function call failed",
            Self::NoFunction => "PROBLEM: Function not found",
        }
    }
}
