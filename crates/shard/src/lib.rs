//! One shard: an engine, its store, and what goes between them.
//!
//! [`Driver`] is the step-by-step form, without threads or a clock: simulation runs it. [`Shard`] runs a driver on an
//! engine thread, with threads for the log, checkpoints and reads; the server runs that.

mod answer;
mod clock;
mod directory;
mod driver;
mod metrics;
mod shard;
mod work;

pub use answer::{Answer, Answered, Refused, Respond};
pub use clock::EngineTime;
pub use directory::{Directory, Listener, TopicView};
pub use driver::{Driver, Figures, OpenShardError};
pub use metrics::{BUCKETS_US, Histogram, Metrics};
pub use shard::Shard;
pub use work::{BodyWork, Done, LoadWork, LoadedBody, LoadedRows, Work};
