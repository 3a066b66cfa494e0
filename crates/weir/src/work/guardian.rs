//! Sees to it that no process outlives its worker, however that ends: a process of our own that waits for the end of a pipe,
//! and is started anew where somebody ends it.

use std::collections::HashSet;
use std::future::Future;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The variable by which processes of a worker are known: they have it from us, and what they start has it from them.
pub(super) const MARK: &str = "WEIR_WORKER";
/// Between two looks at what runs.
const PAUSE: Duration = Duration::from_millis(50);
/// For how long is looked at most, beyond the grace.
const LOOK: Duration = Duration::from_secs(30);
/// Looks without finding anything, after which there is nothing.
const NOTHING: u32 = 3;

/// After the second end in a row of a guardian it is waited for so long before another is started, and twice as long each
/// time, up to the longest. One that lived for longer than that begins another row.
const BREATH: Duration = Duration::from_millis(100);
const LONGEST_BREATH: Duration = Duration::from_secs(30);

/// Ends the processes of a worker once that has ended. Started by `weir work`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The mark of the processes.
    mark: String,
    /// Milliseconds from asking to making them end.
    grace_ms: u64,
}

/// The guardian as the worker holds it: some process at any time, but for moments.
#[derive(Debug)]
pub(crate) struct Guardian {
    mark: String,
    guarded: watch::Receiver<bool>,
    /// Says, sent or dropped, that the worker ends.
    ends: oneshot::Sender<()>,
    keeping: JoinHandle<anyhow::Result<()>>,
}

impl Guardian {
    pub(super) fn start(grace: Duration) -> anyhow::Result<Self> {
        let mark = format!("{:032x}", rand::random::<u128>());
        let start = {
            let mark = mark.clone();
            move || Watch::start(&mark, grace)
        };
        let first = start()?;
        let ((ends, end), (tell, guarded)) = (oneshot::channel(), watch::channel(true));
        Ok(Self { mark, guarded, ends, keeping: tokio::spawn(keep(first, start, end, tell)) })
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Whether there is one now.
    pub(super) fn guarded(&self) -> watch::Receiver<bool> {
        self.guarded.clone()
    }

    /// Lets it end what is left.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        // Where nobody listens the task has broken off, which it says below.
        let _ = self.ends.send(());
        self.keeping.await.context("the guardian of processes was lost")?
    }
}

/// Has a process watch until `end`, and then end what is left: another one whenever one ends before. What runs has the same
/// mark for each of them.
async fn keep(
    mut watch: Watch,
    start: impl Fn() -> anyhow::Result<Watch>,
    mut end: oneshot::Receiver<()>,
    guarded: watch::Sender<bool>,
) -> anyhow::Result<()> {
    let mut breath = Duration::ZERO;
    loop {
        let began = Instant::now();
        let status = tokio::select! {
            _ = &mut end => return watch.end().await,
            status = watch.child.wait() => status,
        };
        guarded.send_replace(false);
        match status {
            Ok(status) => tracing::warn!(%status, "the guardian of processes has ended: another one is started"),
            Err(error) => tracing::warn!(%error, "the guardian of processes is lost: another one is started"),
        }
        if began.elapsed() > LONGEST_BREATH {
            breath = Duration::ZERO;
        }
        let mut ends = false;
        watch = loop {
            ends = ends || is_ready(breath, &mut end).await;
            breath = (breath * 2).clamp(BREATH, LONGEST_BREATH);
            match start() {
                Ok(watch) => break watch,
                Err(error) if ends => return Err(error),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "processes have no guardian"),
            }
        };
        if ends {
            return watch.end().await;
        }
        guarded.send_replace(true);
    }
}

/// Whether something is ready within this time.
async fn is_ready(within: Duration, what: impl Future) -> bool {
    timeout(within, what).await.is_ok()
}

/// A process that watches.
#[derive(Debug)]
struct Watch {
    child: Child,
    /// Closed by the system if we end in whatever way.
    lifeline: ChildStdin,
}

impl Watch {
    fn start(mark: &str, grace: Duration) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find our own program")?;
        let mut child = Command::new(own)
            .arg("work-guardian")
            .arg(mark)
            .arg(grace.as_millis().to_string())
            // A worker that a worker runs has a guardian of its own.
            .env_remove(MARK)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Signals of a terminal are for the worker.
            .process_group(0)
            .spawn()
            .context("cannot start the guardian of processes")?;
        let lifeline = child.stdin.take().context("the guardian of processes has no standard input")?;
        Ok(Self { child, lifeline })
    }

    /// Lets it end what is left.
    async fn end(self) -> anyhow::Result<()> {
        let Self { mut child, lifeline } = self;
        drop(lifeline);
        child.wait().await.context("cannot wait for the guardian of processes")?;
        Ok(())
    }
}

/// Waits for the end of the worker, and ends what it has left.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    // Nothing ever comes: an error is an end, too.
    let _ = std::io::stdin().read(&mut [0]);
    let mark = format!("{MARK}={}", arguments.mark);
    let grace = Duration::from_millis(arguments.grace_ms);
    let (started, mut asked, mut nothing) = (Instant::now(), HashSet::new(), 0);
    while nothing < NOTHING && started.elapsed() < grace + LOOK {
        let found = marked(&mark);
        nothing = if found.is_empty() { nothing + 1 } else { 0 };
        for pid in found {
            // One that is gone meanwhile is what is wanted.
            if started.elapsed() >= grace {
                let _ = kill_process(pid, Signal::KILL);
            } else if asked.insert(pid) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(PAUSE);
    }
    ExitCode::SUCCESS
}

/// Processes whose environment has this entry.
fn marked(mark: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|number| {
            let environment = std::fs::read(Path::new("/proc").join(number.to_string()).join("environ"));
            environment.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
        })
        .filter_map(Pid::from_raw)
        .collect()
}
