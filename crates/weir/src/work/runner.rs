//! Running the commands behind functions, for the server.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use weir_server::{Commands, Process, ProcessEnd, ProcessOutcome, Stopping};

use super::command::{self, About};
use super::guardian::{self, Guardian};
use super::output;
use super::process::{self, Ended};
use super::stderr::Listener;
use super::verdict::{self, Verdict};

/// From asking a process to end to making it end.
const GRACE: Duration = Duration::from_secs(5);
/// How much of a log is kept: its last lines, up to so many bytes and so many lines.
const LOG_BYTES_MAX: usize = 256 << 10;
const LOG_LINES_MAX: usize = 1_000;
/// What takes longer may take as long as it likes: timers reach no further.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Runs processes. All of them end with the server, however that ends.
#[derive(Debug)]
pub(crate) struct Runner {
    mark: String,
    /// Whether there is a guardian.
    guarded: watch::Receiver<bool>,
    /// Free places for processes.
    places: Arc<Semaphore>,
}

impl Runner {
    /// Runs up to `max` processes at once. The guardian has to be let go of last.
    pub(crate) fn start(max: usize) -> anyhow::Result<(Self, Guardian)> {
        let guardian = Guardian::start(GRACE)?;
        let places = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Ok((Self { mark: guardian.mark().to_owned(), guarded: guardian.guarded(), places }, guardian))
    }
}

impl Commands for Runner {
    fn check(&self, line: &[String]) -> Result<(), String> {
        let program = line.first().map(String::as_str).unwrap_or_default();
        command::check(program.as_ref()).map_err(|error| format!("{error:#}"))
    }

    fn run(&self, process: Process, stopping: Stopping) -> Pin<Box<dyn Future<Output = ProcessEnd> + Send>> {
        let (mark, places) = (self.mark.clone(), Arc::clone(&self.places));
        let is_guarded = *self.guarded.borrow();
        Box::pin(async move {
            // Whoever waited here would hold a lease and slots of limiters meanwhile.
            let Ok(_place) = places.try_acquire_owned() else {
                let text = "as many processes run as functions.processes_max allows".to_owned();
                return not_begun(Some(text));
            };
            if !is_guarded {
                // It could outlive the server.
                return not_begun(Some("the guardian of processes has ended, and another is being started".to_owned()));
            }
            run(&mark, process, stopping).await
        })
    }
}

async fn run(mark: &str, asked: Process, stopping: Stopping) -> ProcessEnd {
    let mut command = template(mark, &asked);
    command::describe(&mut command, &about(&asked));
    let mut heard = Heard::default();
    let mut is_stopped = false;
    let enough = async {
        let patience = async {
            if asked.timeout > LONGEST {
                pending::<()>().await;
            }
            sleep(asked.timeout).await;
        };
        tokio::select! {
            () = patience => {}
            () = stopping => is_stopped = true,
        }
    };
    let ended = match process::run(command, asked.input, &mut heard, enough, GRACE).await {
        Ok(ended) => ended,
        Err(error) => {
            let program = asked.command.first().map(String::as_str).unwrap_or_default();
            return not_begun(Some(format!("the process {program} could not be run: {error}")));
        }
    };
    let outcome =
        if is_stopped && ended.status.is_none() { ProcessOutcome::Stopped } else { outcome(&ended, asked.timeout) };
    ProcessEnd { outcome, logs: heard.lines.into_iter().map(String::into_bytes).collect() }
}

/// The process of a call, without what is said of that.
fn template(mark: &str, asked: &Process) -> tokio::process::Command {
    let mut words = asked.command.iter();
    let program = words.next().map(String::as_str).unwrap_or_default();
    let mut command = command::of(program.as_ref(), words);
    // Our own settings are none of its business, and some are secret.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            command.env_remove(name);
        }
    }
    command.env(guardian::MARK, mark).env("WEIR_QUEUE", &asked.queue);
    command
}

fn about(asked: &Process) -> About<'_> {
    About {
        id: &asked.id,
        attempt: asked.attempt,
        leases: asked.leases,
        priority: asked.priority,
        added_at_ms: asked.added_at_ms,
        name: asked.name.as_deref(),
        custom_id: asked.custom_id.as_deref(),
        group: asked.group.as_deref(),
        dead_letter_of: asked.dead_letter_of.as_deref(),
        attributes: asked.attributes.clone(),
    }
}

fn not_begun(text: Option<String>) -> ProcessEnd {
    ProcessEnd { outcome: ProcessOutcome::NotBegun { after: verdict::LATER, text }, logs: Vec::new() }
}

