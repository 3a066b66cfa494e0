//! A batch: the call that it makes, and what becomes of its messages.

use std::sync::Arc;
use std::time::Duration;

use rand::random;
use serde_json::Value;
use smallvec::SmallVec;
use tokio::time::{Instant, sleep, sleep_until};
use weir_aws::lambda::{REQUEST_BYTES_MAX, event_source::failed_items};
use weir_aws::sqs::Limits;
use weir_aws::sqs::payload::Payload;
use weir_core::Time;
use weir_core::api::job::{FailureKind, JobChange, JobOptions, JobRef, Keep, NewJob, Retry, Settlement};
use weir_core::api::{BATCH_MAX, Command, Error, Handle, Kind, NewMessage, Queue, Reply};
use weir_shard::Refused;

use super::LastResult;
use super::gather::{BYTES_MAX, Held, Setup};
use crate::app::{App, stopped};
use crate::engine::{self, Engine, Fate};
use crate::fresh::now_ms;
use crate::functions::{self, Called, Ended};
use crate::limits::{self, Seen};
use crate::native::Problem;

/// Length of the leases, which are extended as long as the batch is under way. After a crash of the server its messages
/// come again when they end.
pub(super) const LEASE_MS: u64 = 30_000;
/// How often they are extended.
pub(super) const BEAT: Duration = Duration::from_secs(10);
/// A call that was not begun within this time is taken back.
const TURN_MS: u64 = 900_000;
/// How long one look at a call waits for its end.
const LOOK_MS: u64 = 60_000;
/// What a message waits at least that was not handled: a queue without a visibility timeout would have it come back at once.
const AWAY_MS: u64 = 1_000;

/// What came of a call.
enum Outcome {
    /// It was handled, except for the messages of these ids.
    Handled(Vec<String>),
    /// It was not: none of it.
    Failed(String),
    /// It was not begun, or nobody knows how it ends.
    NotHandled(LastResult),
}

/// Hands a batch over, and settles its messages.
pub(super) async fn hand_over<E: Engine>(app: Arc<App<E>>, setup: Arc<Setup>, batch: Vec<Held>) -> LastResult {
    let mut result = LastResult::Nothing;
    let mut parts = parts(batch).into_iter();
    while let Some(part) = parts.next() {
        let waiting: Vec<Handle> = parts.as_slice().iter().flatten().map(|held| held.handle).collect();
        let outcome = {
            let mut calling = std::pin::pin!(call(&app, &setup, &part));
            loop {
                tokio::select! {
                    outcome = &mut calling => break outcome,
                    () = sleep(BEAT) => {
                        let handles = part.iter().map(|held| held.handle).chain(waiting.iter().copied());
                        extend(&app, &setup, handles.collect()).await;
                    }
                }
            }
        };
        let all_done = matches!(&outcome, Outcome::Handled(failed) if failed.is_empty());
        result = settle(&app, &setup, &part, outcome).await;
        if !all_done && setup.queue.kind == Kind::Fifo {
            // Behind a message that was not handled none may go.
            release(&app, &setup, waiting).await;
            break;
        }
    }
    result
}

/// The batch in parts whose events are not too long.
fn parts(batch: Vec<Held>) -> Vec<Vec<Held>> {
    let mut parts: Vec<Vec<Held>> = Vec::new();
    let mut bytes = 0;
    for held in batch {
        let more = held.record.as_ref().map_or(0, String::len) + 1;
        if let Some(part) = parts.last_mut().filter(|_| bytes + more <= BYTES_MAX) {
            part.push(held);
        } else {
            parts.push(vec![held]);
            bytes = 0;
        }
        bytes += more;
    }
    parts
}

