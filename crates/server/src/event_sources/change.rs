//! Making, changing and deleting mappings: what all doors do to them.

use std::sync::Arc;

use weir_core::api::{Command, Error, Namespace, Queue};
use weir_shard::Refused;

use super::note::{self, Mapping, Note};
use super::settings::{Change, Settings, Unfit};
use crate::engine::{self, Engine};
use crate::fresh::{now_ms, uuid};
use crate::functions;
use crate::native::Problem;

/// Most mappings of a queue.
pub(crate) const MAPPINGS_MAX: usize = 20;
/// How often a change is made anew when its queue is changed meanwhile. Of those that meet one wins each time.
const TRIES: usize = 256;

/// A mapping with its queue.
pub(crate) type Mapped = (Arc<Queue>, Mapping);

/// Why nothing is done to a mapping.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no such queue.
    NoQueue,
    /// There is no such function.
    NoFunction,
    /// There is no such mapping.
    NoMapping,
    /// The queue is that of a function, whose calls it takes.
    FunctionQueue,
    /// The queue is a subscription's own, which is delivered from it.
    OwnedQueue,
    /// The queue has a mapping to the function already: that of this id.
    Exists(String),
    /// The queue has as many mappings as it may.
    TooMany,
    /// A setting cannot be so.
    Unfit(Unfit),
    /// The engine refuses it, or what is stored cannot be read.
    Other(Problem),
}

/// Names a mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// By its id.
    Id(&'a str),
    /// By its queue and its function, between which there is one at most.
    Between { queue: &'a str, function: &'a str },
}

impl Which<'_> {
    /// The mapping, if it is there.
    pub(crate) fn find<E: Engine>(self, engine: &E, namespace: Namespace) -> Result<Option<Mapped>, Problem> {
        match self {
            Self::Id(_) => {
                Ok(note::list(engine, namespace).into_iter().find(|(queue, mapping)| self.is(queue, mapping)))
            }
            Self::Between { queue, .. } => {
                let Some(queue) = engine.find(namespace, queue) else { return Ok(None) };
                let found = read(&queue)?.mappings.into_iter().find(|mapping| self.is(&queue, mapping));
                Ok(found.map(|mapping| (queue, mapping)))
            }
        }
    }

    fn is(self, of: &Queue, mapping: &Mapping) -> bool {
        match self {
            Self::Id(uuid) => mapping.uuid == uuid,
            Self::Between { queue, function } => of.name == queue && mapping.function == function,
        }
    }
}

/// Makes a mapping.
pub(crate) async fn create<E: Engine>(
    engine: &E,
    namespace: Namespace,
    queue: &str,
    function: &str,
    set: &Change,
) -> Result<Mapped, Refusal> {
    check_function(engine, namespace, function)?;
    let uuid = weir_aws::uuid_text(&uuid());
    let find = || engine.find(namespace, queue).ok_or(Refusal::NoQueue);
    edit(engine, find, |queue, note| {
        if functions::Note::is_there(&queue.config) {
            return Err(Refusal::FunctionQueue);
        }
        if queue.subscription.is_some() {
            return Err(Refusal::OwnedQueue);
        }
        let settings = set.apply(&Settings::default(), queue.kind).map_err(Refusal::Unfit)?;
        if let Some(other) = note.mappings.iter().find(|mapping| mapping.function == function) {
            return Err(Refusal::Exists(other.uuid.clone()));
        }
        if note.mappings.len() >= MAPPINGS_MAX {
            return Err(Refusal::TooMany);
        }
        let mapping = Mapping { uuid: uuid.clone(), function: function.to_owned(), settings, modified_ms: now_ms() };
        note.mappings.push(mapping.clone());
        Ok(mapping)
    })
    .await
}

/// Changes a mapping: its function, if one is named, and its settings as `set` makes them of those before for a queue.
pub(crate) async fn change<E: Engine>(
    engine: &E,
    namespace: Namespace,
    which: Which<'_>,
    function: Option<&str>,
    set: impl Fn(&Settings, &Queue) -> Result<Settings, Unfit> + Send + Sync,
) -> Result<Mapped, Refusal> {
    if let Some(function) = function {
        check_function(engine, namespace, function)?;
    }
    edit(
        engine,
        || found(engine, namespace, which),
        |queue, note| {
            let at = place(which, queue, note)?;
            let named = note.mappings.iter().position(|mapping| function == Some(mapping.function.as_str()));
            if let Some(other) = named.filter(|&named| named != at).and_then(|named| note.mappings.get(named)) {
                return Err(Refusal::Exists(other.uuid.clone()));
            }
            let mapping = note.mappings.get_mut(at).ok_or(Refusal::NoMapping)?;
            let mut changed = Mapping {
                settings: set(&mapping.settings, queue).map_err(Refusal::Unfit)?,
                function: function.unwrap_or(&mapping.function).to_owned(),
                ..mapping.clone()
            };
            if changed != *mapping {
                changed.modified_ms = now_ms();
                mapping.clone_from(&changed);
            }
            Ok(changed)
        },
    )
    .await
}

/// Deletes a mapping, and says what it was. What is under way ends.
pub(crate) async fn delete<E: Engine>(engine: &E, namespace: Namespace, which: Which<'_>) -> Result<Mapped, Refusal> {
    edit(
        engine,
        || found(engine, namespace, which),
        |queue, note| {
            let at = place(which, queue, note)?;
            Ok(note.mappings.remove(at))
        },
    )
    .await
}

/// Edits the mappings of the queue that is there now.
async fn edit<E: Engine>(
    engine: &E,
    find: impl Fn() -> Result<Arc<Queue>, Refusal> + Send,
    edit: impl Fn(&Queue, &mut Note) -> Result<Mapping, Refusal> + Send,
) -> Result<Mapped, Refusal> {
    for _ in 0..TRIES {
        let queue = find()?;
        let mut note = read(&queue).map_err(Refusal::Other)?;
        let mapping = edit(&queue, &mut note)?;
        let mut config = queue.config.clone();
        note.put(&mut config);
        if config == queue.config {
            return Ok((queue, mapping));
        }
        let command = Command::ConfigureQueue { queue: queue.id, version: queue.version, config };
        match engine::call(engine, command).await {
            Ok(_) => return Ok((queue, mapping)),
            Err(Refused::Engine(Error::Stale { .. })) => {}
            Err(refused) => return Err(Refusal::Other(Problem::of(refused))),
        }
    }
    Err(Refusal::Other(Problem::of_error(&Error::Stale { version: 0 })))
}

fn found<E: Engine>(engine: &E, namespace: Namespace, which: Which<'_>) -> Result<Arc<Queue>, Refusal> {
    let found = which.find(engine, namespace).map_err(Refusal::Other)?;
    found.map(|(queue, _)| queue).ok_or(Refusal::NoMapping)
}

fn place(which: Which<'_>, queue: &Queue, note: &Note) -> Result<usize, Refusal> {
    note.mappings.iter().position(|mapping| which.is(queue, mapping)).ok_or(Refusal::NoMapping)
}

fn check_function<E: Engine>(engine: &E, namespace: Namespace, name: &str) -> Result<(), Refusal> {
    match functions::find(engine, namespace, name) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Refusal::NoFunction),
        Err(error) => Err(Refusal::Other(functions::unreadable(name, &error))),
    }
}

fn read(queue: &Queue) -> Result<Note, Problem> {
    Note::of(&queue.config).map_err(|error| {
        tracing::error!(queue = queue.name, %error, "stored event source mappings cannot be read");
        Problem::internal()
    })
}
