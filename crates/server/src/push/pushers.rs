//! All push targets: their tasks begin, change and end as their queues do, and the subscriptions that these belong to.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weir_aws::sns::topic::delivery_policy_of;
use weir_core::api::topic::{Endpoint, SubscriptionId, Topic, TopicId};
use weir_core::api::{Event, Queue, QueueId};
use weir_push::network::Network;

use super::caller::Caller;
use super::client::Shared;
use super::farewell::{Farewell, Farewells};
use super::links;
use super::note::Note;
use super::notifier::Notifier;
use super::pusher::{Pusher, Wanted};
use super::setup::Setup;
use super::shared::{Known, Status};
use crate::app::{App, stopped};
use crate::engine::Engine;
use crate::functions;

/// All push targets.
pub(crate) struct Pushers {
    pub(crate) shared: Shared,
    pub(super) farewells: Farewells,
    running: Mutex<HashMap<QueueId, Running>>,
    /// The delivery policies that subscriptions of topics go by.
    policies: Mutex<HashMap<TopicId, Option<String>>>,
    changes: mpsc::UnboundedSender<Changed>,
}

/// A task.
struct Running {
    source: Source,
    limited: bool,
    /// The topic by whose delivery policy it goes.
    topic: Option<TopicId>,
    wanted: watch::Sender<Wanted>,
    known: Arc<Known>,
}

/// What a task runs by.
#[derive(PartialEq, Eq)]
enum Source {
    /// The note of its queue.
    Note(String),
    /// What is set of the subscription that its queue belongs to.
    Subscription(Box<Notifier>),
    /// The function that is called for the subscription that its queue belongs to.
    Function(Caller),
    /// The command of the function that its queue is, and how long an attempt may take.
    Command(functions::Command, Option<u64>),
}

/// What was changed, or is gone.
#[derive(Debug)]
pub(crate) enum Changed {
    Queue(QueueId),
    Topic(TopicId),
}

/// What was changed, or is gone.
pub(crate) type Changes = mpsc::UnboundedReceiver<Changed>;

impl Pushers {
    pub(crate) fn new(allowed: Vec<Network>) -> (Self, Changes) {
        let (changes, told) = mpsc::unbounded_channel();
        let (running, policies) = (Mutex::default(), Mutex::default());
        (Self { shared: Shared::new(allowed), farewells: Farewells::new(), running, policies, changes }, told)
    }

    /// Takes in what the engine tells. Called on its thread: does little.
    pub(crate) fn take(&self, event: &Event) {
        let changed = match event {
            Event::QueueChanged(queue) | Event::QueueDeleted(queue) if self.concerns(queue) => Changed::Queue(queue.id),
            Event::SubscriptionChanged(subscription) => match subscription.queue {
                Some(queue) => Changed::Queue(queue),
                None => return,
            },
            // A topic changes with each of its subscriptions, and its policy hardly ever.
            Event::TopicChanged(topic) if self.has_other_policy(topic) => Changed::Topic(topic.id),
            Event::TopicDeleted(topic) => {
                self.policies.lock().remove(&topic.id);
                return;
            }
            _ => return,
        };
        // Without a receiver the server has ended.
        let _ = self.changes.send(changed);
    }

    fn concerns(&self, queue: &Queue) -> bool {
        Note::text(&queue.config).is_some()
            || functions::Note::is_there(&queue.config)
            || queue.subscription.is_some()
            || self.running.lock().contains_key(&queue.id)
    }

    fn has_other_policy(&self, topic: &Topic) -> bool {
        let known = self.policies.lock();
        known.get(&topic.id).is_some_and(|known| known.as_deref() != delivery_policy_of(&topic.config))
    }

    /// How the target of a queue stands; nothing while none runs.
    pub(crate) fn status(&self, queue: QueueId) -> Option<Status> {
        self.running.lock().get(&queue).map(|running| running.known.status())
    }

    /// How the targets of at most so many queues stand, in the order of the names of these. A queue that a subscription owns is
    /// nobody's to know.
    pub(crate) fn standings(&self, max: usize) -> Vec<(String, Status)> {
        let running = self.running.lock();
        let standing = |running: &Running| match &*running.wanted.borrow() {
            Wanted::Run(setup) if setup.queue.subscription.is_none() => {
                Some((setup.queue.name.clone(), Arc::clone(&running.known)))
            }
            _ => None,
        };
        let mut standings: Vec<_> = running.values().filter_map(standing).collect();
        drop(running);
        standings.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        standings.into_iter().take(max).map(|(queue, known)| (queue, known.status())).collect()
    }

    /// What tells the endpoint that is called from a queue of its end, if that is one to be told.
    pub(crate) fn farewell(&self, queue: QueueId) -> Option<Farewell> {
        let running = self.running.lock();
        let wanted = running.get(&queue)?.wanted.borrow().clone();
        match wanted {
            Wanted::Run(setup) => Farewell::of(setup),
            Wanted::End => None,
        }
    }