/// What the function is called with: the event of these messages.
fn event(part: &[Held]) -> String {
    const ENDS: (&str, &str) = (r#"{"Records":["#, "]}");
    let records = || part.iter().filter_map(|held| held.record.as_deref());
    let bytes: usize = records().map(|record| record.len() + 1).sum();
    let mut event = String::with_capacity(ENDS.0.len() + bytes + ENDS.1.len());
    event.push_str(ENDS.0);
    for (at, record) in records().enumerate() {
        if at > 0 {
            event.push(',');
        }
        event.push_str(record);
    }
    event.push_str(ENDS.1);
    event
}

/// The call of a function with an event: a job of its queue.
fn job(queue: &Queue, event: &str, limits: &Limits) -> Result<NewJob, Problem> {
    let most = limits.message_bytes(queue.config.message_bytes_max);
    if event.len() as u64 > most {
        let text = format!("the event of a batch must have at most {most} bytes, found {}", event.len());
        return Err(Problem::bad(&text));
    }
    let payload = payload(event);
    let seen = Seen { body: event, attributes: &payload.attributes, group: None };
    let message = NewMessage {
        uuid: payload.uuid,
        payload: payload.encode(),
        delay_ms: None,
        priority: 0,
        lane: None,
        dedup: None,
        limits: limits::of(&queue.config, &seen),
        options: Some(Box::new(options())),
    };
    Ok(NewJob { queue: queue.id, version: queue.version, message })
}

fn payload(event: &str) -> Payload<'_> {
    Payload {
        uuid: random(),
        group_id: None,
        deduplication: None,
        trace_header: None,
        attributes: Vec::new(),
        body: event,
        is_json: true,
        publication: None,
    }
}

/// It is tried once, and not begun when its time is over. What it leaves behind is small: its messages are still in their
/// queue where it failed.
fn options() -> JobOptions {
    let kept = |age_ms| Some(Keep { age_ms, count: u64::MAX });
    JobOptions {
        retry: Some(Retry { attempts_max: 1, ..Retry::default() }),
        expires_at: Some(Time(now_ms().saturating_add(TURN_MS))),
        keep_completed: kept(60_000),
        keep_failed: kept(3_600_000),
        ..JobOptions::default()
    }
}

/// Calls the function, and waits for what comes of it.
async fn call<E: Engine>(app: &App<E>, setup: &Setup, part: &[Held]) -> Outcome {
    let name = &setup.mapping.function;
    if part.iter().all(|held| held.record.is_none()) {
        return Outcome::Failed("the stored messages cannot be read".to_owned());
    }
    let event = event(part);
    let limits = app.config.limits;
    let limits = Limits { message_bytes_max: limits.message_bytes_max.max(REQUEST_BYTES_MAX as u64 + 1_024), ..limits };
    let find = || functions::named(&app.engine, setup.queue.namespace, name).map(|(queue, _)| queue);
    let mut stopping = app.stopping.clone();
    let called = loop {
        match functions::add(app, find, |queue| job(queue, &event, &limits)).await {
            Ok(called) => break called,
            Err(problem) => match problem.code() {
                "function.not_found" | "queue.not_found" => return Outcome::NotHandled(LastResult::NoFunction),
                "server.overloaded" | "server.disk_full" | "queue.stale" => tokio::select! {
                    () = sleep(Duration::from_secs(1)) => {}
                    () = stopped(&mut stopping) => return Outcome::NotHandled(LastResult::Nothing),
                },
                "server.closed" => return Outcome::NotHandled(LastResult::Nothing),
                _ => return Outcome::Failed(problem.detail().to_owned()),
            },
        }
    };
    let limited: SmallVec<[Handle; 1]> = part.iter().filter(|held| held.is_limited).map(|held| held.handle).collect();
    if !limited.is_empty() {
        app.tell_fate(setup.queue.id, limited, Fate::Left);
    }
    drop(event);
    ended(app, setup, &called).await
}

