//! A shard on its threads: one for the engine, one for the log, one for checkpoints, some for reads, and with relaxed
//! durability one for syncs.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased, unbounded};
use parking_lot::{Mutex, RwLock};
use weir_core::Time;
use weir_core::api::{Command, Token};
use weir_store::disk::Disk;
use weir_store::{Backup, Durability, LogWriter, Options, Recovery};

use crate::answer::{Refused, Respond};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::driver::{Driver, OpenShardError};
use crate::metrics::Metrics;
use crate::work::{Done, Work};

/// How many commands may wait for the engine thread; more are refused.
const COMMANDS_MAX: usize = 8_192;

/// How many commands are applied before the disk's results are looked at again.
const COMMANDS_A_TURN: usize = 256;

/// So many commands are few: their group may be appended by the engine's own thread.
const FEW: usize = 2;

/// Threads that load rows and payloads.
const READERS: usize = 2;

/// How long a producer that found the queue of commands full should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A command, or two that go to the disk together.
struct Request<R> {
    first: Asked<R>,
    second: Option<Box<Asked<R>>>,
}

struct Asked<R> {
    token: Token,
    command: Command,
    responder: Option<R>,
}

/// A running shard. Clones are handles of the same one; it runs until [`Shard::close`] or until all handles are gone.
pub struct Shard<R: Respond> {
    requests: Sender<Request<R>>,
    shared: Arc<Shared>,
}

struct Shared {
    last_token: AtomicU64,
    directory: Arc<Directory>,
    metrics: RwLock<Metrics>,
    closing: Sender<()>,
    backups: Sender<Sender<Backup>>,
    engine: Mutex<Option<JoinHandle<()>>>,
}

impl<R: Respond> Clone for Shard<R> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<R: Respond> std::fmt::Debug for Shard<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

impl<R: Respond> Shard<R> {
    /// Opens the shard in `disk` and starts its threads.
    pub fn open<D: Disk>(disk: D, options: Options) -> Result<(Self, Recovery), OpenShardError> {
        let (driver, writer, recovery) = Driver::open(disk, options)?;
        let (requests, incoming) = bounded(COMMANDS_MAX);
        let (closing, close) = bounded(1);
        let (backups, asked) = unbounded();
        let shared = Arc::new(Shared {
            last_token: AtomicU64::new(0),
            directory: Arc::clone(driver.directory()),
            metrics: RwLock::new(Metrics::new(&driver)),
            closing,
            backups,
            engine: Mutex::new(None),
        });
        let threads = Threads::start(writer, driver.durability());
        let engine = EngineThread {
            driver,
            clock: Clock::new(Time(recovery.last_time.0)),
            incoming,
            close,
            asked,
            askers: Vec::new(),
            threads,
            shared: Arc::clone(&shared),
            appended_at: Instant::now(),
            unappended: 0,
        };
        let thread = spawn("weir-engine", move || engine.run());
        *shared.engine.lock() = Some(thread);
        Ok((Self { requests, shared }, recovery))
    }

    /// Hands a command over; never blocks. The responder is answered once; on an error it is not, and nothing is done.
    pub fn submit(&self, command: Command, responder: R) -> Result<Token, Refused> {
        let first = self.asked(command, Some(responder));
        let token = first.token;
        self.send(Request { first, second: None })?;
        Ok(token)
    }

    /// Hands over two commands, to be carried out one after the other with nothing between them and made durable
    /// together. Each is answered by itself. On an error neither is.
    pub fn submit_both(&self, first: (Command, R), second: (Command, R)) -> Result<(Token, Token), Refused> {
        let (first, second) = (self.asked(first.0, Some(first.1)), self.asked(second.0, Some(second.1)));
        let tokens = (first.token, second.token);
        self.send(Request { first, second: Some(Box::new(second)) })?;
        Ok(tokens)
    }

    /// Hands over a command that has no answer.
    pub fn tell(&self, command: Command) -> Result<(), Refused> {
        self.send(Request { first: self.asked(command, None), second: None })
    }

    /// Withdraws a waiting receive.
    pub fn cancel(&self, receive: Token) {
        // Where the shard is gone or overloaded the receive ends by itself at its deadline, and its messages come back
        // when their leases end.
        let _ = self.tell(Command::Cancel { receive });
    }

