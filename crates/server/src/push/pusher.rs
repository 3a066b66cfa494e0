//! The task of one target: it leases what may be sent, has it sent, and settles what came of it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use weir_aws::sqs::RECEIVE_BYTES_MAX;
use weir_core::api::job::Settlement;
use weir_core::api::{BATCH_MAX, Command, Error, Handle, QueueId, Reply};
use weir_push::breaker::Change;
use weir_push::settings::{BATCH_BYTES_MAX, Batch};
use weir_push::{Gate, Health};
use weir_shard::{Answer, Refused};

use super::parcel::{Leased, by_group, in_batches, singly};
use super::send::{Landed, release, send};
use super::setup::Setup;
use super::shared::Known;
use crate::app::App;
use crate::engine::{self, Engine, Fate, Receiving};

/// How long a lease is, where the request may take longer: it is extended as long as the request is under way. After a
/// crash of the server its messages come again when their leases end.
const LEASE_MS: u64 = 30_000;
/// What a lease is longer than the request may be.
const SLACK_MS: u64 = 5_000;
/// How often leases are extended.
const BEAT: Duration = Duration::from_secs(10);
/// How long to wait for a message before asking again.
const WAIT_MS: u64 = 3_600_000;
/// While so many settlements wait nothing more is leased.
const UNSETTLED_MAX: usize = 4_096;
/// While results, failures and logs of so many bytes wait, neither; and so many are settled together, the last one reaching
/// beyond.
const SETTLED_BYTES_MAX: usize = 16 << 20;

/// What a task is to do.
#[derive(Clone)]
pub(super) enum Wanted {
    /// To push with this.
    Run(Arc<Setup>),
    /// To end once what is under way has ended.
    End,
}

/// The task of one target.
pub(super) struct Pusher<E: Engine> {
    app: Arc<App<E>>,
    known: Arc<Known>,
    wanted: watch::Receiver<Wanted>,
    setup: Arc<Setup>,
    ends: bool,
    flying: JoinSet<Landed>,
    next_flight: u64,
    /// Flights before this one went through an earlier gate.
    flights_from: u64,
    /// What is under way.
    held: HashMap<u64, Flight>,
    /// When leases are extended, in order.
    beats: VecDeque<(Instant, u64)>,
    unsettled: Vec<(Handle, Settlement)>,
    /// Bytes of their results, failures and logs.
    unsettled_bytes: usize,
    /// Whether the lease that is asked for is one of settings that have changed.
    is_stale: bool,
    /// When to lease again after that was refused.
    leases_at: Option<Instant>,
    /// When what is under way is cut off, because the server stops.
    cut_at: Option<Instant>,
}

/// What is under way.
struct Flight {
    handles: SmallVec<[Handle; 1]>,
    /// Whether it is to end early.
    stop: watch::Sender<bool>,
}

/// Settling leases; it answers with those that are lost, or are to be let go of.
type Settling<'a> = Pin<Box<dyn Future<Output = Vec<Handle>> + Send + 'a>>;

impl<E: Engine> Pusher<E> {
    pub(super) fn new(app: Arc<App<E>>, known: Arc<Known>, wanted: watch::Receiver<Wanted>, setup: Arc<Setup>) -> Self {
        Self {
            app,
            known,
            wanted,
            setup,
            ends: false,
            flying: JoinSet::new(),
            next_flight: 0,
            flights_from: 0,
            held: HashMap::new(),
            beats: VecDeque::new(),
            unsettled: Vec::new(),
            unsettled_bytes: 0,
            is_stale: false,
            leases_at: None,
            cut_at: None,
        }
    }

