//! The engine as the doors call it.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};
use weir_core::api::limit::{Acquired, Limiter, LimiterId, PermitId};
use weir_core::api::{Command, Handle, Namespace, Queue, QueueId, Reply, Token};
use weir_shard::{Answer, Answered, Directory, Listener, Refused, Respond, Shard};
use weir_store::{BackedUp, FileDisk, StoreError};

use crate::figures;

/// A running shard.
pub trait Engine: Send + Sync + 'static {
    /// Hands a command over without ever blocking; `responder` takes its answer once that is durable.
    ///
    /// # Errors
    /// `Overloaded` when too many commands wait, `Closed` or `Poisoned` when none is taken; then `responder` is not called.
    fn submit(&self, command: Command, responder: Responder) -> Result<Token, Refused>;

    /// Hands over two commands, to be carried out one after the other and made durable together; each is answered by
    /// itself.
    ///
    /// # Errors
    /// As [`Self::submit`]; then neither is carried out.
    fn submit_both(&self, first: (Command, Responder), second: (Command, Responder))
    -> Result<(Token, Token), Refused>;

    /// Hands over a command that has no answer.
    fn tell(&self, command: Command) -> Result<(), Refused>;

    /// Withdraws a waiting receive: it is answered at once, as empty.
    fn cancel(&self, receive: Token);

    /// The queue called `name`.
    fn find(&self, namespace: Namespace, name: &str) -> Option<Arc<Queue>>;

    /// Up to `max` queues whose names start with `prefix`, in order, from the one after `after` on.
    fn list(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Queue>>;

    /// All queues.
    fn all(&self) -> Vec<Arc<Queue>>;

    /// The limiter called `name`.
    fn limiter(&self, namespace: Namespace, name: &str) -> Option<Arc<Limiter>>;

    /// Up to `max` limiters, in the order of their names, from the one after `after` on.
    fn limiters(&self, namespace: Namespace, after: Option<&str>, max: usize) -> Vec<Arc<Limiter>>;

    /// The durable queues, limiters, topics and subscriptions, to be looked up.
    fn directory(&self) -> &Directory;

    /// Tells of what happens from now on, once it is durable. The listener is called on the engine's thread.
    fn listen(&self, listener: Listener);

    /// Copies the present state into `directory`, which must be empty or absent. Blocks until it is written.
    fn backup(&self, directory: &Path) -> Result<BackedUp, BackupError>;

    /// What the shard measures of itself.
    fn figures(&self) -> Figures;
}