    /// The durable queues.
    pub fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// What the shard did and how it stands, as of its last turn.
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.read().clone()
    }

    /// A consistent copy of all that was acknowledged before the call, to be written somewhere while serving goes on.
    /// Blocks until the checkpoint that it takes is made.
    ///
    /// # Errors
    /// `Closed` when the shard ends, or stops, before.
    pub fn backup(&self) -> Result<Backup, Refused> {
        let (sender, receiver) = bounded(1);
        self.shared.backups.send(sender).map_err(|_| Refused::Closed)?;
        receiver.recv().map_err(|_| Refused::Closed)
    }

    /// Ends the shard in good order: answers waiting receives as empty, makes everything durable, takes a last
    /// checkpoint and marks the shutdown as clean. Blocks until that is done; commands from now on are refused.
    pub fn close(&self) {
        // An error means that it is closing or closed.
        let _ = self.shared.closing.try_send(());
        let thread = self.shared.engine.lock().take();
        if let Some(thread) = thread {
            // The thread catches its panics, so there is no error to pass on.
            let _ = thread.join();
        }
    }

    fn asked(&self, command: Command, responder: Option<R>) -> Asked<R> {
        let token = Token(self.shared.last_token.fetch_add(1, Ordering::Relaxed) + 1);
        Asked { token, command, responder }
    }

    fn send(&self, request: Request<R>) -> Result<(), Refused> {
        match self.requests.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Refused::Overloaded { retry_after: RETRY_AFTER }),
            Err(TrySendError::Disconnected(_)) => Err(Refused::Closed),
        }
    }
}

/// The threads that do the engine's work for the disk.
struct Threads<D: Disk> {
    /// Held while a group is appended: by the thread for it, or by the engine's own.
    writer: Arc<Mutex<LogWriter<D>>>,
    log: Sender<Work<D>>,
    syncs: Sender<Work<D>>,
    checkpoints: Sender<Work<D>>,
    reads: Sender<Work<D>>,
    done: Receiver<Done>,
    handles: Vec<JoinHandle<()>>,
}

impl<D: Disk> Threads<D> {
    fn start(writer: LogWriter<D>, durability: Durability) -> Self {
        let (done_sender, done) = unbounded();
        let (log, log_work) = unbounded();
        let (syncs, sync_work) = unbounded();
        let (checkpoints, checkpoint_work) = unbounded();
        let (reads, read_work) = unbounded();
        let writer = Arc::new(Mutex::new(writer));
        let mut handles = Vec::new();
        let mut start = |name: &str, work: &Receiver<Work<D>>| {
            let (work, done, writer) = (work.clone(), done_sender.clone(), Arc::clone(&writer));
            handles.push(spawn(name, move || serve(&work, &done, &writer)));
        };
        start("weir-log", &log_work);
        if durability.is_relaxed() {
            start("weir-sync", &sync_work);
        }
        start("weir-checkpoint", &checkpoint_work);
        for _ in 0..READERS {
            start("weir-read", &read_work);
        }
        Self { writer, log, syncs, checkpoints, reads, done, handles }
    }

    fn run(&self, work: Work<D>) {
        let thread = match &work {
            Work::Append(_) => &self.log,
            Work::Sync(_) => &self.syncs,
            Work::Checkpoint(_) | Work::Upkeep(_) => &self.checkpoints,
            Work::Load(_) | Work::Bodies(_) => &self.reads,
        };
        thread.send(work).expect("the thread takes work for as long as its channel lives");
    }

    /// Lets the threads end, and waits for them.
    fn stop(self) {
        drop((self.log, self.syncs, self.checkpoints, self.reads));
        for handle in self.handles {
            // A thread that panicked did not send what it owed, so the driver is not idle and nobody stops it here.
            let _ = handle.join();
        }
    }
}

fn serve<D: Disk>(work: &Receiver<Work<D>>, done: &Sender<Done>, writer: &Mutex<LogWriter<D>>) {
    for work in work {
        if done.send(perform(work, writer)).is_err() {
            break;
        }
    }
}

fn perform<D: Disk>(work: Work<D>, writer: &Mutex<LogWriter<D>>) -> Done {
    let outcome = catch_unwind(AssertUnwindSafe(|| match work {
        Work::Append(_) => work.run(Some(&mut writer.lock())),
        _ => work.run(None),
    }));
    outcome.unwrap_or_else(|cause| Done::Panicked(format!("storage: {}", panic_message(&*cause))))
}

struct EngineThread<D: Disk, R: Respond> {
    driver: Driver<D, R>,
    clock: Clock,
    incoming: Receiver<Request<R>>,
    close: Receiver<()>,
    asked: Receiver<Sender<Backup>>,
    /// Who waits for the checkpoint of a backup.
    askers: Vec<Sender<Backup>>,
    threads: Threads<D>,
    shared: Arc<Shared>,
    appended_at: Instant,
    /// Commands since the last group that was appended.
    unappended: usize,
}

