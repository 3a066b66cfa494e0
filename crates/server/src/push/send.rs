//! Sending a parcel, and what its leases are settled with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use weir_core::api::Handle;
use weir_core::api::job::{Again, PauseKeys, Settlement};
use weir_push::Health;
use weir_push::answer::{self, Answer, Meaning, Outcome};
use weir_push::gate::Passed;

use super::client::NoAnswer;
use super::outgoing::Outgoing;
use super::parcel::{self, Leased, Parcel};
use super::setup::Setup;
use super::shared::{Counts, wall_ms};
use crate::engine::Undelivered;

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

/// Sends a parcel.
pub(super) async fn send(
    setup: Arc<Setup>,
    parcel: Parcel,
    flight: u64,
    passed: Passed,
    undelivered: Undelivered,
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
    match parcel {
        Parcel::Together(messages) => {
            landed.request(&setup, &messages, &undelivered).await;
        }
        Parcel::InTurn(messages) => {
            let mut rest = messages.iter();
            for leased in rest.by_ref() {
                if !landed.request(&setup, std::slice::from_ref(leased), &undelivered).await {
                    break;
                }
            }
            // Behind a message that was not done none may go: they come again, in order, and it costs them nothing.
            landed.settlements.extend(rest.map(|leased| (leased.delivery.handle, release(None))));
        }
    }
    landed
}

impl Landed {
    /// Sends these messages in one request; whether all were done.
    async fn request(&mut self, setup: &Setup, messages: &[Leased], undelivered: &Undelivered) -> bool {
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
        let body = if setup.is_limited() {
            Outgoing::limited(request.body, undelivered.clone(), setup.queue.id, handles.clone())
        } else {
            Outgoing::new(request.body)
        };
        let started = Instant::now();
        let answered = setup.client.call(request.headers, body).await;
        self.latency = started.elapsed();
        let meaning = match answered {
            Ok(answered) => {
                let answer =
                    Answer { status: answered.status, headers: &answered.headers, body: answered.body.as_deref() };
                answer::read(&setup.target, &readable, &answer, now_ms)
            }
            Err(NoAnswer { text, timed_out }) => Meaning {
                outcomes: vec![Outcome::Failed(answer::failure(&text), true); readable.len()],
                health: if timed_out { Health::Overloaded } else { Health::Sick },
                wait_ms: None,
                error: Some(text),
            },
        };
        self.health = meaning.health;
        self.trouble = meaning.error.or(self.trouble.take());
        let is_throttled = meaning.outcomes.contains(&Outcome::Throttled);
        // The engine holds back whom the queue's limiters name, or the queue; without a time the target itself is left alone.
        let mut pause = meaning.wait_ms.filter(|&ms| is_throttled && ms > 0);
        self.holds = is_throttled && pause.is_none();
        if !is_throttled {
            self.hold_ms = meaning.wait_ms;
        }
        let mut all_done = readable.len() == messages.len();
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
                    let again = if again { Again::ByPolicy } else { Again::Never };
                    Settlement::Fail { failure, again }
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
    fn fail(&mut self, handles: &[Handle], text: &str) {
        self.counts.failed += handles.len() as u64;
        self.trouble = Some(text.to_owned());
        let failed = || Settlement::Fail { failure: answer::failure(text), again: Again::Never };
        self.settlements.extend(handles.iter().map(|&handle| (handle, failed())));
    }
}

/// The end of a lease that costs no attempt.
pub(super) fn release(pause_ms: Option<u64>) -> Settlement {
    Settlement::Release { delay_ms: 0, pause: pause_ms.map(|for_ms| PauseKeys { limiter: None, for_ms }) }
}
