//! Sending a parcel, and what its leases are settled with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use smallvec::SmallVec;
use tokio::sync::watch;
use weir_core::api::Handle;
use weir_core::api::job::{Again, PauseKeys, Settlement};
use weir_push::Health;
use weir_push::answer::{self, Answer, Meaning, Outcome};
use weir_push::gate::Passed;
use weir_push::request::Request;

use super::client::{Answer as Answered, Client, NoAnswer};
use super::notifier::{Notifier, Unsent};
use super::outgoing::Outgoing;
use super::parcel::{self, Leased, Parcel};
use super::setup::{Setup, Way};
use super::shared::{Counts, wall_ms};
use crate::app::App;
use crate::engine::Engine;

/// What came of a parcel.
pub(super) struct Landed {
    /// Its number.
    pub(super) flight: u64,
    pub(super) passed: Passed,
    pub(super) settlements: Vec<(Handle, Settlement)>,
    pub(super) health: Health,
    /// How long a request took.
    pub(super) latency: Duration,
    /// For how long nothing is to be sent at all.
    pub(super) hold_ms: Option<u64>,
    /// Whether it was asked to send less without being told for how long.
    pub(super) holds: bool,
    pub(super) counts: Counts,
    pub(super) trouble: Option<String>,
}

/// Sends a parcel. Processes end early where `stop` says so.
pub(super) async fn send<E: Engine>(
    app: Arc<App<E>>,
    setup: Arc<Setup>,
    parcel: Parcel,
    flight: u64,
    passed: Passed,
    stop: watch::Receiver<bool>,
) -> Landed {
    let mut landed = Landed {
        flight,
        passed,
        settlements: Vec::with_capacity(parcel.messages().len()),
        health: Health::Unknown,
        latency: Duration::ZERO,
        hold_ms: None,
        holds: false,
        counts: Counts::default(),
        trouble: None,
    };
    let client = match &setup.way {
        Way::Requests(client) => client,
        Way::Processes(processes) => {
            for leased in parcel.messages() {
                landed.run(&app, &setup, processes, leased, stop.clone()).await;
            }
            return landed;
        }
        Way::Calls(caller) => {
            let mut rest = parcel.messages().iter();
            for leased in rest.by_ref() {
                if !landed.call_function(&app, &setup, caller, leased).await {
                    break;
                }
            }
            landed.put_back(rest);
            return landed;
        }
    };
    match parcel {
        Parcel::Together(messages) => {
            landed.request(&app, &setup, client, &messages).await;
        }
        Parcel::InTurn(messages) => {
            let mut rest = messages.iter();
            for leased in rest.by_ref() {
                if !landed.request(&app, &setup, client, std::slice::from_ref(leased)).await {
                    break;
                }
            }
            landed.put_back(rest);
        }
    }
    landed
}

