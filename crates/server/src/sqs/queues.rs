//! Operations on queues themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_aws::sqs::attributes::{self, Context, Wanted};
use weir_aws::sqs::request::{
    CreateQueue, GetQueueAttributes, GetQueueUrl, ListQueues, OnQueue, SetQueueAttributes, Text,
};
use weir_aws::sqs::{Answer, Page, name, tags};
use weir_aws::{Code, Fault, account_id};
use weir_core::api::{Command, Config, Counters, Error, Kind, Namespace, Queue, Reply};
use weir_shard::Refused;

use super::refusal::engine_fault;
use super::{Door, Refusal, call};
use crate::engine::Engine;
use crate::http::Content;

/// How often a change is tried anew when another one comes between. Of those that meet one wins each time.
const TRIES: usize = 256;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn create_queue(&self, request: CreateQueue<'_>) -> Result<Content, Refusal> {
        let namespace = self.call.caller.namespace;
        let name = required_name(request.queue_name.as_deref())?;
        let kind = name::check(name)?;
        let asked = request.attributes.unwrap_or_default();
        if kind == Kind::Fifo && !asked.0.iter().any(|(name, _)| name == "FifoQueue") {
            let message = "The name of a FIFO queue can only be used with the attribute FifoQueue set to true.";
            return Err(Fault::new(Code::InvalidParameterValue, message).into());
        }
        let find = self.finder(namespace);
        let limits = &self.app.config.limits;
        let context = Context { namespace, kind, limits, find: &find, creating: true };
        let mut config = Config::default();
        attributes::apply(&mut config, &asked, &context)?;
        let tags = tags::of(&request.tags.unwrap_or_default())?;
        for _ in 0..TRIES {
            if let Some(queue) = self.app.engine.find(namespace, name) {
                // What the request does not name may have any value.
                let mut same = queue.config.clone();
                attributes::apply(&mut same, &asked, &context)?;
                return match attributes::first_difference(&queue.config, &same) {
                    Some(attribute) => Err(attributes::exists(&attribute).into()),
                    None => Ok(self.answer(&Answer::QueueUrl(&self.url(&queue)))),
                };
            }
            if let Some(interval) = interval(limits.recreate_after_s)
                && self.app.deleted.within(interval, Instant::now(), namespace, name)
            {
                let seconds = limits.recreate_after_s;
                let message = format!(
                    "You must wait {seconds} seconds after deleting a queue before you can create another with the same name."
                );
                return Err(Fault::new(Code::QueueDeletedRecently, message).into());
            }
            let (name, config, tags) = (name.to_owned(), config.clone(), tags.clone());
            let command = Command::CreateQueue { namespace, name, kind, config, tags, seed: rand::random() };
            match call(&self.app.engine, command).await {
                Ok(answered) => match answered.reply {
                    Reply::Queue { queue, .. } => return Ok(self.answer(&Answer::QueueUrl(&self.url(&queue)))),
                    _ => return Err(Fault::internal().into()),
                },
                // Somebody else was first: what they created is compared.
                Err(Refused::Engine(Error::QueueExists { .. })) => {}
                Err(refused) => return Err(Refusal::of(refused)),
            }
        }
        Err(engine_fault(&Error::Stale { version: 0 }).into())
    }

    pub(super) fn queue_url(&self, request: &GetQueueUrl<'_>) -> Result<Content, Refusal> {
        let name = required_name(request.queue_name.as_deref())?;
        let namespace = match request.owner.as_deref() {
            Some(owner) => account_id(owner).ok_or_else(Fault::no_queue)?,
            None => self.call.caller.namespace,
        };
        self.call.caller.check_namespace(namespace)?;
        let queue = self.app.engine.find(namespace, name).ok_or_else(Fault::no_queue)?;
        Ok(self.answer(&Answer::QueueUrl(&self.url(&queue))))
    }

    pub(super) fn list_queues(&self, request: &ListQueues<'_>) -> Result<Content, Refusal> {
        let page = Page::of(request)?;
        let namespace = self.call.caller.namespace;
        let mut queues = self.app.engine.list(namespace, page.prefix, page.after.as_deref(), page.max + 1);
        let more = queues.len() > page.max;
        queues.truncate(page.max);
        let token = queues.last().filter(|_| more && page.continues).map(|queue| Page::token(&queue.name));
        let urls: Vec<String> = queues.iter().map(|queue| self.url(queue)).collect();
        Ok(self.answer(&Answer::Queues { urls: &urls, next_token: token.as_deref(), sources: false }))
    }

    pub(super) async fn queue_attributes(&self, request: GetQueueAttributes<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let names = request.attribute_names.unwrap_or_default();
        let wanted = Wanted::of(&names)?;
        let (queue, counters) = if wanted.counts() {
            match self.call(Command::QueueStats { queue: queue.id }).await? {
                Reply::Stats { queue, counters, .. } => (queue, counters),
                _ => return Err(Fault::internal().into()),
            }
        } else {
            (queue, Counters::default())
        };
        let attributes = attributes::list(&queue, counters, &self.app.config.region, &wanted);
        Ok(self.answer(&Answer::Attributes(&attributes)))
    }

    pub(super) async fn set_queue_attributes(&self, request: &SetQueueAttributes<'_>) -> Result<Content, Refusal> {
        let asked = request.attributes.as_ref().ok_or_else(|| Fault::missing("Attributes"))?;
        self.reconfigure(request.queue_url.as_ref(), |queue, config| {
            let find = self.finder(queue.namespace);
            let context = Context {
                namespace: queue.namespace,
                kind: queue.kind,
                limits: &self.app.config.limits,
                find: &find,
                creating: false,
            };
            attributes::apply(config, asked, &context)
        })
        .await
    }

    /// Changes the configuration of a queue: `change` is asked again where another change comes between.
    pub(super) async fn reconfigure(
        &self,
        url: Option<&Text<'_>>,
        change: impl Fn(&Queue, &mut Config) -> Result<(), Fault>,
    ) -> Result<Content, Refusal> {
        for _ in 0..TRIES {
            let queue = self.queue(url)?;
            let mut config = queue.config.clone();
            change(&queue, &mut config)?;
            if config == queue.config {
                return Ok(self.answer(&Answer::Done));
            }
            let command = Command::ConfigureQueue { queue: queue.id, version: queue.version, config };
            match call(&self.app.engine, command).await {
                Ok(_) => return Ok(self.answer(&Answer::Done)),
                Err(Refused::Engine(Error::Stale { .. })) => {}
                Err(refused) => return Err(Refusal::of(refused)),
            }
        }
        Err(engine_fault(&Error::Stale { version: 0 }).into())
    }

    pub(super) async fn delete_queue(&self, request: &OnQueue<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        self.call(Command::DeleteQueue { queue: queue.id }).await?;
        if let Some(interval) = interval(self.app.config.limits.recreate_after_s) {
            self.app.deleted.note(interval, Instant::now(), queue.namespace, &queue.name);
        }
        Ok(self.answer(&Answer::Done))
    }

    pub(super) async fn purge_queue(&self, request: &OnQueue<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let seconds = self.app.config.limits.purge_interval_s;
        if let Some(interval) = interval(seconds) {
            if self.app.purged.within(interval, Instant::now(), queue.namespace, &queue.name) {
                let message =
                    format!("Only one PurgeQueue operation on {} is allowed every {seconds} seconds.", queue.name);
                return Err(Fault::new(Code::PurgeQueueInProgress, message).into());
            }
            self.app.purged.note(interval, Instant::now(), queue.namespace, &queue.name);
        }
        self.call(Command::PurgeQueue { queue: queue.id }).await?;
        Ok(self.answer(&Answer::Done))
    }

    /// Looks up a queue by its name.
    fn finder(&self, namespace: Namespace) -> impl Fn(&str) -> Option<Arc<Queue>> {
        move |name| self.app.engine.find(namespace, name)
    }

    /// The URL of a queue, as configured or as the caller sees this server.
    pub(super) fn url(&self, queue: &Queue) -> String {
        let mut url = Vec::with_capacity(128);
        let (scheme, host) = self.app.seen_as(self.call.host);
        name::push_url(&mut url, scheme, &host, queue.namespace, &queue.name);
        String::from_utf8_lossy(&url).into_owned()
    }
}

/// How long something cannot be repeated, where that is enforced.
fn interval(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn required_name(name: Option<&str>) -> Result<&str, Fault> {
    name.filter(|name| !name.is_empty()).ok_or_else(|| Fault::missing("QueueName"))
}