/// Waits for the end of a call. When the server stops, one that was not begun is taken back at once, and one that was has a
/// while to end.
async fn ended<E: Engine>(app: &App<E>, setup: &Setup, called: &Called) -> Outcome {
    let mut stopping = app.stopping.clone();
    let mut cut_at: Option<Instant> = None;
    loop {
        let looked = tokio::select! {
            looked = functions::look(app, called, LOOK_MS) => looked,
            () = stopped(&mut stopping), if cut_at.is_none() => {
                // The tasks of push targets give up what they do a little earlier.
                cut_at = Some(Instant::now() + app.config.stop_timeout.mul_f64(0.85));
                if take_back(app, called).await {
                    return Outcome::NotHandled(LastResult::Nothing);
                }
                continue;
            }
            () = sleep_until(cut_at.unwrap_or_else(Instant::now)), if cut_at.is_some() => {
                take_back(app, called).await;
                return Outcome::NotHandled(LastResult::Nothing);
            }
        };
        return match looked {
            Ok(None) => continue,
            Ok(Some(ended)) => match ended {
                Ended::Done(result) if setup.mapping.settings.reports => match failed_items(result.as_deref()) {
                    Ok(failed) => Outcome::Handled(failed),
                    Err(text) => Outcome::Failed(text),
                },
                Ended::Done(_) => Outcome::Handled(Vec::new()),
                Ended::Failed(kind, said) => Outcome::Failed(why(kind, said.as_deref())),
                Ended::Removed => Outcome::Failed("the call was removed".to_owned()),
                Ended::Late { .. } => {
                    let text = format!("the turn of its call did not come within {} minutes", TURN_MS / 60_000);
                    Outcome::NotHandled(LastResult::Failed(text))
                }
            },
            Err(Refused::Engine(Error::QueueNotFound)) => Outcome::NotHandled(LastResult::NoFunction),
            Err(Refused::Overloaded { retry_after }) => {
                sleep(retry_after).await;
                continue;
            }
            Err(_) => Outcome::NotHandled(LastResult::Nothing),
        };
    }
}

/// Why a batch was not handled whose call failed: how it did, and the first words of what was said of that.
fn why(kind: FailureKind, said: Option<&[u8]>) -> String {
    let how = match kind {
        FailureKind::Reported => "the call failed",
        FailureKind::TimedOut => "the call took too long",
        FailureKind::Stalled => "the workers of the call were lost too often",
        FailureKind::Cancelled => "the call was cancelled",
        FailureKind::Expired => "the call was not begun in time",
        FailureKind::ChildFailed => "a job failed that the call waited for",
    };
    let said = said.and_then(|said| serde_json::from_slice::<Value>(said).ok()).unwrap_or_default();
    let words = ["errorMessage", "error", "message"].into_iter().find_map(|name| said.get(name)?.as_str());
    match words.or(said.as_str()) {
        Some(words) => format!("{how}: {words:.256}"),
        None => how.to_owned(),
    }
}

/// Removes a call that nobody works on; whether that was so.
async fn take_back<E: Engine>(app: &App<E>, called: &Called) -> bool {
    let jobs = vec![JobRef::Id(called.id)];
    let command = Command::ChangeJobs { queue: called.queue.id, jobs, change: JobChange::RemoveAlone };
    match engine::call(&app.engine, command).await {
        Ok(answered) => match answered.reply {
            Reply::Settled(settled) => settled.iter().all(Result::is_ok),
            _ => false,
        },
        Err(_) => false,
    }
}

/// Settles the messages of a call.
async fn settle<E: Engine>(app: &App<E>, setup: &Setup, part: &[Held], outcome: Outcome) -> LastResult {
    let failed = match outcome {
        Outcome::NotHandled(result) => {
            release(app, setup, part.iter().map(|held| held.handle).collect()).await;
            return result;
        }
        Outcome::Failed(text) => Err(text),
        Outcome::Handled(failed) => match failed.iter().find(|id| !part.iter().any(|held| held.id == **id)) {
            Some(unknown) => Err(format!("the result of a batch names {unknown:.64}, which is not in it")),
            None => Ok(failed),
        },
    };
    let is_done = |held: &Held| held.record.is_some() && failed.as_ref().is_ok_and(|failed| !failed.contains(&held.id));
    let (done, undone): (Vec<&Held>, Vec<&Held>) = part.iter().partition(|held| is_done(held));
    drop_messages(app, setup, done.iter().map(|held| held.handle).collect()).await;
    let visibility = Duration::from_millis(setup.queue.config.visibility_ms);
    let away = |held: &Held| {
        let rest = visibility.saturating_sub(held.received_at.elapsed());
        (held.handle, (rest.as_millis() as u64).max(AWAY_MS))
    };
    change(app, setup, undone.into_iter().map(away).collect()).await;
    match failed {
        Ok(_) => LastResult::Handled,
        Err(text) => {
            let (queue, function) = (&setup.queue.name, &setup.mapping.function);
            tracing::debug!(queue, function, error = text, "a batch was not handled");
            LastResult::Failed(text)
        }
    }
}

