//! `weir work`: a process for each job of a queue.

mod attempt;
mod batch;
mod command;
mod guardian;
mod output;
mod process;
mod runner;
mod stderr;
mod verdict;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use weir_client::{Summary, WorkerBuilder};

use crate::client::{Queue, ServerArguments};
use crate::config::duration;
use command::Template;
pub(crate) use guardian::Arguments as GuardianArguments;
pub(crate) use guardian::Guardian;
pub(crate) use guardian::run as guard;
pub(crate) use runner::Runner;

/// Runs a command for each job of a queue.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// How many processes run at once.
    #[arg(long, short = 'c', value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    concurrency: u64,
    /// Gives each process up to so many jobs, one a line.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1_000))]
    batch: Option<u64>,
    /// With --batch: how long to wait for a full one, from its first job.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s", requires = "batch")]
    linger: Duration,
    /// With --batch: all jobs of a batch are of one group.
    #[arg(long, requires = "batch")]
    one_group: bool,
    /// Ends a process that takes longer, and all that it started; the attempt has failed.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// How long a process that is to end has for it, from SIGTERM to SIGKILL.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    grace: Duration,
    /// How long running processes have to finish once this one is to end; then their jobs go back to the queue.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "30s")]
    drain: Duration,
    /// Length of a lease, which is extended while a process runs: how long a job rests if this machine dies. Default: as the
    /// queue says.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    lease: Option<Duration>,
    /// Exit codes after which a job is not tried again. Can be given several times.
    #[arg(long, value_name = "CODE", value_delimiter = ',', default_values_t = [verdict::FATAL])]
    fatal_exit: Vec<u8>,
    /// What is printed to standard output: the job's result, or lines for its log.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = output::Stdout::Result)]
    stdout: output::Stdout,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    server: ServerArguments,
}

const HELP: &str = "\
A process has the data of its job as JSON on standard input, and in its environment WEIR_QUEUE, WEIR_JOB_ID,
WEIR_JOB_NAME, WEIR_JOB_ATTEMPT and others (docs/process-workers.md). What it prints is the result: JSON, or else text.
Lines that it writes to standard error go to the job's log; one that starts with `weir:progress ` is its progress.

Exit codes of a process:
  0      the job is completed
  65     it has failed and is not tried again (--fatal-exit)
  75     it was not begun: it is ready again in a second, and no attempt is counted
  other  the attempt has failed: the job is tried again as its queue says";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Processes are started by the thread that lives as long as we do: the system tells them of its death.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let summary = runtime.block_on(work(arguments))?;
    if let Some(Summary { completed, failed, released, lost, .. }) = summary {
        crate::output::note(&format!("{completed} completed, {failed} failed, {released} given back, {lost} lost"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Works until it is told to end; what was done, unless it had to end at once.
async fn work(arguments: &Arguments) -> anyhow::Result<Option<Summary>> {
    let guardian = Guardian::start(arguments.grace)?;
    let template = Arc::new(Template {
        command: arguments.command.clone(),
        queue: arguments.queue.name().to_owned(),
        mark: guardian.mark().to_owned(),
        timeout: arguments.timeout,
        grace: arguments.grace,
        fatal: arguments.fatal_exit.clone(),
        stdout: arguments.stdout,
    });
    template.check()?;
    let queue = arguments.server.worker_client()?.queue(arguments.queue.name());
    let concurrency = usize::try_from(arguments.concurrency).unwrap_or(usize::MAX);
    let mut worker: WorkerBuilder<_> =
        queue.worker().concurrency(concurrency).drain(arguments.drain).cancel_grace(Duration::ZERO);
    if let Some(lease) = arguments.lease {
        worker = worker.lease(lease);
    }
    if arguments.one_group {
        worker = worker.one_group();
    }
    let hurry = Arc::new(Notify::new());
    let shutdown = told_to_end(hurry.clone())?;
    let working = async {
        match arguments.batch {
            Some(size) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let run = move |jobs| batch::run(template.clone(), jobs);
                worker.run_batches(size, arguments.linger, shutdown, run).await
            }
            None => worker.run(shutdown, move |job| attempt::run(template.clone(), job)).await,
        }
    };
    let summary = tokio::select! {
        summary = working => Some(summary?),
        // Whoever says it twice does not want to wait: what runs is ended, and its leases run out.
        () = hurry.notified() => None,
    };
    guardian.end().await?;
    Ok(summary)
}

/// The first signal ends the worker; with the second, `hurry` is told.
fn told_to_end(hurry: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (first, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match first.take() {
                Some(first) => {
                    crate::output::note("ending once what runs is done; once more to end at once");
                    // The worker may have ended by itself.
                    let _ = first.send(());
                }
                None => hurry.notify_one(),
            }
        }
    });
    Ok(async move { drop(told.await) })
}
