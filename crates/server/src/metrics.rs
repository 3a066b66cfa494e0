//! What the server counts, and the page of it for Prometheus.

mod histogram;
mod page;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weir_aws::sqs::Operation;
use weir_aws::{lambda, sns};

pub(crate) use histogram::Histogram;
pub(crate) use page::page;

/// Statuses that are told apart; any other counts as the last of its class.
const STATUSES: [u16; 13] = [200, 201, 299, 400, 403, 404, 408, 409, 413, 499, 500, 503, 599];
/// An operation that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    Sqs(Operation),
    Sns(sns::Operation),
    Lambda(lambda::Operation),
}

/// The operations of SQS, and one more for requests that name none that we serve.
const OPERATIONS: usize = Operation::ALL.len() + 1;

/// Counts of requests, by operation. Counting touches two atomic numbers and looks nothing up.
#[derive(Debug)]
pub(crate) struct Metrics {
    rows: [Row; OPERATIONS],
    sns: [Row; sns::Operation::ALL.len()],
    lambda: [Row; lambda::Operation::ALL.len()],
}

/// The counts of one operation.
#[derive(Debug, Default)]
pub(crate) struct Row {
    statuses: [AtomicU64; STATUSES.len()],
    latency: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rows: std::array::from_fn(|_| Row::default()),
            sns: std::array::from_fn(|_| Row::default()),
            lambda: std::array::from_fn(|_| Row::default()),
        }
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub(crate) fn count(&self, operation: Option<Counted>, status: u16, latency: Duration) {
        let row = match operation {
            Some(Counted::Sqs(operation)) => self.rows.get(operation as usize),
            Some(Counted::Sns(operation)) => self.sns.get(operation as usize),
            Some(Counted::Lambda(operation)) => self.lambda.get(operation as usize),
            None => self.rows.get(OPERATIONS - 1),
        };
        let Some(row) = row else { return };
        row.count(status, latency);
    }
}

impl Row {
    /// Counts a request that was answered.
    pub(crate) fn count(&self, status: u16, latency: Duration) {
        let class = STATUSES.iter().position(|&known| known == status);
        let class = class.or_else(|| STATUSES.iter().position(|&last| last / 100 == status / 100 && last > status));
        if let Some(count) = class.and_then(|class| self.statuses.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.latency.add(latency);
    }
}
