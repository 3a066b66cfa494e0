//! Commands behind functions: what the server says to whoever runs processes for it.
//!
//! Processes are the binary's business, which knows how to start them, and how to end them with all that they started.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A process to be run for a call, and what it is told of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads from standard input: the data of the call.
    pub input: Vec<u8>,
    /// How long it may take.
    pub timeout: Duration,
    /// The queue of the function.
    pub queue: String,
    /// The id of the call.
    pub id: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often the call was leased, this time included.
    pub leases: u32,
    /// Its priority.
    pub priority: u32,
    /// When it was added.
    pub added_at_ms: u64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its id of its caller's choice, if it has one.
    pub custom_id: Option<String>,
    /// Its group, if it has one.
    pub group: Option<String>,
    /// The queue that it was moved from as a dead letter.
    pub dead_letter_of: Option<String>,
    /// Its attributes, with bytes in base64.
    pub attributes: Vec<(String, String)>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEnd {
    /// What that means for the call.
    pub outcome: ProcessOutcome,
    /// Lines that it wrote for the log.
    pub logs: Vec<Vec<u8>>,
}

/// What the end of a process means for its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessOutcome {
    /// It is done: its result in JSON, if it has one.
    Done(Option<Vec<u8>>),
    /// It failed.
    Failed {
        /// Why, in few words.
        text: String,
        /// Why, in JSON, for the history of the call.
        failure: Vec<u8>,
        /// Whether it is tried again.
        again: bool,
    },
    /// It took as long as it may, and was ended.
    TookTooLong {
        /// The same in JSON, for the history of the call.
        failure: Vec<u8>,
    },
    /// It was told to end, and has.
    Stopped,
    /// It was not begun, and may be after so long.
    NotBegun {
        /// When to try again.
        after: Duration,
        /// Why, unless it said so itself.
        text: Option<String>,
    },
}

/// What is ready once a process is to end.
pub type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whoever runs processes.
pub trait Commands: Debug + Send + Sync {
    /// Refuses a command that cannot be started.
    ///
    /// # Errors
    /// The reason.
    fn check(&self, command: &[String]) -> Result<(), String>;

    /// Runs a process to its end, or makes it end once `stopping` is ready. Dropped before that, it is made to end too,
    /// with all that it started.
    fn run(&self, process: Process, stopping: Stopping) -> Pin<Box<dyn Future<Output = ProcessEnd> + Send>>;
}