impl<D: Disk, R: Respond> EngineThread<D, R> {
    fn run(mut self) {
        // A panic of the engine is a broken invariant: nothing more is written or acknowledged, and those who wait are
        // told by the loss of their responder.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        if let Err(cause) = outcome {
            self.shared.metrics.write().poisoned = Some(format!("the engine stopped: {}", panic_message(&*cause)));
            return;
        }
        self.observe();
        self.threads.stop();
        if self.driver.poisoned().is_none()
            && let Err(error) = self.driver.into_store().close()
        {
            self.shared.metrics.write().poisoned = Some(format!("closing the store: {error}"));
        }
    }

    fn work(&mut self) {
        let mut closing = false;
        loop {
            let now = self.clock.now();
            let mut turned = false;
            while let Ok(done) = self.threads.done.try_recv() {
                turned = true;
                self.finish(now, done);
            }
            if !self.driver.is_ahead() {
                for _ in 0..COMMANDS_A_TURN {
                    let Ok(request) = self.incoming.try_recv() else { break };
                    turned = true;
                    self.carry_out(now, request);
                }
            }
            if self.driver.next_deadline() <= now {
                turned = true;
                self.driver.tick(now);
            }
            while let Some(work) = self.driver.poll_work(now) {
                turned |= self.hand_out(work);
            }
            self.hand_backup();
            if closing && self.driver.is_idle() {
                return;
            }
            if !turned {
                self.observe();
                closing |= self.wait(now, closing);
            }
        }
    }

    fn carry_out(&mut self, now: Time, Request { first, second }: Request<R>) {
        for Asked { token, command, responder } in [Some(first), second.map(|second| *second)].into_iter().flatten() {
            self.unappended += 1;
            self.driver.submit(now, token, command, responder);
        }
    }

    /// Has work for the disk done by its thread, or here and now: says which.
    ///
    /// What a few commands wrote is appended here when nobody is behind them: two changes of threads cost more than
    /// what the engine could do meanwhile. What comes in the meantime could not be durable sooner.
    fn hand_out(&mut self, work: Work<D>) -> bool {
        if !matches!(work, Work::Append(_)) {
            self.threads.run(work);
            return false;
        }
        self.appended_at = Instant::now();
        let few = mem::take(&mut self.unappended) <= FEW;
        if !few || !self.incoming.is_empty() {
            self.threads.run(work);
            return false;
        }
        let done = perform(work, &self.threads.writer);
        let now = self.clock.now();
        self.finish(now, done);
        true
    }

    /// Waits until there is something to do. Says whether the shard is to be closed.
    fn wait(&mut self, now: Time, closing: bool) -> bool {
        let deadline = self.driver.next_deadline();
        let timeout = match deadline {
            Time::NEVER => Duration::from_hours(1),
            deadline => deadline.since(now),
        };
        // Commands are left outside while the engine is too far ahead of the disk.
        let nothing = crossbeam_channel::never();
        let incoming = if self.driver.is_ahead() { &nothing } else { &self.incoming };
        let never = crossbeam_channel::never();
        let close = if closing { &never } else { &self.close };
        select_biased! {
            recv(self.threads.done) -> done => {
                let now = self.clock.now();
                if let Ok(done) = done {
                    self.finish(now, done);
                }
                false
            }
            recv(incoming) -> request => match request {
                Ok(request) => {
                    let now = self.clock.now();
                    self.carry_out(now, request);
                    false
                }
                // Every handle is gone.
                Err(_) => self.begin_close(),
            },
            recv(self.asked) -> asker => {
                self.askers.extend(asker);
                self.driver.want_backup();
                false
            }
            recv(close) -> _ => self.begin_close(),
            default(timeout) => false,
        }
    }

    /// Hands the copy asked for to who waits longest; each gets one of its own.
    fn hand_backup(&mut self) {
        if self.askers.is_empty() {
            return;
        }
        if self.driver.poisoned().is_some() {
            // They learn it from the loss of what they listen to.
            return self.askers.clear();
        }
        if let Some(backup) = self.driver.take_backup() {
            // Who is gone needs no copy.
            let _ = self.askers.remove(0).send(backup);
            if !self.askers.is_empty() {
                self.driver.want_backup();
            }
        }
    }

    fn begin_close(&mut self) -> bool {
        self.driver.close();
        true
    }

    fn finish(&mut self, now: Time, done: Done) {
        if let Done::Appended(_, Ok(())) = &done {
            self.shared.metrics.write().commit_seconds.observe(self.appended_at.elapsed());
        }
        self.driver.done(now, done);
    }

    fn observe(&self) {
        self.shared.metrics.write().update(&self.driver);
    }
}

fn panic_message(cause: &(dyn Any + Send)) -> &str {
    let message = cause.downcast_ref::<String>().map(String::as_str);
    message.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .expect("the system starts a handful of threads when a shard opens")
}