    /// Pushes until it is told to end, the server stops, or the queue is gone; and what is under way has ended.
    pub(super) async fn run(mut self) {
        let app = Arc::clone(&self.app);
        let mut stopping = app.stopping.clone();
        let mut leasing: Option<Receiving<'_, E>> = None;
        let mut settling: Option<Settling<'_>> = None;
        if *stopping.borrow_and_update() {
            self.stop();
        }
        loop {
            if settling.is_none() && !self.unsettled.is_empty() {
                let entries: Vec<_> = self.unsettled.drain(..settled_together(&self.unsettled)).collect();
                self.unsettled_bytes -= entries.iter().map(bytes).sum::<usize>();
                settling = Some(Box::pin(settle(&app.engine, self.setup.queue.id, entries)));
            }
            let free = self.free();
            match &leasing {
                None if free > 0 => {
                    self.is_stale = false;
                    let command = self.lease(free);
                    match Receiving::start(&app.engine, &app.undelivered, self.setup.queue.id.into(), command) {
                        Ok(receiving) => leasing = Some(receiving),
                        Err(refused) => self.refused(&refused),
                    }
                }
                Some(receiving) if free == 0 || self.is_stale => receiving.withdraw(),
                _ => {}
            }
            if self.ends
                && leasing.is_none()
                && self.flying.is_empty()
                && settling.is_none()
                && self.unsettled.is_empty()
            {
                return;
            }
            let wakes_at = self.wakes_at(free);
            tokio::select! {
                Some(landed) = self.flying.join_next(), if !self.flying.is_empty() => {
                    self.landed(landed);
                    while let Some(landed) = self.flying.try_join_next() {
                        self.landed(landed);
                    }
                }
                answer = async { leasing.as_mut().expect("the branch is only looked at while one leases").await },
                    if leasing.is_some() => {
                    leasing = None;
                    self.leased(answer);
                }
                lost = async { settling.as_mut().expect("the branch is only looked at while something is settled").await },
                    if settling.is_some() => {
                    settling = None;
                    self.lost(&lost);
                }
                changed = self.wanted.changed(), if !self.ends => {
                    // Who could want something is gone: so is the server.
                    self.ends |= changed.is_err();
                    self.change();
                }
                // The only thing that can be told is that the server stops.
                _ = stopping.changed(), if self.cut_at.is_none() => self.stop(),
                () = async { sleep_until(wakes_at.unwrap_or_else(Instant::now)).await }, if wakes_at.is_some() => {}
            }
            self.beat();
            if self.cut_at.is_some_and(|at| at <= Instant::now()) {
                self.cut();
            }
        }
    }

    /// The server stops: nothing more is leased, and what is under way has a while to end.
    fn stop(&mut self) {
        self.ends = true;
        // A part of the time is for settling.
        self.cut_at = Some(Instant::now() + self.app.config.stop_timeout.mul_f64(0.8));
    }

    /// Cuts off what is under way. Its messages come again, at no cost: nobody knows what came of them.
    fn cut(&mut self) {
        self.flying.abort_all();
        let handles = self.held.drain().flat_map(|(_, flight)| flight.handles);
        self.unsettled.extend(handles.map(|handle| (handle, release(None))));
    }

    /// How many requests may start.
    fn free(&self) -> u32 {
        let is_held = self.leases_at.is_some_and(|at| Instant::now() < at);
        let is_full = self.unsettled.len() >= UNSETTLED_MAX || self.unsettled_bytes >= SETTLED_BYTES_MAX;
        if self.ends || self.setup.paused || is_held || is_full {
            return 0;
        }
        self.known.free()
    }

    /// What leases the messages of so many requests.
    fn lease(&self, free: u32) -> Command {
        let settings = &self.setup.target.settings;
        let free = free as usize;
        let (max, bytes_max, linger_ms) = match settings.batches() {
            None => (free, RECEIVE_BYTES_MAX, 0),
            // Without a wait and a bound on bytes several batches are leased together.
            Some(Batch { max, bytes_max: BATCH_BYTES_MAX, wait_ms: 0 }) => {
                (free.saturating_mul(max as usize), BATCH_BYTES_MAX, 0)
            }
            Some(Batch { max, bytes_max, wait_ms }) => (max as usize, bytes_max, wait_ms),
        };
        Command::Lease {
            queue: self.setup.queue.id,
            max: max.min(BATCH_MAX) as u32,
            bytes_max,
            lease_ms: Some(self.lease_ms().0),
            wait_ms: WAIT_MS,
            linger_ms,
            one_lane: false,
        }
    }

    /// Length of the leases, and whether they are to be extended.
    fn lease_ms(&self) -> (u64, bool) {
        let enough_ms = self.setup.target.settings.timeouts.total_ms.saturating_add(SLACK_MS);
        // Only who extends a lease learns that its job was cancelled, and of a request nobody could take anything back.
        let alone_ms = if self.setup.runs_processes() { BEAT.as_millis() as u64 } else { LEASE_MS };
        if enough_ms <= alone_ms && !self.setup.is_ordered() { (enough_ms, false) } else { (LEASE_MS, true) }
    }

