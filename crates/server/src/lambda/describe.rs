//! `GetFunction`, `GetFunctionConfiguration` and `ListFunctions`.

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use weir_aws::Arn;
use weir_aws::lambda::{Configuration, Fault, function, function_arn, functions};
use weir_core::api::Queue;

use super::{Door, JSON};
use crate::engine::Engine;
use crate::functions::{self as found, Note};
use crate::http::Reply;
use crate::native::{read_cursor, read_query, write_cursor};

/// How many functions a page has where nothing is said, and at most.
const PAGE: u64 = 50;
const PAGE_MAX: u64 = 10_000;

/// The query of `ListFunctions`; what else stands there narrows down what there is only one of here.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "MaxItems")]
    max_items: Option<u64>,
    #[serde(rename = "Marker")]
    marker: Option<String>,
}

impl<E: Engine> Door<'_, E> {
    pub(super) fn get_function(&self) -> Result<Reply, Fault> {
        let (queue, note) = self.function()?;
        Ok(Reply::new(StatusCode::OK, JSON, function(&self.configuration(&queue, &note))))
    }

    pub(super) fn get_configuration(&self) -> Result<Reply, Fault> {
        let (queue, note) = self.function()?;
        Ok(Reply::new(StatusCode::OK, JSON, self.configuration(&queue, &note).body()))
    }

    pub(super) fn list_functions(&self) -> Result<Reply, Fault> {
        let invalid = |problem: crate::native::Problem| Fault::invalid(problem.detail());
        let Page { max_items, marker } = read_query(self.head.uri.query().unwrap_or_default()).map_err(invalid)?;
        let max = max_items.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&max) {
            return Err(Fault::invalid(format!("MaxItems: must be from 1 to {PAGE_MAX}, found {max}")));
        }
        let after = marker.as_deref().map(read_cursor).transpose().map_err(invalid)?;
        let namespace = self.caller.namespace;
        let (queues, more) = found::list(&self.app.engine, namespace, "", after.as_deref(), max as usize);
        let next = queues.last().filter(|_| more).map(|queue| write_cursor(&queue.name));
        let mut shown = Vec::with_capacity(queues.len());
        for queue in queues {
            let note = Note::of(&queue.config).map_err(|error| {
                tracing::error!(function = queue.name, %error, "a stored function cannot be read");
                Fault::internal()
            })?;
            shown.extend(note.map(|note| self.configuration(&queue, &note)));
        }
        Ok(Reply::new(StatusCode::OK, JSON, functions(&shown, next.as_deref())))
    }

    fn configuration(&self, queue: &Queue, note: &Note) -> Configuration {
        let region = self.app.config.region.as_str();
        let modified = i64::try_from(queue.modified_at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let modified = modified.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
        let dead_letters = queue.config.redrive.as_ref();
        let dead_letters =
            dead_letters.map(|redrive| Arn { region, namespace: queue.namespace, name: &redrive.target }.to_string());
        let arn = function_arn(region, queue.namespace, &queue.name);
        Configuration::new(&queue.name, arn, &note.description, queue.config.timeout_ms, modified)
            .with_dead_letters(dead_letters)
    }
}
