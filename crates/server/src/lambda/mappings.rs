//! Event source mappings: making, looking at, changing and taking away.

use bytes::Bytes;
use hyper::StatusCode;
use weir_aws::Arn;
use weir_aws::lambda::event_source::{self, Changes, Described, Page};
use weir_aws::lambda::{Fault, FunctionName, function_arn};
use weir_core::api::{Namespace, Queue};

use super::{Door, JSON, fault};
use crate::engine::Engine;
use crate::event_sources::{self, Change, MAPPINGS_MAX, Mapping, Refusal, Settings, Which, Words};
use crate::http::Reply;
use crate::native::{Problem, read_cursor, read_query, write_cursor};

/// What Lambda calls the settings.
const WORDS: Words = Words {
    batch: "BatchSize",
    wait: "MaximumBatchingWindowInSeconds",
    wait_unit_ms: SECOND_MS,
    concurrency: "ScalingConfig.MaximumConcurrency",
    filters: "FilterCriteria.Filters",
    filter: |at| format!("FilterCriteria.Filters[{at}].Pattern"),
};
/// How many milliseconds a second has.
const SECOND_MS: u32 = 1_000;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn create_mapping(&self, body: &Bytes) -> Result<Reply, Fault> {
        let changes = Changes::read(body)?;
        let arn = changes.event_source_arn.as_deref().ok_or_else(|| Fault::invalid("EventSourceArn: is needed"))?;
        let function = changes.function_name.as_deref().ok_or_else(|| Fault::invalid("FunctionName: is needed"))?;
        let arn = self.source(arn)?;
        let function = self.named(function)?;
        let (engine, namespace) = (&self.app.engine, self.caller.namespace);
        let made = event_sources::create(engine, namespace, arn.name, &function, &change(&changes)).await;
        let (queue, mapping) = made.map_err(|refusal| match refusal {
            Refusal::Exists(other) => Fault::conflict(format!(
                "The event source arn (\" {arn} \") and function (\" {function} \") provided mapping already exists. Please update or delete the existing mapping with UUID {other}"
            )),
            refusal => self.refused(refusal, arn.name, &function),
        })?;
        Ok(self.described(StatusCode::ACCEPTED, &queue, &mapping, None))
    }

    pub(super) fn get_mapping(&self) -> Result<Reply, Fault> {
        let found = self.which().find(&self.app.engine, self.caller.namespace).map_err(|problem| fault(&problem))?;
        let (queue, mapping) = found.ok_or_else(|| self.no_mapping())?;
        Ok(self.described(StatusCode::OK, &queue, &mapping, None))
    }

    pub(super) async fn update_mapping(&self, body: &Bytes) -> Result<Reply, Fault> {
        let changes = Changes::read(body)?;
        if changes.event_source_arn.is_some() {
            return Err(Fault::invalid("EventSourceArn: cannot be changed; make another event source mapping"));
        }
        let function = changes.function_name.as_deref().map(|name| self.named(name)).transpose()?;
        let function = function.as_deref();
        let asked = change(&changes);
        let set = |before: &Settings, queue: &Queue| asked.apply(before, queue.kind);
        let (engine, namespace) = (&self.app.engine, self.caller.namespace);
        let updated = event_sources::change(engine, namespace, self.which(), function, set).await;
        let (queue, mapping) = updated.map_err(|refusal| self.refused(refusal, "", function.unwrap_or_default()))?;
        Ok(self.described(StatusCode::ACCEPTED, &queue, &mapping, None))
    }

    pub(super) async fn delete_mapping(&self) -> Result<Reply, Fault> {
        let deleted = event_sources::delete(&self.app.engine, self.caller.namespace, self.which()).await;
        let (queue, mapping) = deleted.map_err(|refusal| self.refused(refusal, "", ""))?;
        Ok(self.described(StatusCode::ACCEPTED, &queue, &mapping, Some("Deleting")))
    }

    pub(super) fn list_mappings(&self) -> Result<Reply, Fault> {
        let invalid = |problem: Problem| Fault::invalid(problem.detail());
        let page: Page = read_query(self.head.uri.query().unwrap_or_default()).map_err(invalid)?;
        let max = page.max()?;
        let after = page.marker.as_deref().map(read_cursor).transpose().map_err(invalid)?;
        let source = page.event_source_arn.as_deref().map(|arn| self.source(arn)).transpose()?;
        let function = page.function_name.as_deref().map(|name| self.named(name)).transpose()?;
        let mut found = event_sources::list(&self.app.engine, self.caller.namespace);
        found.retain(|(queue, mapping)| {
            after.as_ref().is_none_or(|after| mapping.uuid > *after)
                && source.is_none_or(|source| queue.name == source.name)
                && function.as_ref().is_none_or(|function| mapping.function == *function)
        });
        let more = found.len() > max;
        found.truncate(max);
        let next = found.last().filter(|_| more).map(|(_, mapping)| write_cursor(&mapping.uuid));
        let shown: Vec<Described<'_>> =
            found.iter().map(|(queue, mapping)| self.description(queue, mapping, None)).collect();
        Ok(Reply::new(StatusCode::OK, JSON, event_source::mappings(&shown, next.as_deref())))
    }

    /// The mapping that the path names.
    fn which(&self) -> Which<'_> {
        Which::Id(&self.subject)
    }

    /// A refusal in Lambda's words, about a queue and a function that the request names.
    fn refused(&self, refusal: Refusal, queue: &str, function: &str) -> Fault {
        let invalid = |text: &str| Fault::invalid(format!("EventSourceArn: {text}"));
        match refusal {
            Refusal::NoQueue => invalid(&format!("there is no queue called {queue:.256}")),
            Refusal::NoFunction => self.no_function(self.caller.namespace, function),
            Refusal::NoMapping => self.no_mapping(),
            Refusal::FunctionQueue => invalid(&format!("{queue} is the queue of a function, whose calls it takes")),
            Refusal::OwnedQueue => {
                invalid(&format!("{queue} is the queue of a subscription, which is delivered from it"))
            }
            Refusal::Exists(other) => Fault::conflict(format!(
                "FunctionName: the queue has an event source mapping to {function} already, that of UUID {other}"
            )),
            Refusal::TooMany => invalid(&format!("a queue may have {MAPPINGS_MAX} event source mappings")),
            Refusal::Unfit(unfit) => {
                let (name, text) = unfit.told(&WORDS);
                Fault::invalid(format!("{name}: {text}"))
            }
            Refusal::Other(problem) => fault(&problem),
        }
    }

    fn no_mapping(&self) -> Fault {
        Fault::not_found(format!(
            "The resource you requested does not exist: event source mapping {:.64}",
            self.subject
        ))
    }

    /// The queue that an ARN names.
    fn source<'a>(&self, arn: &'a str) -> Result<Arn<'a>, Fault> {
        let source = Arn::parse(arn).ok_or_else(|| {
            Fault::invalid(format!(
                "EventSourceArn: must be the ARN of a queue of SQS, no other source is supported, found {arn:.256}"
            ))
        })?;
        self.check_here("EventSourceArn", source.namespace)?;
        Ok(source)
    }

    /// The name of a function, whether there is one or not.
    fn named(&self, text: &str) -> Result<String, Fault> {
        let FunctionName { namespace, name } = FunctionName::parse(text, None)?;
        self.check_here("FunctionName", namespace.unwrap_or(self.caller.namespace))?;
        Ok(name.to_owned())
    }

    /// Refuses what is in another account: a mapping, its queue and its function are in one.
    fn check_here(&self, field: &str, namespace: Namespace) -> Result<(), Fault> {
        self.caller.check_namespace(namespace)?;
        let here = self.caller.namespace;
        if namespace == here {
            return Ok(());
        }
        Err(Fault::invalid(format!("{field}: must be of the account {:012}, found {:012}", here.0, namespace.0)))
    }

    fn described(&self, status: StatusCode, queue: &Queue, mapping: &Mapping, state: Option<&'static str>) -> Reply {
        Reply::new(status, JSON, self.description(queue, mapping, state).body())
    }

    fn description<'m>(&self, queue: &Queue, mapping: &'m Mapping, state: Option<&'static str>) -> Described<'m> {
        let (region, account) = (self.app.config.region.as_str(), queue.namespace.0);
        let settings = &mapping.settings;
        Described {
            uuid: &mapping.uuid,
            arn: format!("arn:aws:lambda:{region}:{account:012}:event-source-mapping:{}", mapping.uuid),
            source_arn: Arn { region, namespace: queue.namespace, name: &queue.name }.to_string(),
            function_arn: function_arn(region, queue.namespace, &mapping.function),
            batch: settings.batch,
            window_s: settings.wait_ms.div_ceil(SECOND_MS),
            concurrency: settings.concurrency,
            filters: &settings.filters,
            reports: settings.reports,
            modified_ms: mapping.modified_ms,
            state: state.unwrap_or(if settings.enabled { "Enabled" } else { "Disabled" }),
            last_result: self.app.pollers.last_result(queue.id, &mapping.uuid).text(),
        }
    }
}

/// What a request says of the settings.
fn change(changes: &Changes) -> Change {
    Change {
        batch: changes.batch_size,
        wait_ms: changes.window_s.map(|window_s| window_s.saturating_mul(SECOND_MS.into())),
        concurrency: changes.concurrency,
        filters: changes.patterns.clone(),
        reports: changes.reports,
        enabled: changes.enabled,
    }
}