impl Landed {
    /// Behind a message that was not done none may go: they come again, in order, and it costs them nothing.
    fn put_back<'a>(&mut self, rest: impl Iterator<Item = &'a Leased>) {
        self.settlements.extend(rest.map(|leased| (leased.delivery.handle, release(None))));
    }

    /// Sends these messages in one request; whether all were done.
    async fn request<E: Engine>(&mut self, app: &App<E>, setup: &Setup, client: &Client, messages: &[Leased]) -> bool {
        if let (Some(notifier), [leased]) = (&setup.notifier, messages) {
            return self.notify(app, setup, client, notifier, leased).await;
        }
        let mut readable = Vec::with_capacity(messages.len());
        let mut handles: SmallVec<[Handle; 1]> = SmallVec::with_capacity(messages.len());
        for leased in messages {
            match parcel::message(setup.queue.id, leased) {
                Ok(message) => {
                    readable.push(message);
                    handles.push(leased.delivery.handle);
                }
                Err(text) => self.fail(&[leased.delivery.handle], &text),
            }
        }
        if readable.is_empty() {
            return false;
        }
        let now_ms = wall_ms();
        let request = match setup.target.request(&setup.origin(), &readable, now_ms, rand::random()) {
            Ok(request) => request,
            Err(text) => {
                self.fail(&handles, &text);
                return false;
            }
        };
        let meaning = match self.call(app, setup, client, request, &handles).await {
            Ok(answered) => answer::read(&setup.target, &readable, &of(&answered), now_ms),
            Err(error) => unanswered(error, readable.len()),
        };
        let all_done = self.settle(setup, &handles, meaning, |failure, again| {
            let again = if again { Again::ByPolicy } else { Again::Never };
            Settlement::Fail { failure, again }
        });
        all_done && readable.len() == messages.len()
    }

    /// Sends what came by a subscription over SNS.
    async fn notify<E: Engine>(
        &mut self,
        app: &App<E>,
        setup: &Setup,
        client: &Client,
        notifier: &Notifier,
        leased: &Leased,
    ) -> bool {
        let handle = leased.delivery.handle;
        let request = match notifier.request(app, leased).await {
            Ok(request) => request,
            Err(Unsent::Never(text)) => {
                self.fail(&[handle], &text);
                return false;
            }
            Err(Unsent::Now(text)) => {
                self.counts.failed += 1;
                self.settlements.push((handle, notifier.failed(&leased.delivery, answer::failure(&text), true)));
                self.trouble = Some(text);
                return false;
            }
            Err(Unsent::NotWanted) => {
                self.settlements.push((handle, Settlement::Complete { result: None }));
                return true;
            }
        };
        let meaning = match self.call(app, setup, client, request, &[handle]).await {
            Ok(answered) => answer::of_notification(&of(&answered), wall_ms()),
            Err(error) => unanswered(error, 1),
        };
        self.settle(setup, &[handle], meaning, |failure, again| notifier.failed(&leased.delivery, failure, again))
    }

    /// Makes a request for these messages.
    async fn call<E: Engine>(
        &mut self,
        app: &App<E>,
        setup: &Setup,
        client: &Client,
        request: Request,
        handles: &[Handle],
    ) -> Result<Answered, NoAnswer> {
        let body = if setup.is_limited() {
            Outgoing::limited(request.body, app.undelivered.clone(), setup.queue.id, handles.into())
        } else {
            Outgoing::new(request.body)
        };
        let started = Instant::now();
        let answered = client.call(request.headers, body).await;
        self.latency = started.elapsed();
        answered
    }

    /// Notes what an answer means; whether all messages were done. `failed` says what becomes of one that was not.
    fn settle(
        &mut self,
        setup: &Setup,
        handles: &[Handle],
        meaning: Meaning,
        failed: impl Fn(Vec<u8>, bool) -> Settlement,
    ) -> bool {
        self.health = meaning.health;
        self.trouble = meaning.error.or(self.trouble.take());
        let is_throttled = meaning.outcomes.contains(&Outcome::Throttled);
        // The engine holds back whom the queue's limiters name, or the queue; without a time the target itself is left alone.
        let mut pause = meaning.wait_ms.filter(|&ms| is_throttled && ms > 0);
        self.holds = is_throttled && pause.is_none();
        if !is_throttled {
            self.hold_ms = meaning.wait_ms;
        }
        let mut all_done = true;
        for (handle, outcome) in handles.iter().zip(meaning.outcomes) {
            let settlement = match outcome {
                Outcome::Done(result) => {
                    self.counts.delivered += 1;
                    Settlement::Complete { result }
                }
                Outcome::CallsBack => {
                    // Where order counts the next one waits for the call.
                    all_done = false;
                    self.counts.delivered += 1;
                    let lease_ms = Some(setup.target.settings.timeouts.callback_ms);
                    Settlement::Extend { lease_ms, progress: None, logs: Vec::new() }
                }
                Outcome::Failed(failure, again) => {
                    all_done = false;
                    self.counts.failed += 1;
                    failed(failure, again)
                }
                Outcome::Throttled => {
                    all_done = false;
                    self.counts.throttled += 1;
                    release(pause.take())
                }
            };
            self.settlements.push((*handle, settlement));
        }
        all_done
    }

    /// What can never be sent fails for good.
    pub(super) fn fail(&mut self, handles: &[Handle], text: &str) {
        self.counts.failed += handles.len() as u64;
        self.trouble = Some(text.to_owned());
        let failed = || Settlement::Fail { failure: answer::failure(text), again: Again::Never };
        self.settlements.extend(handles.iter().map(|&handle| (handle, failed())));
    }
}

/// An answer as it is read.
fn of(answered: &Answered) -> Answer<'_, HeaderMap> {
    Answer { status: answered.status, headers: &answered.headers, body: answered.body.as_deref() }
}

/// What it means for so many messages that there is no answer.
fn unanswered(NoAnswer { text, timed_out }: NoAnswer, count: usize) -> Meaning {
    Meaning {
        outcomes: vec![Outcome::Failed(answer::failure(&text), true); count],
        health: if timed_out { Health::Overloaded } else { Health::Sick },
        wait_ms: None,
        error: Some(text),
    }
}

/// The end of a lease that costs no attempt.
pub(super) fn release(pause_ms: Option<u64>) -> Settlement {
    Settlement::Release { delay_ms: 0, pause: pause_ms.map(|for_ms| PauseKeys { limiter: None, for_ms }) }
}
