//! Gathering a batch: receiving until there are enough messages, or its window is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_aws::lambda::event_source::{Filters, Seen};
use weir_core::api::{BATCH_MAX, Command, Error, Handle, Queue, Reply};
use weir_push::message::Origin;
use weir_shard::{Answered, Refused};

use super::batch::{BEAT, LEASE_MS, drop_messages, extend};
use super::note::Mapping;
use crate::app::App;
use crate::engine::{Engine, Receiving};
use crate::push::{Leased, message};

/// How many bytes of messages make a batch full, as they will stand in its event.
pub(super) const BYTES_MAX: usize = 6 << 20;
/// How long to wait for a first message before asking again.
const WAIT_MS: u64 = 3_600_000;
/// How long to wait after an error that may pass.
const PAUSE: Duration = Duration::from_secs(1);

/// What a task runs by.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) queue: Arc<Queue>,
    pub(super) mapping: Mapping,
    pub(super) filters: Filters,
    pub(super) arn: String,
    pub(super) region: String,
    pub(super) account: String,
}

impl Setup {
    /// What the records of its messages share.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { queue: &self.queue.name, arn: &self.arn, region: &self.region, account: &self.account }
    }

    /// Whether it makes no difference which of both a task runs by.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.mapping == other.mapping && self.queue.config.visibility_ms == other.queue.config.visibility_ms
    }
}

/// A message of a batch.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) handle: Handle,
    /// Its public id.
    pub(super) id: String,
    /// Its record in the event, in JSON; nothing where it cannot be read.
    pub(super) record: Option<String>,
    pub(super) received_at: Instant,
    /// Whether limiters are to be told when it leaves.
    pub(super) is_limited: bool,
}

/// How gathering ended.
#[derive(Debug)]
pub(super) enum Gathered {
    /// A batch is to be handed over.
    Batch(Vec<Held>),
    /// It was asked to stop; these messages were received meanwhile.
    Cut(Vec<Held>),
    /// The queue is gone.
    Gone,
}

/// Gathers a batch, until `cut` ends.
pub(super) async fn gather<E: Engine>(app: &App<E>, setup: &Setup, cut: impl Future<Output = ()> + Send) -> Gathered {
    let mut cut = std::pin::pin!(cut);
    let mut held: Vec<Held> = Vec::new();
    let (mut bytes, mut until, mut extended_at) = (0, None::<Instant>, Instant::now());
    let settings = &setup.mapping.settings;
    loop {
        let missing = (settings.batch as usize).saturating_sub(held.len());
        let is_over = until.is_some_and(|until| until <= Instant::now());
        if !held.is_empty() && (missing == 0 || bytes >= BYTES_MAX || is_over) {
            return Gathered::Batch(held);
        }
        let wait_ms = until.map_or(WAIT_MS, |until| (until - Instant::now()).min(BEAT).as_millis() as u64);
        let command = Command::Receive {
            queue: setup.queue.id,
            max: missing.min(BATCH_MAX) as u32,
            bytes_max: (BYTES_MAX - bytes) as u64,
            visibility_ms: Some(LEASE_MS),
            attempt: None,
            wait_ms,
        };
        let answered = match Receiving::start(&app.engine, &app.undelivered, setup.queue.id.into(), command) {
            Err(refused) => Err(refused),
            Ok(mut receiving) => tokio::select! {
                answered = &mut receiving => answered,
                () = &mut cut => {
                    // What comes before it is withdrawn came all the same.
                    receiving.withdraw();
                    if let Ok(answered) = receiving.await {
                        held.extend(kept(app, setup, answered, &mut bytes).await);
                    }
                    return Gathered::Cut(held);
                }
            },
        };
        let pause = match answered {
            Ok(answered) => {
                held.extend(kept(app, setup, answered, &mut bytes).await);
                None
            }
            Err(Refused::Engine(Error::QueueNotFound) | Refused::Closed) => return Gathered::Gone,
            Err(Refused::Overloaded { retry_after }) => Some(retry_after),
            Err(refused) => {
                tracing::error!(queue = setup.queue.name, error = %refused, "cannot receive for an event source mapping");
                Some(PAUSE)
            }
        };
        if !held.is_empty() && until.is_none() {
            until = Some(Instant::now() + Duration::from_millis(settings.wait_ms.into()));
            extended_at = Instant::now();
        }
        if extended_at.elapsed() >= BEAT {
            extend(app, setup, held.iter().map(|held| held.handle).collect()).await;
            extended_at = Instant::now();
        }
        if let Some(pause) = pause {
            tokio::select! {
                () = sleep(pause) => {}
                () = &mut cut => return Gathered::Cut(held),
            }
        }
    }
}

/// The messages of an answer that the function wants. The others are deleted.
async fn kept<E: Engine>(app: &App<E>, setup: &Setup, answered: Answered, bytes: &mut usize) -> Vec<Held> {
    let Reply::Received(deliveries) = answered.reply else { return Vec::new() };
    let (mut held, mut unwanted) = (Vec::new(), Vec::new());
    for (delivery, payload) in deliveries.into_iter().zip(answered.payloads) {
        let leased = Leased { delivery, payload };
        let handle = leased.delivery.handle;
        let (id, record) = match message(setup.queue.id, &leased) {
            Ok(message) => {
                let record = weir_push::lambda_record(&setup.origin(), &message);
                if !setup.filters.want(Seen { body: message.body, record: &record }) {
                    unwanted.push(handle);
                    continue;
                }
                (message.uuid_text(), Some(record))
            }
            Err(text) => {
                tracing::error!(queue = setup.queue.name, error = text, "a message cannot be handed to a function");
                (String::new(), None)
            }
        };
        *bytes += record.as_ref().map_or(0, String::len);
        let (received_at, is_limited) = (Instant::now(), leased.delivery.limited);
        held.push(Held { handle, id, record, received_at, is_limited });
    }
    *bytes = (*bytes).min(BYTES_MAX);
    drop_messages(app, setup, unwanted).await;
    held
}