/// Deletes messages.
pub(super) async fn drop_messages<E: Engine>(app: &App<E>, setup: &Setup, handles: Vec<Handle>) {
    for handles in handles.chunks(BATCH_MAX) {
        tell(app, || Command::Delete { queue: setup.queue.id, handles: handles.into() }).await;
    }
}

/// Extends leases.
pub(super) async fn extend<E: Engine>(app: &App<E>, setup: &Setup, handles: Vec<Handle>) {
    change(app, setup, handles.into_iter().map(|handle| (handle, LEASE_MS)).collect()).await;
}

async fn change<E: Engine>(app: &App<E>, setup: &Setup, changes: Vec<(Handle, u64)>) {
    for changes in changes.chunks(BATCH_MAX) {
        tell(app, || Command::ChangeVisibility { queue: setup.queue.id, changes: changes.into() }).await;
    }
}

/// Gives messages back that were not handed over: as if they had not been received.
pub(super) async fn release<E: Engine>(app: &App<E>, setup: &Setup, handles: Vec<Handle>) {
    let released = |&handle: &Handle| (handle, Settlement::Release { delay_ms: 0, pause: None });
    for handles in handles.chunks(BATCH_MAX) {
        let queue = setup.queue.id;
        tell(app, || Command::Settle { queue, entries: handles.iter().map(released).collect(), seed: random() }).await;
    }
}

/// Carries out a command about messages. What cannot be done shows when their leases end: they come again.
async fn tell<E: Engine>(app: &App<E>, command: impl Fn() -> Command) {
    loop {
        match engine::call(&app.engine, command()).await {
            Err(Refused::Overloaded { retry_after }) => sleep(retry_after).await,
            Err(refused) => {
                tracing::debug!(error = %refused, "messages of an event source mapping cannot be settled");
                return;
            }
            Ok(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: u64, record: String) -> Held {
        let handle = Handle { space: 1, message: id, grant: 1, proof: 0 };
        Held { handle, id: id.to_string(), record: Some(record), received_at: Instant::now(), is_limited: false }
    }

    #[test]
    fn a_batch_goes_in_as_many_calls_as_its_length_takes() {
        let batch = [3 << 20, 2 << 20, 2 << 20, 7 << 20, 1].into_iter().zip(0..);
        let batch = batch.map(|(bytes, id)| held(id, "x".repeat(bytes))).collect();
        let ids = |part: &Vec<Held>| part.iter().map(|held| held.handle.message).collect::<Vec<_>>();
        let found: Vec<Vec<u64>> = parts(batch).iter().map(ids).collect();
        assert_eq!(found, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn a_failure_is_told_with_what_was_said_of_it() {
        let told = |said: &str| why(FailureKind::Reported, Some(said.as_bytes()));
        assert_eq!(told(r#"{"error": "answered 500", "status": 500}"#), "the call failed: answered 500");
        assert_eq!(told(r#""oh""#), "the call failed: oh");
        assert_eq!(told(&format!(r#"{{"message": "{}"}}"#, "x".repeat(1_000))).len(), "the call failed: ".len() + 256);
        assert_eq!(why(FailureKind::TimedOut, None), "the call took too long");
    }

    #[test]
    fn a_call_has_the_event_as_its_data_and_is_tried_once() {
        let part = [held(1, r#"{"body":"a"}"#.to_owned()), held(2, r#"{"body":"b"}"#.to_owned())];
        let event = event(&part);
        let encoded = payload(&event).encode();
        let read = Payload::decode(&encoded).unwrap();
        let data: Value = serde_json::from_str(read.body).unwrap();
        assert_eq!(data, serde_json::json!({ "Records": [{"body": "a"}, {"body": "b"}] }));
        assert!(read.is_json && read.attributes.is_empty());
        let options = options();
        assert_eq!(options.retry.map(|retry| retry.attempts_max), Some(1));
        assert!(options.expires_at.is_some_and(|at| at.0 > now_ms()));
    }
}
