//! Event source mappings: making, looking at, changing and taking away.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use weir_aws::Arn;
use weir_aws::lambda::event_source::{self, Changes, Described, Page};
use weir_aws::lambda::{Fault, FunctionName, function_arn};
use weir_core::api::{Command, Error, Kind, Namespace, Queue};
use weir_shard::Refused;

use super::{Door, JSON, fault};
use crate::engine::{self, Engine};
use crate::event_sources::{self, Mapping, Note};
use crate::fresh::{now_ms, uuid};
use crate::functions;
use crate::http::Reply;
use crate::native::{Problem, read_cursor, read_query, write_cursor};

/// Most mappings of a queue.
const MAPPINGS_MAX: usize = 20;
/// How often a change is made anew when its queue is changed meanwhile.
const TRIES: usize = 8;

/// What a request has done to the mappings of a queue.
type Changed = Result<Mapping, Fault>;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn create_mapping(&self, body: &Bytes) -> Result<Reply, Fault> {
        let changes = Changes::read(body)?;
        let arn = changes.event_source_arn.as_deref().ok_or_else(|| Fault::invalid("EventSourceArn: is needed"))?;
        let function = changes.function_name.as_deref().ok_or_else(|| Fault::invalid("FunctionName: is needed"))?;
        let arn = self.source(arn)?;
        let function = self.mapped_function(function)?;
        let uuid = weir_aws::uuid_text(&uuid());
        let find = || {
            let queue = self.app.engine.find(arn.namespace, arn.name);
            queue.ok_or_else(|| Fault::invalid(format!("EventSourceArn: there is no queue called {:.256}", arn.name)))
        };
        let (queue, mapping) = self
            .change(find, |queue, note| {
                if functions::Note::is_there(&queue.config) {
                    let text = format!("EventSourceArn: {} is the queue of a function, whose calls it takes", queue.name);
                    return Err(Fault::invalid(text));
                }
                let settings = changes.apply(&event_source::Settings::default(), queue.kind == Kind::Fifo)?;
                if let Some(other) = note.mappings.iter().find(|mapping| mapping.function == function) {
                    return Err(Fault::conflict(format!(
                        "The event source arn (\" {arn} \") and function (\" {function} \") provided mapping already exists. Please update or delete the existing mapping with UUID {}",
                        other.uuid
                    )));
                }
                if note.mappings.len() >= MAPPINGS_MAX {
                    let text = format!("EventSourceArn: a queue may have {MAPPINGS_MAX} event source mappings");
                    return Err(Fault::invalid(text));
                }
                let mapping =
                    Mapping { uuid: uuid.clone(), function: function.clone(), settings, modified_ms: now_ms() };
                note.mappings.push(mapping.clone());
                Ok(mapping)
            })
            .await?;
        Ok(self.described(StatusCode::ACCEPTED, &queue, &mapping, None))
    }

    pub(super) fn get_mapping(&self) -> Result<Reply, Fault> {
        let (queue, mapping) = self.mapping()?;
        Ok(self.described(StatusCode::OK, &queue, &mapping, None))
    }

    pub(super) async fn update_mapping(&self, body: &Bytes) -> Result<Reply, Fault> {
        let changes = Changes::read(body)?;
        if changes.event_source_arn.is_some() {
            return Err(Fault::invalid("EventSourceArn: cannot be changed; make another event source mapping"));
        }
        let function = changes.function_name.as_deref().map(|name| self.mapped_function(name)).transpose()?;
        let find = || self.mapping().map(|(queue, _)| queue);
        let (queue, mapping) = self
            .change(find, |queue, note| {
                let taken = note.mappings.iter().any(|other| {
                    other.uuid != self.subject && function.as_ref().is_some_and(|function| other.function == *function)
                });
                if taken {
                    return Err(Fault::conflict(
                        "FunctionName: the queue has another event source mapping to the function",
                    ));
                }
                let mapping = note.mappings.iter_mut().find(|mapping| mapping.uuid == self.subject);
                let mapping = mapping.ok_or_else(|| self.no_mapping())?;
                mapping.settings = changes.apply(&mapping.settings, queue.kind == Kind::Fifo)?;
                if let Some(function) = &function {
                    mapping.function.clone_from(function);
                }
                mapping.modified_ms = now_ms();
                Ok(mapping.clone())
            })
            .await?;
        Ok(self.described(StatusCode::ACCEPTED, &queue, &mapping, None))
    }

    pub(super) async fn delete_mapping(&self) -> Result<Reply, Fault> {
        let find = || self.mapping().map(|(queue, _)| queue);
        let (queue, mapping) = self
            .change(find, |_, note| {
                let at = note.mappings.iter().position(|mapping| mapping.uuid == self.subject);
                at.map(|at| note.mappings.remove(at)).ok_or_else(|| self.no_mapping())
            })
            .await?;
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

    /// Changes the mappings of the queue that is there now.
    async fn change(
        &self,
        find: impl Fn() -> Result<Arc<Queue>, Fault> + Send,
        change: impl Fn(&Queue, &mut Note) -> Changed + Send,
    ) -> Result<(Arc<Queue>, Mapping), Fault> {
        for _ in 0..TRIES {
            let queue = find()?;
            let mut note = Note::of(&queue.config).map_err(|error| {
                tracing::error!(queue = queue.name, %error, "stored event source mappings cannot be read");
                Fault::internal()
            })?;
            let mapping = change(&queue, &mut note)?;
            let mut config = queue.config.clone();
            note.put(&mut config);
            let command = Command::ConfigureQueue { queue: queue.id, version: queue.version, config };
            match engine::call(&self.app.engine, command).await {
                Ok(_) => return Ok((queue, mapping)),
                Err(Refused::Engine(Error::Stale { .. })) => {}
                Err(refused) => return Err(fault(&Problem::of(refused))),
            }
        }
        Err(Fault::service("The queue is changed again and again; try again."))
    }

    /// The mapping that the path names.
    fn mapping(&self) -> Result<(Arc<Queue>, Mapping), Fault> {
        let found = event_sources::find(&self.app.engine, self.caller.namespace, &self.subject);
        found.ok_or_else(|| self.no_mapping())
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

    /// The name of a function that there is.
    fn mapped_function(&self, text: &str) -> Result<String, Fault> {
        let name = self.named(text)?;
        self.function_called(self.caller.namespace, &name)?;
        Ok(name)
    }

    fn described(&self, status: StatusCode, queue: &Queue, mapping: &Mapping, state: Option<&'static str>) -> Reply {
        Reply::new(status, JSON, self.description(queue, mapping, state).body())
    }

    fn description<'m>(&self, queue: &Queue, mapping: &'m Mapping, state: Option<&'static str>) -> Described<'m> {
        let (region, account) = (self.app.config.region.as_str(), queue.namespace.0);
        Described {
            uuid: &mapping.uuid,
            arn: format!("arn:aws:lambda:{region}:{account:012}:event-source-mapping:{}", mapping.uuid),
            source_arn: Arn { region, namespace: queue.namespace, name: &queue.name }.to_string(),
            function_arn: function_arn(region, queue.namespace, &mapping.function),
            settings: &mapping.settings,
            modified_ms: mapping.modified_ms,
            state: state.unwrap_or(if mapping.settings.enabled { "Enabled" } else { "Disabled" }),
            last_result: self.app.pollers.last_result(queue.id, &mapping.uuid).text(),
        }
    }
}
