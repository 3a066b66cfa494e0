//! A worker at work: one task that leases, starts what was leased, keeps leases alive and settles them.

use std::collections::HashMap;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::Instrument as _;

use super::attempt::{Link, Report};
use super::failure;
use super::outbox::Outbox;
use super::wire::{Action, LeaseRequest, LeasedJob, LeasedJobs, SettleRequest, Settled, SettledJobs, Settlement};
use super::{Settings, Summary};
use crate::client::{Backoff, Client};
use crate::error::Error;
use crate::new_job::ms;
use crate::queue::json;

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// What is done with the jobs of a unit: each lease and how it ended. What is left out was broken off.
pub(super) type Work = Arc<dyn Fn(Vec<(LeasedJob, Link)>) -> Future<Ends> + Send + Sync>;

/// How the jobs of a unit ended.
pub(super) type Ends = Vec<(Arc<str>, Action)>;

/// Most jobs of a request.
const LEASE_MAX: usize = 1_000;
/// Reports that wait for the worker's task; jobs that say more have to wait.
const REPORTS: usize = 256;
/// How long what is left to be told may take at the end.
const FLUSH: Duration = Duration::from_secs(10);
/// What is shorter makes more heartbeats than work.
const LEASE_MS_MIN: u64 = 100;

pub(super) struct Run {
    client: Client,
    queue: Arc<str>,
    settings: Settings,
    lease_ms: u64,
    work: Work,
    tasks: JoinSet<Ends>,
    units: HashMap<task::Id, Unit>,
    leases: HashMap<Arc<str>, Held>,
    outbox: Outbox,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
    /// The request for more that is on its way.
    leasing: Option<Request<LeasedJobs>>,
    /// The request that only settles.
    settling: Option<Request<SettledJobs>>,
    backoff: Backoff,
    /// No request is made before.
    quiet_until: Option<Instant>,
    /// Since when nothing more is leased, and why if not because somebody said so.
    stopping: Option<Instant>,
    fatal: Option<Error>,
    summary: Summary,
}

/// Jobs that are worked on together.
struct Unit {
    leases: Vec<Arc<str>>,
    abort: AbortHandle,
}

/// A lease of a job that is being worked on.
struct Held {
    unit: task::Id,
    id: String,
    extend_at: Instant,
    cancel: watch::Sender<bool>,
    cancelled_at: Option<Instant>,
}

struct Request<R> {
    answer: Future<Result<R, Error>>,
    /// What it settles.
    carries: Vec<Settlement>,
}

impl Run {
    /// Looks for the queue. Errors: `queue.not_found`, and what cannot be waited out.
    pub(super) async fn start(client: Client, queue: &str, settings: Settings, work: Work) -> Result<Self, Error> {
        let lease_ms = match settings.lease {
            Some(lease) => ms(lease).max(LEASE_MS_MIN),
            None => client.queue::<()>(queue).info().await?.lease_ms.max(LEASE_MS_MIN),
        };
        let (reporter, reports) = mpsc::channel(REPORTS);
        Ok(Self {
            client,
            queue: queue.into(),
            settings,
            lease_ms,
            work,
            tasks: JoinSet::new(),
            units: HashMap::new(),
            leases: HashMap::new(),
            outbox: Outbox::default(),
            reports,
            reporter,
            leasing: None,
            settling: None,
            backoff: Backoff::default(),
            quiet_until: None,
            stopping: None,
            fatal: None,
            summary: Summary::default(),
        })
    }

