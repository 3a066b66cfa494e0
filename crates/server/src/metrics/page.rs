//! The page at `/metrics`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use weir_aws::sqs::Operation;
use weir_aws::{lambda, sns};
use weir_core::Time;
use weir_core::api::{Command, Counters, Ends, Queue, Reply as EngineReply};
use weir_push::breaker::State;
use weir_shard::Answered;

use super::STATUSES;
use crate::app::App;
use crate::engine::{Engine, Figures, call};
use crate::http::Reply;
use crate::push::Status;

/// Most queues whose depth is told: beyond, a page would cost more than it is worth.
const QUEUES_MAX: usize = 10_000;

/// Answers `GET /metrics`.
pub(crate) async fn page<E: Engine>(app: &App<E>) -> Reply {
    // What waits for the URL of a subscription, or is held for one, is in no queue that anybody made.
    let mut queues = app.engine.all();
    queues.retain(|queue| queue.subscription.is_none());
    let depths = depths(app, &queues).await;
    let snapshot = Snapshot {
        requests: requests(app),
        queues: queues.len() as u64,
        depths,
        pushes: app.pushers.standings(QUEUES_MAX),
        waiting: app.waiting.load(Ordering::Relaxed),
        figures: app.engine.figures(),
    };
    let mut registry = Registry::with_prefix("weir");
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
        return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
    }
    Reply::new(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
}

#[derive(Debug)]
struct Depth {
    queue: Arc<Queue>,
    counters: Counters,
    ends: Ends,
    oldest: Option<Time>,
}

/// Asks the engine for the counters of each queue. One that is deleted meanwhile is left out.
async fn depths<E: Engine>(app: &App<E>, queues: &[Arc<Queue>]) -> Vec<Depth> {
    let mut depths = Vec::new();
    for queue in queues.iter().take(QUEUES_MAX) {
        let answer = call(&app.engine, Command::QueueStats { queue: queue.id }).await;
        if let Ok(Answered { reply: EngineReply::Stats { queue, counters, ends, oldest, .. }, .. }) = answer {
            depths.push(Depth { queue, counters, ends, oldest });
        }
    }
    depths
}

#[derive(Debug)]
struct Requests {
    door: &'static str,
    operation: &'static str,
    statuses: [u64; STATUSES.len()],
    sum: f64,
    buckets: Vec<(f64, u64)>,
}

/// The counts of each operation that was asked for.
fn requests<E: Engine>(app: &App<E>) -> Vec<Requests> {
    let names = Operation::ALL.iter().map(|operation| operation.name()).chain(["unknown"]);
    let sqs = names.zip(&app.metrics.rows).map(|(operation, row)| ("sqs", operation, row));
    let sns = sns::Operation::ALL.iter().map(|operation| operation.name()).zip(&app.metrics.sns);
    let sns = sns.map(|(operation, row)| ("sns", operation, row));
    let lambda = lambda::Operation::ALL.iter().map(|operation| operation.name()).zip(&app.metrics.lambda);
    let lambda = lambda.map(|(operation, row)| ("lambda", operation, row));
    let native = app.native.counts().map(|(operation, row)| ("native", operation, row));
    let rows = sqs.chain(sns).chain(lambda).chain(native).map(|(door, operation, row)| Requests {
        door,
        operation,
        statuses: row.statuses.each_ref().map(|count| count.load(Ordering::Relaxed)),
        sum: row.latency.sum(),
        buckets: row.latency.buckets(),
    });
    rows.filter(|row| row.statuses.iter().any(|&count| count > 0)).collect()
}

#[derive(Debug)]
struct Snapshot {
    requests: Vec<Requests>,
    queues: u64,
    depths: Vec<Depth>,
    pushes: Vec<(String, Status)>,
    waiting: u64,
    figures: Figures,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_requests(&mut encoder)?;
        self.encode_queues(&mut encoder)?;
        self.encode_pushes(&mut encoder)?;
        self.encode_figures(&mut encoder)
    }
}

