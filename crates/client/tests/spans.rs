//! What a worker says of its attempts to a subscriber of `tracing`.
//!
//! A program of its own with one test: a place in the code that is reached first by a thread without a
//! subscriber is held to interest nobody, so that tests beside this one would take its spans away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

#[allow(dead_code, reason = "the tests of the client use the rest")]
mod support;

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{PATIENCE, start};
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use weir_client::{Failure, NewJob, QueueSettings, Retry};

/// Takes note of spans, and of what is said in them. Clones are the same one.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// Name and fields; their ids count from 1.
    spans: Vec<(&'static str, String)>,
    entered: Vec<u64>,
    /// What was said, and in which span.
    events: Vec<(String, Option<u64>)>,
}

struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Spans {
    /// The spans of a name, in the order in which they began.
    fn of(&self, name: &str) -> Vec<String> {
        let noted = self.0.lock().unwrap();
        noted.spans.iter().filter(|(found, _)| *found == name).map(|(_, text)| text.clone()).collect()
    }

    /// The spans in which something was said.
    fn events_in(&self, message: &str) -> Vec<String> {
        let noted = self.0.lock().unwrap();
        let said = noted.events.iter().filter(|(text, _)| text.contains(message));
        said.filter_map(|(_, span)| Some(noted.spans[usize::try_from((*span)? - 1).unwrap()].1.clone())).collect()
    }
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let name = span.metadata().name();
        let mut text = Text(name.to_owned());
        span.record(&mut text);
        let mut noted = self.0.lock().unwrap();
        noted.spans.push((name, text.0));
        Id::from_u64(noted.spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut noted = self.0.lock().unwrap();
        let span = noted.entered.last().copied();
        noted.events.push((text.0, span));
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut noted = self.0.lock().unwrap();
        let at = noted.entered.iter().rposition(|entered| *entered == span.into_u64());
        noted.entered.remove(at.unwrap());
    }
}

#[tokio::test]
async fn an_attempt_is_a_span_with_what_the_job_is() {
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let running = start().await;
    let queue = running.client.queue::<u32>("traced");
    queue.put(&QueueSettings::new().retry(Retry::new().attempts(2).fixed(Duration::ZERO))).await.unwrap();
    let added = queue.add(NewJob::new(7).name("resize")).await.unwrap();
    let (begun, again) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let shutdown = again.clone();
    let worker = queue.worker().run(async move { shutdown.notified().await }, move |_| {
        let second = begun.fetch_add(1, Ordering::SeqCst) == 1;
        let again = again.clone();
        async move {
            tracing::info!("at work");
            if second {
                again.notify_one();
                return Ok(());
            }
            Err(Failure::new("once more"))
        }
    });
    tokio::time::timeout(PATIENCE, worker).await.expect("there is a second attempt").unwrap();
    let attempts = [1, 2].map(|attempt| format!("job queue=traced id={} name=resize attempt={attempt}", added.id));
    assert_eq!(spans.of("job"), attempts);
    assert_eq!(spans.events_in("at work"), attempts, "what the work says belongs to its attempt");
}
