//! The tasks of all mappings: they begin, change and end as their queues do.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weir_aws::Arn;
use weir_aws::lambda::event_source::Filters;
use weir_core::api::{Event, Queue, QueueId};

use super::LastResult;
use super::gather::Setup;
use super::note::{Mapping, Note, is_there};
use super::poller::{Poller, Wanted};
use crate::app::{App, stopped};
use crate::engine::Engine;
use crate::functions;

/// The tasks of all mappings.
pub(crate) struct Pollers {
    running: Mutex<HashMap<QueueId, HashMap<String, Running>>>,
    changes: mpsc::UnboundedSender<Arc<Queue>>,
}

/// A task.
struct Running {
    wanted: watch::Sender<Wanted>,
    last: Arc<Mutex<LastResult>>,
}

/// Queues that were changed, or are gone.
pub(crate) type Changes = mpsc::UnboundedReceiver<Arc<Queue>>;

impl Pollers {
    pub(crate) fn new() -> (Self, Changes) {
        let (changes, told) = mpsc::unbounded_channel();
        (Self { running: Mutex::default(), changes }, told)
    }

    /// Takes in what the engine tells. Called on its thread: does little.
    pub(crate) fn take(&self, event: &Event) {
        let (Event::QueueChanged(queue) | Event::QueueDeleted(queue)) = event else { return };
        let config = &queue.config;
        if is_there(config) || functions::Note::is_there(config) || self.running.lock().contains_key(&queue.id) {
            // Without a receiver the server has ended.
            let _ = self.changes.send(Arc::clone(queue));
        }
    }

    /// What came of the last batch of a mapping.
    pub(crate) fn last_result(&self, queue: QueueId, uuid: &str) -> LastResult {
        let running = self.running.lock();
        running
            .get(&queue)
            .and_then(|tasks| tasks.get(uuid))
            .map_or(LastResult::Nothing, |running| running.last.lock().clone())
    }

    /// Runs the tasks until the server stops and what was under way has ended, or for as long as it waits for that.
    pub(crate) async fn run<E: Engine>(app: Arc<App<E>>, mut changes: Changes) {
        let mut tasks = JoinSet::new();
        let mut stopping = app.stopping.clone();
        for queue in app.engine.all() {
            if is_there(&queue.config) {
                app.pollers.apply(&app, &queue, &mut tasks);
            }
        }
        loop {
            tokio::select! {
                Some(told) = changes.recv() => {
                    // What is so now counts, and not what was told of it.
                    match app.engine.directory().queue(told.id) {
                        Some(queue) => app.pollers.apply(&app, &queue, &mut tasks),
                        None => app.pollers.keep(told.id, &[]),
                    }
                    if functions::Note::is_there(&told.config) {
                        app.pollers.wake(&told);
                    }
                }
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the task of an event source mapping broke off");
                    }
                }
                () = stopped(&mut stopping) => break,
            }
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(app.config.stop_timeout, ended).await.is_err() {
            tracing::warn!("batches of event source mappings were cut off that did not end in time: they come again");
        }
        tasks.shutdown().await;
    }

    /// Has the mappings of a queue run as is set.
    fn apply<E: Engine>(&self, app: &Arc<App<E>>, queue: &Arc<Queue>, tasks: &mut JoinSet<()>) {
        let mappings = match Note::of(&queue.config) {
            Ok(note) => note.mappings,
            Err(error) => {
                tracing::error!(queue = queue.name, %error, "stored event source mappings cannot be used");
                Vec::new()
            }
        };
        self.keep(queue.id, &mappings);
        for mapping in mappings {
            self.run_one(app, queue, mapping, tasks);
        }
    }

    fn run_one<E: Engine>(&self, app: &Arc<App<E>>, queue: &Arc<Queue>, mapping: Mapping, tasks: &mut JoinSet<()>) {
        let filters = match Filters::new(&mapping.settings.filters) {
            Ok(filters) => filters,
            Err(error) => {
                tracing::error!(queue = queue.name, uuid = mapping.uuid, %error, "a stored filter cannot be used");
                return;
            }
        };
        let region = app.config.region.clone();
        let uuid = mapping.uuid.clone();
        let setup = Arc::new(Setup {
            arn: Arn { region: &region, namespace: queue.namespace, name: &queue.name }.to_string(),
            account: format!("{:012}", queue.namespace.0),
            queue: Arc::clone(queue),
            mapping,
            filters,
            region,
        });
        let mut running = self.running.lock();
        let of_queue = running.entry(queue.id).or_default();
        if let Some(running) = of_queue.get(&uuid) {
            let is_like = matches!(&*running.wanted.borrow(), Wanted::Run(before) if before.is_like(&setup));
            if !is_like {
                running.wanted.send_replace(Wanted::Run(setup));
            }
            return;
        }
        let last = Arc::<Mutex<LastResult>>::default();
        let (wanted, wants) = watch::channel(Wanted::Run(Arc::clone(&setup)));
        of_queue.insert(uuid, Running { wanted, last: Arc::clone(&last) });
        tasks.spawn(Poller { app: Arc::clone(app), wanted: wants, setup, last }.run());
    }

    /// Has all tasks of a queue end but those of these mappings.
    fn keep(&self, queue: QueueId, mappings: &[Mapping]) {
        let mut running = self.running.lock();
        let Some(of_queue) = running.get_mut(&queue) else { return };
        of_queue.retain(|uuid, running| {
            let stays = mappings.iter().any(|mapping| mapping.uuid == *uuid);
            if !stays {
                running.wanted.send_replace(Wanted::End);
            }
            stays
        });
        if of_queue.is_empty() {
            running.remove(&queue);
        }
    }

    /// Has those whose function it is look whether it is there.
    fn wake(&self, function: &Queue) {
        for running in self.running.lock().values().flat_map(HashMap::values) {
            let concerns = matches!(&*running.wanted.borrow(), Wanted::Run(setup)
                if setup.mapping.function == function.name && setup.queue.namespace == function.namespace);
            if concerns {
                running.wanted.send_modify(|_| {});
            }
        }
    }
}
