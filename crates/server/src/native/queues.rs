//! Queues: their configuration and their counters.

mod create;
mod hold;
mod list;
mod manage;
mod metrics;
mod settings;
mod tags;
mod view;

use std::sync::Arc;

use rand::random;
use weir_core::api::{Command, Config, Error, Kind, NAME_BYTES_MAX, Queue, Reply as EngineReply};

use super::Problem;
use super::bounds::LONGEST_MS;
use super::endpoint::Call;
use crate::engine::{self, Engine};
use weir_shard::Refused;

pub(crate) use create::{Create, Put};
pub(crate) use hold::{Obliterate, Pause, Resume};
pub(crate) use list::List;
pub(crate) use manage::{Change, Delete, Get, Purge};
pub(crate) use metrics::Metrics;
pub(super) use settings::{LimiterUseSettings, Settings};
pub(crate) use tags::ChangeTags;
pub(super) use view::QueueView;

/// How often a change is tried anew when another one comes between. Of those that meet one wins each time.
pub(super) const TRIES: usize = 256;

/// Checks the name of a queue to be created, and says what kind of queue it names.
pub(super) fn check_name(name: &str) -> Result<Kind, Problem> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let text = format!("must have from 1 to {NAME_BYTES_MAX} bytes, found {}", name.len());
        return Err(Problem::field("name", &text));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::field("name", "must not have control characters"));
    }
    Ok(if name.strip_suffix(".fifo").is_some() { Kind::Fifo } else { Kind::Standard })
}

/// What a queue has where a request says nothing. SQS's four days would take a job away that nobody came to work on, or
/// that is to run later than that: here only who asks for a retention has one.
pub(super) fn default_config() -> Config {
    Config { retention_ms: LONGEST_MS, ..Config::default() }
}

impl<E: Engine> Call<'_, E> {
    /// Creates the queue called `name` or, if there is one, calls `change` for what its configuration should be.
    async fn create_or(
        &self,
        name: &str,
        settings: &Settings,
        change: impl Fn(&Queue) -> Result<Config, Problem>,
    ) -> Result<(Arc<Queue>, bool), Problem> {
        let kind = check_name(name)?;
        let namespace = self.caller.namespace;
        for _ in 0..TRIES {
            if let Some(queue) = self.app.engine.find(namespace, name) {
                let config = change(&queue)?;
                match self.configure(&queue, config).await? {
                    Some(queue) => return Ok((queue, false)),
                    None => continue,
                }
            }
            let mut config = default_config();
            settings.apply(&mut config, kind, &self.app.config.limits)?;
            let (name, tags) = (name.to_owned(), settings.tags()?.unwrap_or_default());
            let command = Command::CreateQueue { namespace, name, kind, config, tags, seed: random() };
            match engine::call(&self.app.engine, command).await {
                Ok(answered) => match answered.reply {
                    EngineReply::Queue { queue, created } => return Ok((queue, created)),
                    _ => return Err(Problem::internal()),
                },
                // Somebody else was first.
                Err(Refused::Engine(Error::QueueExists { .. })) => {}
                Err(refused) => return Err(Problem::of(refused)),
            }
        }
        Err(Problem::of_error(&Error::Stale { version: 0 }))
    }

    /// Replaces the configuration of a queue; `None` where it was changed meanwhile.
    pub(in crate::native) async fn configure(
        &self,
        queue: &Arc<Queue>,
        config: Config,
    ) -> Result<Option<Arc<Queue>>, Problem> {
        if config == queue.config {
            return Ok(Some(Arc::clone(queue)));
        }
        let command = Command::ConfigureQueue { queue: queue.id, version: queue.version, config };
        match engine::call(&self.app.engine, command).await {
            Ok(answered) => match answered.reply {
                EngineReply::Queue { queue, .. } => Ok(Some(queue)),
                _ => Err(Problem::internal()),
            },
            Err(Refused::Engine(Error::Stale { .. })) => Ok(None),
            Err(refused) => Err(Problem::of(refused)),
        }
    }

    /// Gives a queue the tags that it is asked to have.
    async fn tag(&self, queue: Arc<Queue>, settings: &Settings) -> Result<Arc<Queue>, Problem> {
        let Some(tags) = settings.tags()?.filter(|tags| *tags != queue.tags) else { return Ok(queue) };
        let remove = queue.tags.keys().filter(|key| !tags.contains_key(*key)).cloned().collect();
        let max = weir_aws::sqs::tags::TAGS_MAX as u64;
        match self.command(Command::TagQueue { queue: queue.id, remove, add: tags, max }).await? {
            EngineReply::Queue { queue, .. } => Ok(queue),
            _ => Err(Problem::internal()),
        }
    }

    /// A queue with its counters.
    async fn view(&self, queue: &Queue) -> Result<QueueView, Problem> {
        match self.command(Command::QueueStats { queue: queue.id }).await? {
            EngineReply::Stats { queue, counters, priorities, oldest, .. } => {
                Ok(QueueView::new(&queue, counters, priorities, oldest, &self.app.config.limits))
            }
            _ => Err(Problem::internal()),
        }
    }
}