    /// Sends what was leased.
    fn leased(&mut self, answer: Answer) {
        let answered = match answer {
            Ok(answered) => answered,
            Err(refused) => {
                self.is_stale = false;
                return self.refused(&refused);
            }
        };
        if std::mem::take(&mut self.is_stale) {
            return engine::give_back(&self.app.undelivered, self.setup.queue.id, &answered);
        }
        let Reply::Received(deliveries) = answered.reply else { return };
        let pairs = deliveries.into_iter().zip(answered.payloads);
        let leased = pairs.map(|(delivery, payload)| Leased { delivery, payload }).collect();
        let parcels = match self.setup.target.settings.batches() {
            Some(batch) => in_batches(leased, batch.max as usize, u64::MAX),
            None if self.setup.is_ordered() => by_group(leased),
            None => singly(leased),
        };
        let (_, extends) = self.lease_ms();
        // What the gate let through may be less by now.
        let mut free = self.free();
        for parcel in parcels {
            if free == 0 {
                let handles = parcel.messages().iter().map(|leased| leased.delivery.handle).collect();
                self.app.tell_fate(self.setup.queue.id, handles, Fate::Lost);
                continue;
            }
            free -= 1;
            let flight = self.next_flight;
            self.next_flight += 1;
            let (stop, stopped) = watch::channel(false);
            let handles = parcel.messages().iter().map(|leased| leased.delivery.handle).collect();
            self.held.insert(flight, Flight { handles, stop });
            if extends {
                self.beats.push_back((Instant::now() + BEAT, flight));
            }
            let passed = self.known.with_gate(Gate::pass);
            let (app, setup) = (Arc::clone(&self.app), Arc::clone(&self.setup));
            self.flying.spawn(send(app, setup, parcel, flight, passed, stopped));
        }
    }

    /// Takes in what came of a flight.
    fn landed(&mut self, landed: Result<Landed, tokio::task::JoinError>) {
        let landed = match landed {
            Ok(landed) => landed,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                // Its leases end by themselves; its place in the gate is lost until the target is set again.
                tracing::error!(queue = self.setup.queue.name, %error, "sending to a push target broke off");
                return;
            }
        };
        let Landed { flight, passed, settlements, health, latency, hold_ms, holds, counts, trouble } = landed;
        if self.held.remove(&flight).is_none() {
            // It was cut off, and its leases were ended.
            return;
        }
        self.unsettled_bytes += settlements.iter().map(bytes).sum::<usize>();
        self.unsettled.extend(settlements);
        let queue = &self.setup.queue.name;
        if flight < self.flights_from {
            self.known.earlier_ended();
        } else {
            let (change, held_ms) = self.known.with_gate(|gate, now_ms| {
                let change = gate.end(now_ms, passed, latency.as_secs_f64() * 1_000.0, health);
                let held_ms = if holds { Some(gate.hold_ms()) } else { hold_ms };
                if let Some(ms) = held_ms {
                    gate.hold(now_ms, ms);
                }
                (change, held_ms)
            });
            match change {
                Change::Opened => tracing::warn!(queue, "a push target fails again and again and is left alone"),
                Change::Closed => tracing::info!(queue, "a push target is back"),
                Change::None => {}
            }
            if let Some(for_ms) = held_ms {
                tracing::debug!(queue, for_ms, "a push target asked to be left alone");
            }
        }
        if let Some(text) = trouble.as_deref().filter(|_| health != Health::Well) {
            tracing::debug!(queue, trouble = text, "a push did not succeed");
        }
        self.known.count(counts, trouble);
    }

    /// What is under way under one of these leases need not go on.
    fn lost(&mut self, handles: &[Handle]) {
        if handles.is_empty() {
            return;
        }
        for flight in self.held.values() {
            if flight.handles.iter().any(|handle| handles.contains(handle)) {
                flight.stop.send_replace(true);
            }
        }
    }

    /// A lease was refused.
    fn refused(&mut self, refused: &Refused) {
        match refused {
            Refused::Overloaded { retry_after } => self.leases_at = Some(Instant::now() + *retry_after),
            Refused::Engine(Error::QueueNotFound) | Refused::Closed => self.ends = true,
            other => {
                tracing::error!(queue = self.setup.queue.name, error = %other, "cannot lease for a push target");
                self.ends = true;
            }
        }
    }

    /// Goes on as is wanted now.
    fn change(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        match wanted {
            Wanted::End => self.ends = true,
            Wanted::Run(setup) => {
                let is_same = setup.target.settings == self.setup.target.settings;
                if !is_same || setup.per_second() != self.setup.per_second() {
                    self.known.change(&setup);
                    self.flights_from = self.next_flight;
                }
                self.known.pause(setup.paused);
                self.is_stale = true;
                self.setup = setup;
            }
        }
    }

    /// Extends the leases of what has been under way for long.
    fn beat(&mut self) {
        let now = Instant::now();
        while let Some(&(at, flight)) = self.beats.front() {
            if at > now && self.held.contains_key(&flight) {
                return;
            }
            self.beats.pop_front();
            let Some(Flight { handles, .. }) = self.held.get(&flight) else { continue };
            let extended =
                |&handle| (handle, Settlement::Extend { lease_ms: Some(LEASE_MS), progress: None, logs: Vec::new() });
            self.unsettled.extend(handles.iter().map(extended));
            self.beats.push_back((now + BEAT, flight));
        }
    }

    /// When there is something to do although nothing happens.
    fn wakes_at(&self, free: u32) -> Option<Instant> {
        let beat = self.beats.front().map(|&(at, _)| at);
        let cut = self.cut_at.filter(|_| !self.held.is_empty());
        let leases = self.leases_at.filter(|&at| at > Instant::now());
        let opens = || self.known.opens_at_ms().map(|ms| self.known.moment(ms));
        let opens = if free == 0 && !self.ends && !self.setup.paused { opens() } else { None };
        [beat, leases, opens, cut].into_iter().flatten().min()
    }
}