    /// Works until `shutdown`, then ends what runs.
    pub(super) async fn until(mut self, shutdown: impl std::future::Future<Output = ()>) -> Result<Summary, Error> {
        let mut shutdown = pin!(shutdown);
        let lease = Duration::from_millis(self.lease_ms);
        let mut tick = interval((lease / 6).min(Duration::from_secs(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.ask();
            if self.is_done() {
                break;
            }
            tokio::select! {
                () = &mut shutdown, if self.stopping.is_none() => self.stop(),
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                answer = answered(&mut self.leasing) => self.leased(answer),
                answer = answered(&mut self.settling) => self.settled(answer),
                Some(report) = self.reports.recv(), if !self.outbox.is_full() => self.reported(report),
                _ = tick.tick() => self.look_around(),
                () = quiet(self.quiet_until) => self.quiet_until = None,
            }
        }
        self.fatal.map_or(Ok(self.summary), Err)
    }

    /// Makes the requests that can be made.
    fn ask(&mut self) {
        if self.quiet_until.is_some() {
            return;
        }
        // What settles goes by one way at a time, so that it arrives in order.
        let busy = self.settling.is_some() || self.leasing.as_ref().is_some_and(|request| !request.carries.is_empty());
        let free = self.settings.concurrency.saturating_sub(self.units.len());
        if self.stopping.is_none() && self.leasing.is_none() && free > 0 {
            let carries = if busy { Vec::new() } else { self.outbox.take(self.lease_ms) };
            self.lease(free, carries);
        } else if !busy && !self.outbox.is_empty() {
            self.settle();
        }
    }

    fn lease(&mut self, free: usize, carries: Vec<Settlement>) {
        // Who waits for what became of a settlement does not wait for a job, too.
        let wait = if carries.is_empty() { self.settings.poll } else { Duration::ZERO };
        let batched = self.settings.batch > 1;
        let request = LeaseRequest {
            max: if batched { self.settings.batch } else { free }.min(LEASE_MAX),
            wait_ms: ms(wait),
            lease_ms: self.lease_ms,
            linger_ms: ms(self.settings.linger),
            one_group: self.settings.one_group,
            settle: &carries,
        };
        let answer = self.request("lease", &request, wait + self.settings.linger);
        self.leasing = Some(Request { answer, carries });
    }

    fn settle(&mut self) {
        let carries = self.outbox.take(self.lease_ms);
        let answer = self.request("settle", &SettleRequest { settle: &carries }, Duration::ZERO);
        self.settling = Some(Request { answer, carries });
    }

    fn request<R: DeserializeOwned + 'static>(
        &self,
        what: &'static str,
        body: &impl serde::Serialize,
        wait: Duration,
    ) -> Future<Result<R, Error>> {
        let client = self.client.clone();
        let call = client.call_that_waits(Method::POST, &["queues", &self.queue, what], wait);
        let body = json("a request", body);
        Box::pin(async move { client.once(&call.body(body?)).await })
    }

    fn leased(&mut self, (answer, carries): (Result<LeasedJobs, Error>, Vec<Settlement>)) {
        match answer {
            Err(error) => self.failed(error, carries),
            Ok(answer) => {
                self.backoff.reset();
                self.told(carries, answer.settled);
                if self.settings.batch > 1 {
                    self.begin(answer.jobs);
                } else {
                    answer.jobs.into_iter().for_each(|job| self.begin(vec![job]));
                }
            }
        }
    }

    fn settled(&mut self, (answer, carries): (Result<SettledJobs, Error>, Vec<Settlement>)) {
        match answer {
            Err(error) => self.failed(error, carries),
            Ok(answer) => {
                self.backoff.reset();
                self.told(carries, answer.settled);
            }
        }
    }

    /// A request failed.
    fn failed(&mut self, error: Error, carries: Vec<Settlement>) {
        if error.is_transient() {
            self.outbox.give_back(carries);
            let pause = self.backoff.next(&error);
            tracing::warn!(%error, queue = &*self.queue, pause_ms = ms(pause), "the server cannot be asked now");
            self.quiet_until = Some(Instant::now() + pause);
            return;
        }
        let hopeless = match &error {
            Error::Refused(problem) => problem.code == "queue.not_found" || matches!(problem.status, 401 | 403),
            _ => true,
        };
        if carries.is_empty() || hopeless {
            tracing::error!(%error, queue = &*self.queue, "the worker cannot go on");
            self.outbox = Outbox::default();
            self.fatal.get_or_insert(error);
            self.stop();
        } else if let Some(gone) = self.outbox.refused(carries) {
            tracing::error!(%error, lease = &*gone.lease, "the server does not take this settlement; the job will be tried again");
            self.summary.lost += 1;
        }
    }

    /// Starts work on jobs.
    fn begin(&mut self, jobs: Vec<LeasedJob>) {
        let Some(first) = jobs.first() else { return };
        if self.stopping.is_some() {
            // They came when nobody wanted them any more.
            for job in jobs {
                self.outbox.end(job.lease, failure::released());
            }
            return;
        }
        let span = match jobs.len() {
            1 => tracing::info_span!(
                "job",
                queue = &*self.queue,
                id = first.id,
                name = first.name,
                attempt = first.attempt
            ),
            count => tracing::info_span!("jobs", queue = &*self.queue, first = first.id, count),
        };
        let extend_at = Instant::now() + Duration::from_millis(self.lease_ms) / 3;
        let mut held = Vec::with_capacity(jobs.len());
        let jobs: Vec<(LeasedJob, Link)> = jobs
            .into_iter()
            .map(|job| {
                let (cancel, cancelled) = watch::channel(false);
                held.push((job.lease.clone(), job.id.clone(), cancel));
                let (client, queue) = (self.client.clone(), self.queue.clone());
                let link = Link { client, queue, lease: job.lease.clone(), reports: self.reporter.clone(), cancelled };
                (job, link)
            })
            .collect();
        let work = self.work.clone();
        let abort = self.tasks.spawn(async move { work(jobs).await }.instrument(span));
        let unit = abort.id();
        let leases = held.iter().map(|(lease, ..)| lease.clone()).collect();
        self.units.insert(unit, Unit { leases, abort });
        self.leases.extend(
            held.into_iter()
                .map(|(lease, id, cancel)| (lease, Held { unit, id, extend_at, cancel, cancelled_at: None })),
        );
    }

    /// A unit of work has ended, in whatever way.
    fn ended(&mut self, ended: Result<(task::Id, Ends), JoinError>) {
        let (unit, ends, otherwise) = match ended {
            Ok((unit, ends)) => (unit, ends, failure::released()),
            Err(error) => {
                let unit = error.id();
                let otherwise = match error.try_into_panic() {
                    Ok(panic) => failure::panicked(&*panic),
                    Err(_) => failure::released(),
                };
                (unit, Vec::new(), otherwise)
            }
        };
        // What it still said of itself arrives before its end.
        while let Ok(report) = self.reports.try_recv() {
            self.reported(report);
        }
        let mut ends: HashMap<Arc<str>, Action> = ends.into_iter().collect();
        let leases = self.units.remove(&unit).map(|unit| unit.leases).unwrap_or_default();
        for lease in leases {
            // Lost leases are nobody's any more.
            let Some(held) = self.leases.remove(&lease) else { continue };
            let action = match ends.remove(&lease) {
                Some(action) => action,
                None if held.cancelled_at.is_some() => failure::cancelled(),
                None => otherwise.clone(),
            };
            self.outbox.end(lease, action);
        }
    }

    fn reported(&mut self, report: Report) {
        if self.leases.contains_key(&report.lease) {
            self.outbox.report(report);
        }
    }

    /// What became of settlements.
    fn told(&mut self, carries: Vec<Settlement>, settled: Vec<Settled>) {
        for (sent, settled) in carries.into_iter().zip(settled) {
            let done = match sent.action {
                Action::Extend { .. } => {
                    self.extended(&sent.lease, &settled);
                    continue;
                }
                Action::Complete { .. } => &mut self.summary.completed,
                Action::Fail { .. } => &mut self.summary.failed,
                Action::Release { .. } | Action::WaitForChildren {} => &mut self.summary.released,
            };
            if settled.code.is_none() {
                *done += 1;
            } else {
                self.summary.lost += 1;
                let detail = settled.detail.as_deref();
                tracing::warn!(queue = &*self.queue, code = settled.code, detail, "an attempt ended in vain");
            }
        }
    }

    /// What became of a heartbeat.
    fn extended(&mut self, lease: &Arc<str>, settled: &Settled) {
        let Some(held) = self.leases.get_mut(lease) else { return };
        if let Some(code) = &settled.code {
            tracing::warn!(queue = &*self.queue, id = held.id, code, "the lease was lost: the work is broken off");
            held.cancel.send_replace(true);
            self.summary.lost += 1;
            let unit = held.unit;
            self.leases.remove(lease);
            self.outbox.forget(lease);
            self.abort_if_nobody_wants(unit);
        } else if settled.cancel_requested && held.cancelled_at.is_none() {
            tracing::info!(queue = &*self.queue, id = held.id, "the job is to be cancelled");
            held.cancelled_at = Some(Instant::now());
            held.cancel.send_replace(true);
        }
    }

    /// Breaks off a unit of which no lease is held any more.
    fn abort_if_nobody_wants(&self, unit: task::Id) {
        let Some(found) = self.units.get(&unit) else { return };
        if !found.leases.iter().any(|lease| self.leases.contains_key(lease)) {
            found.abort.abort();
        }
    }

    /// Keeps leases alive, and breaks off what was cancelled long enough ago.
    fn look_around(&mut self) {
        let now = Instant::now();
        let third = Duration::from_millis(self.lease_ms) / 3;
        let mut overdue = Vec::new();
        for (lease, held) in &mut self.leases {
            if held.extend_at <= now {
                held.extend_at = now + third;
                self.outbox.heartbeat(lease.clone());
            }
            if held.cancelled_at.is_some_and(|at| at + self.settings.cancel_grace <= now) {
                overdue.push(held.unit);
            }
        }
        for unit in overdue {
            if let Some(unit) = self.units.get(&unit).filter(|unit| unit.leases.len() == 1) {
                unit.abort.abort();
            }
        }
        if self.stopping.is_some_and(|since| since + self.settings.drain <= now) {
            self.tasks.abort_all();
        }
    }

    /// Leases no more. A request that waits at the server is withdrawn.
    fn stop(&mut self) {
        self.stopping.get_or_insert_with(Instant::now);
        if self.leasing.as_ref().is_some_and(|request| request.carries.is_empty()) {
            self.leasing = None;
        }
    }

    fn is_done(&mut self) -> bool {
        let Some(since) = self.stopping else { return false };
        if !self.units.is_empty() {
            return false;
        }
        let told = self.outbox.is_empty() && self.leasing.is_none() && self.settling.is_none();
        let late = since + self.settings.drain + FLUSH <= Instant::now();
        if late && !told {
            tracing::error!(queue = &*self.queue, "the server was not told how the last attempts ended");
        }
        told || late
    }
}

/// The answer to a request that is on its way, and what it carried.
async fn answered<R>(request: &mut Option<Request<R>>) -> (Result<R, Error>, Vec<Settlement>) {
    let Some(under_way) = request else { return pending().await };
    let answer = under_way.answer.as_mut().await;
    let carries = request.take().map(|done| done.carries).unwrap_or_default();
    (answer, carries)
}

async fn quiet(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
