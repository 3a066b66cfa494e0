//! Carrying replays on: a slice of the archive is read, the subscription's filter is asked, and the engine delivers what
//! passes and notes how far it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_aws::sqs::payload::Payload;
use weir_core::api::topic::{Archived, Replay, ReplayStatus, Replayed};
use weir_core::api::{Command, Error, LIST_MAX, Reply};
use weir_shard::Refused;

use super::publish::limits_of;
use crate::app::{App, stopped};
use crate::engine::{self, Engine};

/// How many bytes of payloads one step reads at most.
const STEP_BYTES_MAX: u64 = 4 << 20;
/// How long to leave a shard alone that cannot take more now.
const PAUSE: Duration = Duration::from_secs(1);

/// What to do after a step.
enum Next {
    Step(Replay),
    Again,
    Later,
    End,
}

/// Carries on all replays that were under way when the server stopped.
pub(crate) fn carry_on_all<E: Engine>(app: &Arc<App<E>>) {
    for replay in app.engine.directory().replays() {
        carry_on(app, replay);
    }
}

/// Carries a replay on in the background until it has ended or the server stops.
pub(crate) fn carry_on<E: Engine>(app: &Arc<App<E>>, mut replay: Replay) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut stopping = app.stopping.clone();
        while !*stopping.borrow() {
            match step(&app, &replay).await {
                Next::Step(next) => replay = next,
                Next::Again => {}
                Next::Later => tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stopped(&mut stopping) => return,
                },
                Next::End => return,
            }
        }
    });
}

async fn step<E: Engine>(app: &App<E>, replay: &Replay) -> Next {
    let directory = app.engine.directory();
    let Some(subscription) = directory.subscription(replay.subscription) else { return Next::End };
    let Some(view) = directory.topic_view(subscription.topic) else { return Next::End };
    let matcher = app.matchers.of(&view);
    let Some(subscription) = matcher.subscription(replay.subscription).cloned() else { return Next::Later };
    let list = Command::ListArchive {
        topic: subscription.topic,
        from: replay.from,
        until: replay.until,
        after: replay.after,
        max: LIST_MAX as u32,
        payload_bytes_max: Some(STEP_BYTES_MAX),
    };
    let answered = match engine::call(&app.engine, list).await {
        Ok(answered) => answered,
        Err(refused) => return after_refusal(refused, replay),
    };
    let Reply::Archive { publications, next, .. } = answered.reply else { return Next::End };
    let lets_through = |(archived, bytes): (&Archived, &Bytes)| {
        let payload = Payload::decode(bytes).ok()?;
        let goes_on = matcher.lets_through(subscription.id, &payload);
        goes_on.then(|| Replayed { mark: archived.mark, limits: limits_of(directory, &subscription, &payload) })
    };
    let deliver: Vec<Replayed> = publications.iter().zip(&answered.payloads).filter_map(lets_through).collect();
    let passed = (publications.len() - deliver.len()) as u64;
    let version = subscription.version;
    let step = Command::ReplayStep { replay: replay.id, after: replay.after, next, version, passed, deliver };
    match engine::call(&app.engine, step).await.map(|answered| answered.reply) {
        Ok(Reply::Replay(replay)) if replay.status == ReplayStatus::Running => Next::Step(replay),
        Ok(_) => Next::End,
        Err(refused) => after_refusal(refused, replay),
    }
}

fn after_refusal(refused: Refused, replay: &Replay) -> Next {
    match refused {
        Refused::Engine(Error::TopicStale { .. } | Error::Stale { .. }) => Next::Again,
        Refused::Overloaded { .. } | Refused::DiskFull => Next::Later,
        Refused::Engine(Error::ReplayEnded | Error::ReplayNotFound | Error::ReplayMoved | Error::TopicNotFound)
        | Refused::Closed => Next::End,
        refused => {
            tracing::error!(replay = replay.id.0, error = %refused, "a replay cannot go on until the server is restarted");
            Next::End
        }
    }
}