impl Snapshot {
    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests answered";
        let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for row in &self.requests {
            for (status, count) in STATUSES.iter().zip(row.statuses).filter(|&(_, count)| count > 0) {
                let labels = [
                    ("door", row.door.to_owned()),
                    ("operation", row.operation.to_owned()),
                    ("status", status.to_string()),
                ];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "Time from a request's headers to its answer, waiting for messages included";
        let mut family = encoder.encode_descriptor("request_seconds", help, None, MetricType::Histogram)?;
        for row in &self.requests {
            let labels = [("door", row.door), ("operation", row.operation)];
            let count = row.buckets.iter().map(|&(_, count)| count).sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(row.sum, count, &row.buckets, None)?;
        }
        Ok(())
    }

    fn encode_queues(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        encoder.encode_descriptor("queues", "Queues", None, MetricType::Gauge)?.encode_gauge(&self.queues)?;
        encoder
            .encode_descriptor("waiting_receivers", "Receivers that wait for a message", None, MetricType::Gauge)?
            .encode_gauge(&self.waiting)?;
        let mut family = encoder.encode_descriptor("queue_messages", "Messages of a queue", None, MetricType::Gauge)?;
        for depth in &self.depths {
            let counters = depth.counters;
            for (state, count) in
                [("ready", counters.ready), ("delayed", counters.delayed), ("leased", counters.leased)]
            {
                let labels = [("queue", label(&depth.queue.name)), ("state", state.to_owned())];
                family.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        let help = "Jobs of a queue that were completed, or failed for good";
        let mut family = encoder.encode_descriptor("queue_finished", help, None, MetricType::Counter)?;
        for depth in &self.depths {
            for (outcome, count) in [("completed", depth.ends.completed), ("failed", depth.ends.failed)] {
                let labels = [("queue", label(&depth.queue.name)), ("outcome", outcome.to_owned())];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "How long ago the oldest message of a queue was sent";
        let mut family = encoder.encode_descriptor("queue_oldest_age_seconds", help, None, MetricType::Gauge)?;
        let now = now();
        for depth in &self.depths {
            if let Some(oldest) = depth.oldest {
                let labels = [("queue", label(&depth.queue.name))];
                family.encode_family(&labels)?.encode_gauge(&now.since(oldest).as_secs_f64())?;
            }
        }
        Ok(())
    }

    fn encode_pushes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Jobs of a queue that were pushed, by what became of the attempt";
        let mut family = encoder.encode_descriptor("push_deliveries", help, None, MetricType::Counter)?;
        for (queue, status) in &self.pushes {
            let outcomes =
                [("delivered", status.delivered), ("failed", status.failed), ("throttled", status.throttled)];
            for (outcome, count) in outcomes {
                let labels = [("queue", label(queue)), ("outcome", outcome.to_owned())];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "Requests that may be under way to the URL behind a queue";
        let mut family = encoder.encode_descriptor("push_concurrency", help, None, MetricType::Gauge)?;
        for (queue, status) in &self.pushes {
            let labels = [("queue", label(queue))];
            family.encode_family(&labels)?.encode_gauge(&u64::from(status.concurrency))?;
        }
        let help = "Requests that are under way to the URL behind a queue";
        let mut family = encoder.encode_descriptor("push_in_flight", help, None, MetricType::Gauge)?;
        for (queue, status) in &self.pushes {
            let labels = [("queue", label(queue))];
            family.encode_family(&labels)?.encode_gauge(&u64::from(status.in_flight))?;
        }
        let help = "Whether the breaker of the URL behind a queue is in this state: 1 if it is";
        let mut family = encoder.encode_descriptor("push_breaker", help, None, MetricType::Gauge)?;
        for (queue, status) in &self.pushes {
            let Some(now) = status.breaker else { continue };
            for (name, state) in [("closed", State::Closed), ("half_open", State::HalfOpen), ("open", State::Open)] {
                let labels = [("queue", label(queue)), ("state", name.to_owned())];
                family.encode_family(&labels)?.encode_gauge(&u64::from(now == state))?;
            }
        }
        Ok(())
    }

    fn encode_figures(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for figure in &self.figures.values {
            let kind = if figure.is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(figure.name, figure.help, None, kind)?;
            if figure.is_counter {
                metric.encode_counter::<NoLabelSet, _, u64>(&figure.value, None)?;
            } else {
                metric.encode_gauge(&figure.value)?;
            }
        }
        for figure in &self.figures.histograms {
            let mut metric = encoder.encode_descriptor(figure.name, figure.help, None, MetricType::Histogram)?;
            let count = figure.buckets.iter().map(|&(_, count)| count).sum();
            metric.encode_histogram::<NoLabelSet>(figure.sum, count, &figure.buckets, None)?;
        }
        Ok(())
    }
}

/// The time on the wall: ages are shown in it.
fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(0).after(since_epoch)
}

/// A queue's name as the value of a label.
fn label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