    /// Runs the tasks until the server stops and what was under way has ended, or for as long as it waits for that.
    pub(crate) async fn run<E: Engine>(app: Arc<App<E>>, mut changes: Changes) {
        let mut tasks = JoinSet::new();
        let mut stopping = app.stopping.clone();
        for queue in app.engine.all() {
            if app.pushers.concerns(&queue) {
                app.pushers.apply(&app, &queue, &mut tasks);
            }
        }
        loop {
            tokio::select! {
                Some(told) = changes.recv() => {
                    let queues = match told {
                        Changed::Queue(queue) => vec![queue],
                        Changed::Topic(topic) => app.pushers.of_topic(topic),
                    };
                    for queue in queues {
                        // What is so now counts, and not what was told of it.
                        match app.engine.directory().queue(queue) {
                            Some(queue) => app.pushers.apply(&app, &queue, &mut tasks),
                            None => app.pushers.end(queue),
                        }
                    }
                }
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the task of a push target broke off");
                    }
                }
                () = stopped(&mut stopping) => break,
            }
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(app.config.stop_timeout, ended).await.is_err() {
            tracing::warn!("pushes were cut off that did not end in time: they are made again");
        }
        tasks.shutdown().await;
    }

    /// The queues whose targets go by the policy of a topic.
    fn of_topic(&self, topic: TopicId) -> Vec<QueueId> {
        let running = self.running.lock();
        running.iter().filter(|(_, running)| running.topic == Some(topic)).map(|(&queue, _)| queue).collect()
    }

    /// Has a queue's target run as is set.
    fn apply<E: Engine>(&self, app: &Arc<App<E>>, queue: &Arc<Queue>, tasks: &mut JoinSet<()>) {
        let (source, topic) = match (Note::text(&queue.config), queue.subscription) {
            (Some(text), _) => (Source::Note(text.to_owned()), None),
            (None, Some(subscription)) => match self.subscribed(app, queue, subscription) {
                Some((source, topic)) => (source, topic),
                None => return self.end(queue.id),
            },
            (None, None) => match command(app, queue) {
                Some(command) => (Source::Command(command, queue.config.timeout_ms), None),
                None => return self.end(queue.id),
            },
        };
        let limited = !queue.config.limiters.is_empty();
        let is_same = |running: &Running| running.source == source && running.limited == limited;
        if self.running.lock().get(&queue.id).is_some_and(is_same) {
            return;
        }
        // Made without the lock, which the engine's thread takes, too. Nobody else changes what runs.
        let setup = match setup(app, queue, &source) {
            Ok(setup) => Arc::new(setup),
            Err(error) => {
                tracing::error!(queue = queue.name, error, "a stored push target cannot be used");
                return self.end(queue.id);
            }
        };
        let mut running = self.running.lock();
        if let Some(running) = running.get_mut(&queue.id) {
            running.source = source;
            running.limited = limited;
            running.topic = topic;
            running.wanted.send_replace(Wanted::Run(setup));
            return;
        }
        let known = Arc::new(Known::new(&setup));
        let (wanted, wants) = watch::channel(Wanted::Run(Arc::clone(&setup)));
        running.insert(queue.id, Running { source, limited, topic, wanted, known: Arc::clone(&known) });
        tasks.spawn(Pusher::new(Arc::clone(app), known, wants, setup).run());
    }

    /// What is to be said to the endpoint of the subscription that a queue belongs to, and by the policy of which topic,
    /// if by one; nothing where that is a queue.
    fn subscribed<E: Engine>(
        &self,
        app: &App<E>,
        queue: &Queue,
        subscription: SubscriptionId,
    ) -> Option<(Source, Option<TopicId>)> {
        let directory = app.engine.directory();
        let subscription = directory.subscription(subscription)?;
        if subscription.queue != Some(queue.id) {
            return None;
        }
        let (base, region) = (links::base(app, &queue.config), &app.config.region);
        match &subscription.endpoint {
            Endpoint::Queue(_) => return None,
            Endpoint::Function(function) => {
                let topic = directory.topic_by_id(subscription.topic)?;
                return Some((Source::Function(Caller::new(base, region, function, &subscription, &topic)), None));
            }
            Endpoint::Url(_) => {}
        }
        let topic = {
            // Looked up under the lock: of a change that comes later it is told.
            let mut policies = self.policies.lock();
            let topic = directory.topic_by_id(subscription.topic)?;
            policies.insert(topic.id, delivery_policy_of(&topic.config).map(str::to_owned));
            topic
        };
        let notifier = Notifier::new(base, region, &subscription, &topic);
        Some((Source::Subscription(Box::new(notifier)), Some(topic.id)))
    }

    /// Has the target of a queue end.
    fn end(&self, queue: QueueId) {
        if let Some(running) = self.running.lock().remove(&queue) {
            running.wanted.send_replace(Wanted::End);
        }
    }
}

/// The command behind a queue, where there is one and it may be run.
fn command<E: Engine>(app: &App<E>, queue: &Queue) -> Option<functions::Command> {
    let note = match functions::Note::of(&queue.config) {
        Ok(note) => note?,
        Err(error) => {
            tracing::error!(queue = queue.name, %error, "a stored function cannot be read");
            return None;
        }
    };
    let command = note.command?;
    if app.config.commands.is_none() {
        let queue = &queue.name;
        tracing::warn!(
            queue,
            "the calls of a function wait: functions.allow_commands is false, so its command is not run"
        );
        return None;
    }
    Some(command)
}

fn setup<E: Engine>(app: &App<E>, queue: &Arc<Queue>, source: &Source) -> Result<Setup, String> {
    let (queue, region, shared) = (Arc::clone(queue), &app.config.region, &app.pushers.shared);
    let made = match source {
        Source::Note(_) => {
            let note = Note::of(&queue.config).map_err(|error| error.to_string())?;
            Setup::new(queue, note.ok_or("there is none")?, region, shared)
        }
        Source::Subscription(notifier) => Setup::notifying(queue, (**notifier).clone(), region, shared),
        Source::Function(caller) => Setup::calling(queue, caller.clone(), region),
        Source::Command(command, _) => {
            let runner = app.config.commands.clone().ok_or("the configuration allows no commands")?;
            Setup::running(queue, command.clone(), runner, region)
        }
    };
    made.map_err(|error| error.to_string())
}