fn outcome(ended: &Ended, timeout: Duration) -> ProcessOutcome {
    let failed = |told: &Value, again| {
        let text = told.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        ProcessOutcome::Failed { text, failure: told.to_string().into_bytes(), again }
    };
    match verdict::of(ended, Some(timeout), &[verdict::FATAL]) {
        Verdict::Done => match output::result(&ended.stdout) {
            Ok(result) => ProcessOutcome::Done(result.map(|json| json.get().as_bytes().to_vec())),
            Err(reason) => failed(&json!({ "message": reason }), false),
        },
        Verdict::NotBegun => ProcessOutcome::NotBegun { after: verdict::LATER, text: None },
        Verdict::TookTooLong(told) => ProcessOutcome::TookTooLong { failure: told.to_string().into_bytes() },
        Verdict::Failed(told, fatal) => failed(&told, !fatal),
    }
}

/// Lines of a process, the last of them.
#[derive(Debug, Default)]
struct Heard {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Listener for &mut Heard {
    async fn line(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > LOG_BYTES_MAX || self.lines.len() > LOG_LINES_MAX {
            let Some(first) = self.lines.pop_front() else { return };
            self.bytes -= first.len();
        }
    }

    async fn progress(&mut self, _: &str) {
        // Whoever calls waits for the end, after which progress says nothing any more.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            input: b"{\"n\": 4}".to_vec(),
            timeout: Duration::MAX,
            queue: "doubles".to_owned(),
            id: "17".to_owned(),
            attempt: 1,
            leases: 1,
            priority: 0,
            added_at_ms: 0,
            name: None,
            custom_id: None,
            group: None,
            dead_letter_of: None,
            attributes: vec![("tenant-id".to_owned(), "acme".to_owned())],
        }
    }

    fn never() -> Stopping {
        Box::pin(pending())
    }

    fn places(count: usize) -> Runner {
        let (_, guarded) = watch::channel(true);
        Runner { mark: "of a test".to_owned(), guarded, places: Arc::new(Semaphore::new(count)) }
    }

    #[tokio::test]
    async fn a_process_is_told_of_its_call_and_its_output_is_the_result() {
        let script = r#"cat; echo "$WEIR_QUEUE $WEIR_JOB_ID $WEIR_ATTRIBUTE_TENANT_ID $WEIR_WORKER" >&2"#;
        let ProcessEnd { outcome, logs } = places(1).run(shell(script), never()).await;
        assert_eq!(outcome, ProcessOutcome::Done(Some(b"{\"n\": 4}".to_vec())));
        assert_eq!(logs, [b"doubles 17 acme of a test".to_vec()]);
    }

    #[tokio::test]
    async fn what_floods_both_of_its_outputs_and_reads_nothing_is_heard_to_a_bound() {
        let script = "yes err | head -c 2000000 >&2; yes out | head -c 20000000; exit 0";
        let flooded = Process { input: vec![b'1'; 1 << 20], ..shell(script) };
        let ProcessEnd { outcome, logs } = places(1).run(flooded, never()).await;
        let ProcessOutcome::Failed { text, again: false, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(text, "it printed more than a result may have: 16777216 bytes");
        assert_eq!(logs.len(), LOG_LINES_MAX);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let asked = Process { timeout: Duration::from_millis(1), ..shell("sleep 600") };
        let ProcessEnd { outcome, .. } = places(1).run(asked, never()).await;
        assert!(matches!(outcome, ProcessOutcome::TookTooLong { .. }), "{outcome:?}");
    }

    #[tokio::test]
    async fn what_is_to_stop_is_asked_to_and_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        // A shell that waits for another process tells of its death, too.
        let script = "trap 'echo asked >&2; exit 9' TERM; : > \"$WEIR_JOB_NAME\"; while :; do :; done";
        let asked = Process { name: Some(ready.to_str().unwrap().to_owned()), ..shell(script) };
        let stopping: Stopping = Box::pin(async move {
            while !ready.exists() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let ProcessEnd { outcome, logs } = places(1).run(asked, stopping).await;
        assert_eq!((outcome, logs), (ProcessOutcome::Stopped, vec![b"asked".to_vec()]));
    }

    #[tokio::test]
    async fn without_a_guardian_nothing_is_begun() {
        let (_, guarded) = watch::channel(false);
        let ProcessEnd { outcome, .. } = Runner { guarded, ..places(1) }.run(shell("echo 1"), never()).await;
        let ProcessOutcome::NotBegun { text: Some(told), .. } = outcome else { panic!("{outcome:?}") };
        assert!(told.contains("guardian"), "{told}");
    }

    #[tokio::test]
    async fn what_has_no_place_or_no_program_was_not_begun() {
        for (runner, command, text) in [
            (places(0), "sh", "as many processes run as functions.processes_max allows"),
            (places(1), "/no/such/program", "the process /no/such/program could not be run: "),
        ] {
            let asked = Process { command: vec![command.to_owned()], ..shell("") };
            let ProcessEnd { outcome, .. } = runner.run(asked, never()).await;
            let ProcessOutcome::NotBegun { text: Some(told), .. } = outcome else { panic!("{outcome:?}") };
            assert!(told.starts_with(text), "{told}");
        }
    }
}
