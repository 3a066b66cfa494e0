//! A process from its start to its end, with all that it started.

use std::future::pending;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::stderr::{Lines, Listener};

/// Most bytes that are read of standard output: what a result may have, and one more to tell that it is too long.
const OUTPUT_BYTES_MAX: u64 = (16 << 20) + 1;
/// How long the pipes of a process that has ended may stay open: something that it started has left its group and has them.
const PIPES: Duration = Duration::from_secs(2);

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Nothing where it took too long and was ended.
    pub(super) status: Option<ExitStatus>,
    /// What it printed.
    pub(super) stdout: Vec<u8>,
    /// The last of what it wrote to standard error.
    pub(super) stderr: String,
}

/// When a process has had enough time: after so long, or never.
pub(super) async fn patience(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => sleep(timeout).await,
        None => pending().await,
    }
}

/// A process with its group, which end when they are let go of: first asked, then made to.
struct Owned {
    child: Option<Child>,
    pid: Option<Pid>,
    grace: Duration,
}

/// Runs a process: writes its input, takes its output, and passes on its lines. Once it is `enough` it is made to end.
pub(super) async fn run<L: Listener>(
    mut command: Command,
    input: Vec<u8>,
    listener: L,
    enough: impl Future<Output = ()> + Send,
    grace: Duration,
) -> std::io::Result<Ended> {
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut owned = Owned { child: Some(child), pid, grace };
    let mut printed = Vec::new();
    let mut lines = Lines::new(listener);
    let status = {
        let talk = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // Who does not read its input is not to blame: its end is what counts.
                    let _ = stdin.write_all(&input).await;
                }
            };
            let read = async {
                if let Some(stdout) = stdout {
                    // What was read before an error is what there is.
                    let _ = stdout.take(OUTPUT_BYTES_MAX).read_to_end(&mut printed).await;
                }
            };
            let listen = async {
                if let Some(stderr) = stderr {
                    lines.read(stderr).await;
                }
            };
            tokio::join!(write, read, listen);
        };
        tokio::pin!(talk);
        let mut talked = false;
        let status = {
            let ending = owned.ended_before(enough);
            tokio::pin!(ending);
            loop {
                tokio::select! {
                    status = &mut ending => break status?,
                    () = &mut talk, if !talked => talked = true,
                }
            }
        };
        if !talked {
            // They close with the group; something that left it may hold them open.
            let _ = timeout(PIPES, &mut talk).await;
        }
        status
    };
    Ok(Ended { status, stdout: printed, stderr: lines.into_tail() })
}

impl Owned {
    /// The end of the process, and with it of all that it started. Nothing where it was made to end.
    async fn ended_before(&mut self, enough: impl Future<Output = ()>) -> std::io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = tokio::select! {
            biased;
            status = child.wait() => Some(status?),
            () = enough => None,
        };
        let Some(child) = self.child.take() else { return Ok(None) };
        match status {
            Some(status) => {
                kill(self.pid, Signal::KILL);
                Ok(Some(status))
            }
            None => end(child, self.pid, self.grace).await.map(|()| None),
        }
    }
}

impl Drop for Owned {
    /// The attempt was broken off: its lease is lost, or it was cancelled.
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        let (pid, grace) = (self.pid, self.grace);
        tokio::spawn(async move {
            if let Err(error) = end(child, pid, grace).await {
                crate::output::note(&format!("a process could not be ended: {error}"));
            }
        });
    }
}

/// Asks a process to end, and makes it after a while. What it started and left behind ends with it.
async fn end(mut child: Child, pid: Option<Pid>, grace: Duration) -> std::io::Result<()> {
    kill(pid, Signal::TERM);
    if timeout(grace, child.wait()).await.is_err() {
        kill(pid, Signal::KILL);
        child.wait().await?;
    }
    kill(pid, Signal::KILL);
    Ok(())
}

fn kill(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // A group without processes is what is wanted.
        let _ = kill_process_group(group, signal);
    }
}
