//! The server: HTTP in front of a shard.
//!
//! A door authenticates, decodes, calls the engine and encodes; [`Server`] accepts connections, bounds what they may
//! cost, and hands requests to the doors. Long polls, shutdown, health, metrics and logs live here.
//!
//! Deliberately absent: rules of the queues (`weir-core`), the wire forms of AWS (`weir-aws`), and files.

mod access;
mod app;
mod commands;
mod config;
mod engine;
mod event_sources;
mod figures;
pub mod filter;
mod fresh;
mod functions;
mod greeting;
mod http;
mod hub;
mod lambda;
mod limits;
mod metrics;
mod native;
mod notes;
mod push;
mod server;
mod sns;
mod sqs;
mod tls;
mod topics;

pub use access::{AccessKey, Role};
pub use commands::{Commands, Process, ProcessEnd, ProcessOutcome, Stopping};
pub use config::{Config, PublicUrl, Unsafe};
pub use engine::{BackupError, Engine, Fate, Figure, Figures, Granted, HistogramFigure, Responder, Undelivered};
pub use server::{Server, Stop};
pub use tls::{TlsError, TlsFiles};
pub use weir_push::network::{Network, NotANetwork};