/// How many of these settlements go to the engine together.
fn settled_together(unsettled: &[(Handle, Settlement)]) -> usize {
    let mut before = 0;
    let fits = |entry: &&(Handle, Settlement)| {
        let fits = before < SETTLED_BYTES_MAX;
        before += bytes(entry);
        fits
    };
    unsettled.iter().take(BATCH_MAX).take_while(fits).count()
}

/// What a settlement brings.
fn bytes((_, settlement): &(Handle, Settlement)) -> usize {
    match settlement {
        Settlement::Complete { result } => result.as_ref().map_or(0, Vec::len),
        Settlement::Fail { failure, .. } => failure.len(),
        Settlement::Extend { logs, .. } => logs.iter().map(Vec::len).sum(),
        Settlement::Release { .. } | Settlement::WaitForChildren => 0,
    }
}

/// Settles leases. What cannot be settled comes again when its lease ends.
async fn settle<E: Engine>(engine: &E, queue: QueueId, entries: Vec<(Handle, Settlement)>) -> Vec<Handle> {
    let all = || entries.iter().map(|(handle, _)| *handle).collect();
    loop {
        let command = Command::Settle { queue, entries: entries.iter().cloned().collect(), seed: rand::random() };
        match engine::call(engine, command).await {
            Ok(answered) => {
                let Reply::JobsSettled(outcomes) = answered.reply else { return Vec::new() };
                let lost = outcomes.iter().filter(|outcome| outcome.is_err()).count();
                if lost > 0 {
                    tracing::debug!(queue = queue.0, lost, "leases had ended before a push was settled");
                }
                let ends = entries.iter().zip(&outcomes).filter(|(_, outcome)| match outcome {
                    Ok(settled) => settled.cancel_requested,
                    Err(_) => true,
                });
                return ends.map(|((handle, _), _)| *handle).collect();
            }
            Err(Refused::Overloaded { retry_after }) => sleep(retry_after).await,
            // It was deleted, and what was sent of it with it.
            Err(Refused::Engine(Error::QueueNotFound)) => return all(),
            Err(refused) => {
                tracing::warn!(queue = queue.0, error = %refused, "pushes cannot be settled");
                return Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_together_has_a_bound_in_bytes_and_in_number() {
        let handle = Handle { space: 1, message: 1, grant: 1, proof: 1 };
        let of = |len: usize| (handle, Settlement::Complete { result: Some(vec![b'1'; len]) });
        let most = SETTLED_BYTES_MAX;
        assert_eq!(settled_together(&[]), 0);
        assert_eq!(settled_together(&[of(most), of(1)]), 1);
        assert_eq!(settled_together(&[of(most - 1), of(most), of(1)]), 2);
        assert_eq!(settled_together(&vec![of(0); BATCH_MAX + 1]), BATCH_MAX);
    }
}
