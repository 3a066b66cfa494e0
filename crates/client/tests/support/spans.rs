//! The spans of a test, as text.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Takes note of spans, and of what is said in them. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Noted>>);

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
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let noted = self.0.lock().unwrap();
        noted.spans.iter().filter(|(found, _)| *found == name).map(|(_, text)| text.clone()).collect()
    }

    /// The spans in which something was said.
    pub(crate) fn events_in(&self, message: &str) -> Vec<String> {
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
