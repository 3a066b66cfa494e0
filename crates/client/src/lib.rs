#![doc = include_str!("../README.md")]

pub mod address;
mod client;
mod credentials;
mod error;
mod info;
mod limiter;
mod new_job;
mod producer;
mod queue;
mod settings;
pub mod signature;
mod transport;
mod worker;

pub use client::{Client, ClientBuilder};
pub use credentials::Credentials;
pub use error::{Error, Problem};
pub use info::{
    Child, Children, Counters, Explanation, FailedAttempt, FailureKind, Hold, JobInfo, JobState, QueueInfo,
};
pub use limiter::{Limiter, Permit};
pub use new_job::{Deduplication, NewJob, OnFailure};
pub use producer::{Producer, ProducerBuilder};
pub use queue::{Added, Queue};
pub use settings::{Keep, LimiterTerms, LimiterUse, QueueSettings, Retry};
pub use worker::{Failure, Job, Summary, WorkerBuilder};
