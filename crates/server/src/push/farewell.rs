//! Telling an endpoint that its subscription has ended. What was to be delivered went with the subscription, and so did its
//! queue: this is tried as its delivery policy says, and not any more once the server stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use weir_push::answer::{self, Answer, Outcome};
use weir_push::request::Request;

use super::outgoing::Outgoing;
use super::setup::{Setup, Way};
use super::shared::wall_ms;
use crate::app::{App, stopped};
use crate::engine::Engine;
use crate::sns::Asking;

/// Endpoints that are told at once. When all are taken, others are not told.
const AT_ONCE_MAX: usize = 1_000;

/// Who is told.
#[derive(Debug)]
pub(super) struct Farewells(Arc<Semaphore>);

impl Farewells {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE_MAX)))
    }
}

/// A subscription that is about to end, whose endpoint is to be told.
pub(crate) struct Farewell {
    setup: Arc<Setup>,
}

impl Farewell {
    /// Of the target that is called with this, if it is that of a subscription over SNS.
    pub(super) fn of(setup: Arc<Setup>) -> Option<Self> {
        setup.notifier.is_some().then_some(Self { setup })
    }

    /// The address by which links lead to this server.
    pub(crate) fn base(&self) -> &str {
        self.setup.notifier.as_ref().map_or("", |notifier| notifier.base())
    }

    /// Says it.
    pub(crate) fn say<E: Engine>(self, app: &App<E>, asking: Asking) {
        let Some(notifier) = &self.setup.notifier else { return };
        let Ok(permit) = Arc::clone(&app.pushers.farewells.0).try_acquire_owned() else {
            tracing::warn!(url = notifier.url(), "too many ended subscriptions are being told of: this one is not");
            return;
        };
        let request = notifier.farewell(asking);
        let stopping = app.stopping.clone();
        tokio::spawn(async move {
            self.deliver(request, stopping).await;
            drop(permit);
        });
    }

    async fn deliver(self, request: Request, mut stopping: watch::Receiver<bool>) {
        let (Some(notifier), Way::Requests(client)) = (&self.setup.notifier, &self.setup.way) else { return };
        let url = notifier.url();
        for retry in 1.. {
            let call = client.call(request.headers.clone(), Outgoing::new(request.body.clone()));
            let answered = tokio::select! {
                answered = call => answered,
                () = stopped(&mut stopping) => return,
            };
            match answered {
                Ok(answered) => {
                    let (headers, body) = (&answered.headers, answered.body.as_deref());
                    let answer = Answer { status: answered.status, headers, body };
                    let meaning = answer::of_notification(&answer, wall_ms());
                    if matches!(meaning.outcomes.first(), None | Some(Outcome::Done(_) | Outcome::Failed(_, false))) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(url, error = error.text, "an endpoint was not told that its subscription ended");
                }
            }
            let Some(delay_ms) = notifier.retries().delay_ms(retry) else { return };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(delay_ms)) => {}
                () = stopped(&mut stopping) => return,
            }
        }
    }
}
