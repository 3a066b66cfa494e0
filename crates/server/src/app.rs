//! What all requests share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::access::Access;
use crate::config::Config;
use crate::engine::{Engine, Undelivered};
use crate::metrics::Metrics;
use crate::native;
use crate::sqs::{Recently, Throttle};
use crate::tls::Tls;

/// What all requests share.
pub(crate) struct App<E> {
    pub(crate) config: Config,
    /// What connections are accepted with, unless they are plain.
    pub(crate) tls: Option<Tls>,
    pub(crate) access: Access,
    pub(crate) engine: E,
    pub(crate) metrics: Metrics,
    /// The operations of the native API.
    pub(crate) native: native::Table<E>,
    /// Receivers that wait.
    pub(crate) waiting: AtomicU64,
    /// Bytes of unfinished bodies.
    pub(crate) bodies_bytes: AtomicUsize,
    /// Queues that were purged and deleted, where that cannot be repeated at once.
    pub(crate) purged: Recently,
    pub(crate) deleted: Recently,
    /// Calls to FIFO queues, where they are bounded.
    pub(crate) throttle: Throttle,
    /// Deliveries that reached nobody.
    pub(crate) undelivered: Undelivered,
    /// Whether the server is stopping.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl<E: Engine> App<E> {
    /// Whether requests are answered with more than a refusal.
    pub(crate) fn is_ready(&self) -> bool {
        !*self.stopping.borrow() && self.engine.figures().serving
    }

    /// Counts a receiver as waiting until the result is dropped.
    pub(crate) fn count_waiting(&self) -> Counted<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Counted { counter: &self.waiting }
    }
}

/// One of those counted.
pub(crate) struct Counted<'a> {
    counter: &'a AtomicU64,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}
