//! A shard on its threads: one for the engine, one for the log, one for checkpoints, some for reads, and with relaxed
//! durability one for syncs.

use std::any::Any;
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

/// Threads that load rows and payloads.
const READERS: usize = 2;

/// How long a producer that found the queue of commands full should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

struct Request<R> {
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
        };
        let thread = spawn("weir-engine", move || engine.run());
        *shared.engine.lock() = Some(thread);
        Ok((Self { requests, shared }, recovery))
    }

    /// Hands a command over; never blocks. The responder is answered once; on an error it is not, and nothing is done.
    pub fn submit(&self, command: Command, responder: R) -> Result<Token, Refused> {
        self.send(command, Some(responder))
    }

    /// Hands over a command that has no answer.
    pub fn tell(&self, command: Command) -> Result<(), Refused> {
        self.send(command, None).map(|_| ())
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

    fn send(&self, command: Command, responder: Option<R>) -> Result<Token, Refused> {
        let token = Token(self.shared.last_token.fetch_add(1, Ordering::Relaxed) + 1);
        match self.requests.try_send(Request { token, command, responder }) {
            Ok(()) => Ok(token),
            Err(TrySendError::Full(_)) => Err(Refused::Overloaded { retry_after: RETRY_AFTER }),
            Err(TrySendError::Disconnected(_)) => Err(Refused::Closed),
        }
    }
}

/// The threads that do the engine's work for the disk.
struct Threads<D: Disk> {
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
        let mut handles = Vec::new();
        let mut start = |name: &str, work: &Receiver<Work<D>>, writer| {
            let (work, done) = (work.clone(), done_sender.clone());
            handles.push(spawn(name, move || serve(&work, &done, writer)));
        };
        start("weir-log", &log_work, Some(writer));
        if durability.is_relaxed() {
            start("weir-sync", &sync_work, None);
        }
        start("weir-checkpoint", &checkpoint_work, None);
        for _ in 0..READERS {
            start("weir-read", &read_work, None);
        }
        Self { log, syncs, checkpoints, reads, done, handles }
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

fn serve<D: Disk>(work: &Receiver<Work<D>>, done: &Sender<Done>, mut writer: Option<LogWriter<D>>) {
    for work in work {
        let outcome = catch_unwind(AssertUnwindSafe(|| work.run(writer.as_mut())));
        let outcome = outcome.unwrap_or_else(|cause| Done::Panicked(format!("storage: {}", panic_message(&*cause))));
        if done.send(outcome).is_err() {
            break;
        }
    }
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
                for request in self.incoming.try_iter().take(COMMANDS_A_TURN) {
                    turned = true;
                    self.driver.submit(now, request.token, request.command, request.responder);
                }
            }
            if self.driver.next_deadline() <= now {
                turned = true;
                self.driver.tick(now);
            }
            while let Some(work) = self.driver.poll_work(now) {
                if let Work::Append(_) = work {
                    self.appended_at = Instant::now();
                }
                self.threads.run(work);
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
                    self.driver.submit(now, request.token, request.command, request.responder);
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