/// Why no backup was made. What stands in the directory is not to be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The shard does not make one now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The directory cannot be made or opened.
    #[error("the directory of the copy")]
    Directory(#[from] io::Error),
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a shard measures of itself, for `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Whether it takes commands.
    pub serving: bool,
    /// Counters and gauges.
    pub values: Vec<Figure>,
    /// Histograms.
    pub histograms: Vec<HistogramFigure>,
}

/// A counter or gauge.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name, without the prefix `weir_` and without a counter's suffix.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Whether it only ever grows.
    pub is_counter: bool,
    /// Its value.
    pub value: f64,
}

/// A histogram.
#[derive(Clone, Debug)]
pub struct HistogramFigure {
    /// Its name, without the prefix `weir_`.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Sum of all values.
    pub sum: f64,
    /// Upper bound and number of values of each bucket, not cumulative; the last bound is `f64::MAX`.
    pub buckets: Vec<(f64, u64)>,
}

/// What became of grants once they were on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They could not be handed to who asked for them: the server returns them.
    Lost,
    /// They were written: limiters count from now.
    Left,
}

/// What was granted, and is on its way to who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Messages of a queue.
    Messages(QueueId, SmallVec<[Handle; 1]>),
    /// A permit of a limiter.
    Permit(LimiterId, PermitId),
}

impl Granted {
    /// What was granted with a reply.
    fn of(origin: Origin, reply: &Reply) -> Option<Self> {
        match (origin, reply) {
            (Origin::Queue(queue), Reply::Received(deliveries)) if !deliveries.is_empty() => {
                Some(Self::Messages(queue, deliveries.iter().map(|delivery| delivery.handle).collect()))
            }
            (Origin::Limiter(limiter), Reply::Acquired(Acquired::Granted { permit, .. })) => {
                Some(Self::Permit(limiter, *permit))
            }
            _ => None,
        }
    }

    /// What the engine is told of its fate.
    pub(crate) fn told(self, fate: Fate) -> Command {
        match (self, fate) {
            (Self::Messages(queue, handles), Fate::Lost) => Command::Return { queue, handles },
            (Self::Messages(queue, handles), Fate::Left) => Command::Released { queue, handles },
            (Self::Permit(limiter, permit), Fate::Lost) => Command::PermitReturned { limiter, permit },
            (Self::Permit(limiter, permit), Fate::Left) => Command::PermitReleased { limiter, permit },
        }
    }
}

/// Whose grants a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Queue(QueueId),
    Limiter(LimiterId),
}

impl From<QueueId> for Origin {
    fn from(queue: QueueId) -> Self {
        Self::Queue(queue)
    }
}

impl From<LimiterId> for Origin {
    fn from(limiter: LimiterId) -> Self {
        Self::Limiter(limiter)
    }
}

/// Where the fate of what was granted is told.
pub type Undelivered = mpsc::UnboundedSender<(Granted, Fate)>;

/// Takes the answer of a command to who waits for it.
#[derive(Debug)]
pub struct Responder {
    answer: oneshot::Sender<Answer>,
    receive: Option<(Undelivered, Origin)>,
}

impl Respond for Responder {
    fn respond(self, answer: Answer) {
        // Who waited is gone. What was leased for it goes back; any other answer nobody wants to know.
        if let (Err(Ok(answered)), Some((undelivered, origin))) = (self.answer.send(answer), self.receive) {
            give_back(&undelivered, origin, &answered);
        }
    }
}

/// Returns what was granted with a reply that reached nobody.
pub(crate) fn give_back(undelivered: &Undelivered, origin: impl Into<Origin>, answered: &Answered) {
    if let Some(granted) = Granted::of(origin.into(), &answered.reply) {
        // Without a receiver the server has ended: leases then end by themselves.
        let _ = undelivered.send((granted, Fate::Lost));
    }
}

/// Carries out a command other than a receive.
pub(crate) async fn call<E: Engine>(engine: &E, command: Command) -> Answer {
    let (sender, receiver) = oneshot::channel();
    engine.submit(command, Responder { answer: sender, receive: None })?;
    // The shard answers everything that it took, unless it stops altogether.
    receiver.await.unwrap_or(Err(Refused::Closed))
}

/// A receive under way, or who waits for a permit. Dropped before its answer came, it withdraws itself, and returns what
/// was granted to it.
pub(crate) struct Receiving<'a, E: Engine> {
    engine: &'a E,
    token: Token,
    answer: oneshot::Receiver<Answer>,
    origin: Origin,
    undelivered: &'a Undelivered,
    answered: bool,
}

impl<'a, E: Engine> Receiving<'a, E> {
    /// Starts a receive of a queue, or a wait for a permit of a limiter.
    pub(crate) fn start(
        engine: &'a E,
        undelivered: &'a Undelivered,
        origin: Origin,
        command: Command,
    ) -> Result<Self, Refused> {
        let (sender, answer) = oneshot::channel();
        let responder = Responder { answer: sender, receive: Some((undelivered.clone(), origin)) };
        let token = engine.submit(command, responder)?;
        Ok(Self { engine, token, answer, origin, undelivered, answered: false })
    }

    /// Starts a receive that is carried out right after `before`, whose answer comes by the channel.
    pub(crate) fn start_after(
        before: Command,
        engine: &'a E,
        undelivered: &'a Undelivered,
        origin: Origin,
        command: Command,
    ) -> Result<(oneshot::Receiver<Answer>, Self), Refused> {
        let (first, before_answer) = oneshot::channel();
        let (sender, answer) = oneshot::channel();
        let (_, token) = engine.submit_both(
            (before, Responder { answer: first, receive: None }),
            (command, Responder { answer: sender, receive: Some((undelivered.clone(), origin)) }),
        )?;
        Ok((before_answer, Self { engine, token, answer, origin, undelivered, answered: false }))
    }

    /// Asks for the answer at once, which will be empty unless a message came first.
    pub(crate) fn withdraw(&self) {
        self.engine.cancel(self.token);
    }
}

impl<E: Engine> Future for Receiving<'_, E> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.get_mut();
        let answer = std::task::ready!(Pin::new(&mut this.answer).poll(cx));
        this.answered = true;
        Poll::Ready(answer.unwrap_or(Err(Refused::Closed)))
    }
}

impl<E: Engine> Drop for Receiving<'_, E> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        // Closed first: from here on either the responder finds nobody, or its answer is already in the channel.
        self.answer.close();
        match self.answer.try_recv() {
            Ok(Ok(answered)) => give_back(self.undelivered, self.origin, &answered),
            Ok(Err(_)) => {}
            Err(_) => self.engine.cancel(self.token),
        }
    }
}

impl Engine for Box<dyn Engine> {
    fn submit(&self, command: Command, responder: Responder) -> Result<Token, Refused> {
        (**self).submit(command, responder)
    }

    fn submit_both(
        &self,
        first: (Command, Responder),
        second: (Command, Responder),
    ) -> Result<(Token, Token), Refused> {
        (**self).submit_both(first, second)
    }

    fn tell(&self, command: Command) -> Result<(), Refused> {
        (**self).tell(command)
    }

    fn cancel(&self, receive: Token) {
        (**self).cancel(receive);
    }

    fn find(&self, namespace: Namespace, name: &str) -> Option<Arc<Queue>> {
        (**self).find(namespace, name)
    }

    fn list(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Queue>> {
        (**self).list(namespace, prefix, after, max)
    }

    fn all(&self) -> Vec<Arc<Queue>> {
        (**self).all()
    }

    fn limiter(&self, namespace: Namespace, name: &str) -> Option<Arc<Limiter>> {
        (**self).limiter(namespace, name)
    }

    fn limiters(&self, namespace: Namespace, after: Option<&str>, max: usize) -> Vec<Arc<Limiter>> {
        (**self).limiters(namespace, after, max)
    }

    fn directory(&self) -> &Directory {
        (**self).directory()
    }

    fn listen(&self, listener: Listener) {
        (**self).listen(listener);
    }

    fn backup(&self, directory: &Path) -> Result<BackedUp, BackupError> {
        (**self).backup(directory)
    }

    fn figures(&self) -> Figures {
        (**self).figures()
    }
}

impl Engine for Shard<Responder> {
    fn submit(&self, command: Command, responder: Responder) -> Result<Token, Refused> {
        Shard::submit(self, command, responder)
    }

    fn submit_both(
        &self,
        first: (Command, Responder),
        second: (Command, Responder),
    ) -> Result<(Token, Token), Refused> {
        Shard::submit_both(self, first, second)
    }

    fn tell(&self, command: Command) -> Result<(), Refused> {
        Shard::tell(self, command)
    }

    fn cancel(&self, receive: Token) {
        Shard::cancel(self, receive);
    }

    fn directory(&self) -> &Directory {
        Shard::directory(self)
    }

    fn find(&self, namespace: Namespace, name: &str) -> Option<Arc<Queue>> {
        self.directory().find(namespace, name)
    }

    fn list(&self, namespace: Namespace, prefix: &str, after: Option<&str>, max: usize) -> Vec<Arc<Queue>> {
        self.directory().list(namespace, prefix, after, max)
    }

    fn all(&self) -> Vec<Arc<Queue>> {
        self.directory().all()
    }

    fn limiter(&self, namespace: Namespace, name: &str) -> Option<Arc<Limiter>> {
        self.directory().limiter(namespace, name)
    }

    fn limiters(&self, namespace: Namespace, after: Option<&str>, max: usize) -> Vec<Arc<Limiter>> {
        self.directory().limiters(namespace, after, max)
    }

    fn listen(&self, listener: Listener) {
        self.directory().listen(listener);
    }

    fn backup(&self, directory: &Path) -> Result<BackedUp, BackupError> {
        Ok(Shard::backup(self)?.run(&FileDisk::new(directory)?)?)
    }

    fn figures(&self) -> Figures {
        figures::of(&self.metrics())
    }
}
