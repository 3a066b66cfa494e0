//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use smallvec::SmallVec;
use tokio::sync::watch;
use weir_core::api::limit::{LimiterId, PermitId};
use weir_core::api::{Command, Delivery, Handle, Queue, QueueId};
use weir_shard::{Answer, Answered, Refused};

use crate::access::Access;
use crate::config::Config;
use crate::engine::{Engine, Fate, Granted, Origin, Receiving, Undelivered};
use crate::event_sources::Pollers;
use crate::http::Content;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::native;
use crate::push::Pushers;
use crate::sns::{Ended, Signer};
use crate::sqs::{Recently, Throttle};
use crate::tls::Tls;
use crate::topics::Matchers;

/// What all requests share.
pub(crate) struct App<E> {
    pub(crate) config: Config,
    /// What connections are accepted with, unless they are plain.
    pub(crate) tls: Option<Tls>,
    pub(crate) access: Access,
    pub(crate) engine: E,
    pub(crate) metrics: Metrics,
    /// What happens to jobs, for those who watch.
    pub(crate) hub: Arc<Hub>,
    /// The operations of the native API.
    pub(crate) native: native::Table<E>,
    /// The filter policies of topics, read.
    pub(crate) matchers: Matchers,
    /// Queues with a URL behind them.
    pub(crate) pushers: Arc<Pushers>,
    /// Queues that are mapped to functions.
    pub(crate) pollers: Arc<Pollers>,
    /// What topics send out is signed by this.
    pub(crate) signer: Signer,
    /// Subscriptions that have ended lately.
    pub(crate) ended: Ended,
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

    /// Carries out a command that hands messages of a queue over, or a permit of a limiter, or waits for something, no
    /// longer than the server runs. Dropped before its answer came, it withdraws itself.
    pub(crate) async fn receive(&self, origin: impl Into<Origin>, command: Command, waits: bool) -> Answer {
        let receiving = Receiving::start(&self.engine, &self.undelivered, origin.into(), command)?;
        self.await_grant(receiving, waits).await
    }

    /// Carries out a command and right after it a receive; both go to the disk together. Where either is refused, so is
    /// the whole: what was granted returns.
    pub(crate) async fn call_and_receive(
        &self,
        before: Command,
        origin: impl Into<Origin>,
        command: Command,
        waits: bool,
    ) -> Result<(Answered, Answered), Refused> {
        let origin = origin.into();
        let (before, receiving) = Receiving::start_after(before, &self.engine, &self.undelivered, origin, command)?;
        // Dropped unanswered, the receive withdraws.
        let before = before.await.unwrap_or(Err(Refused::Closed))?;
        Ok((before, self.await_grant(receiving, waits).await?))
    }

    /// Says what became of messages that were granted: whether they have left, or return.
    pub(crate) fn tell_fate(&self, queue: QueueId, handles: SmallVec<[Handle; 1]>, fate: Fate) {
        // Without a receiver the server has ended: leases then end by themselves.
        let _ = self.undelivered.send((Granted::Messages(queue, handles), fate));
    }

    /// The answer of a receive, which withdraws when the server stops.
    async fn await_grant(&self, mut receiving: Receiving<'_, E>, waits: bool) -> Answer {
        if !waits {
            return receiving.await;
        }
        let _waiting = self.count_waiting();
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            answer = &mut receiving => answer,
            () = stopped(&mut stopping) => {
                receiving.withdraw();
                receiving.await
            }
        }
    }

    /// Bytes that hand messages of `queue` over: they return unless they are written. Limiters are told once they are.
    pub(crate) fn delivering(&self, body: Vec<u8>, queue: &Queue, deliveries: &[Delivery]) -> Content {
        if deliveries.is_empty() {
            return body.into();
        }
        let limited = deliveries.iter().any(|delivery| delivery.limited);
        let handles = deliveries.iter().map(|delivery| delivery.handle).collect();
        Content::granting(body, &self.undelivered, Granted::Messages(queue.id, handles), limited)
    }

    /// Bytes that hand a permit over: it is taken back unless they are written, and its limiter is told once they are.
    pub(crate) fn permitting(&self, body: Vec<u8>, limiter: LimiterId, permit: PermitId) -> Content {
        Content::granting(body, &self.undelivered, Granted::Permit(limiter, permit), true)
    }

    /// Scheme and host of this server, as configured or as who asked `host` sees it.
    pub(crate) fn seen_as(&self, host: Option<&str>) -> (&str, String) {
        if let Some(public) = &self.config.public_url {
            return (&public.scheme, public.host.clone());
        }
        let host = host.filter(|host| is_host(host)).map_or_else(|| self.config.listen.to_string(), str::to_owned);
        (if self.config.tls.is_some() { "https" } else { "http" }, host)
    }

    /// The URL of this server, without a path.
    pub(crate) fn base_url(&self, host: Option<&str>) -> String {
        let (scheme, host) = self.seen_as(host);
        format!("{scheme}://{host}")
    }

    /// Counts a receiver as waiting until the result is dropped.
    pub(crate) fn count_waiting(&self) -> Counted<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Counted { counter: &self.waiting }
    }
}

/// Whether a host can stand in a URL as it is.
fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && host.len() <= 256 && host.bytes().all(plain)
}

/// Waits until the server is told to stop.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever could tell is gone, and so the server has stopped.
    let _ = stopping.wait_for(|stopping| *stopping).await;
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
