//! One job, one process.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use weir_client::{Failure, Job};

use super::command::{Template, describe};
use super::output::{self, Stdout};
use super::process::{self, Ended};
use super::stderr::Listener;

/// The exit code of what was not begun: `EX_TEMPFAIL` of `sysexits.h`.
const NOT_BEGUN: i32 = 75;
/// When that is tried again.
const LATER: Duration = Duration::from_secs(1);

/// Runs the process of a job, and tells how it ended.
pub(super) async fn run(template: Arc<Template>, job: Job<Box<RawValue>>) -> Result<Option<Box<RawValue>>, Failure> {
    let mut command = template.process();
    describe(&mut command, &job);
    let input = job.data.get().as_bytes().to_vec();
    let ended = process::run(command, input, ToJob(&job), template.timeout, template.grace)
        .await
        .map_err(|error| not_run(&error))?;
    if template.stdout == Stdout::Log {
        for line in String::from_utf8_lossy(&ended.stdout).lines() {
            ToJob(&job).line(line.to_owned()).await;
        }
    }
    judge(&template, &ended)?;
    match template.stdout {
        Stdout::Log => Ok(None),
        Stdout::Result => output::result(&ended.stdout).map_err(|reason| Failure::new(reason).fatal()),
    }
}

/// What the end of a process says of its job, or of those of its jobs that it said nothing of.
pub(super) fn judge(template: &Template, ended: &Ended) -> Result<(), Failure> {
    let Some(status) = ended.status else {
        let after_s = template.timeout.map(|timeout| timeout.as_secs_f64());
        return Err(Failure::with_details(json!({
            "message": "the process took too long and was ended", "timeout_s": after_s, "stderr": ended.stderr,
        })));
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(NOT_BEGUN) => Err(Failure::release(LATER)),
        Some(code) => {
            let failure = failed(status, &ended.stderr);
            let fatal = u8::try_from(code).is_ok_and(|code| template.fatal.contains(&code));
            Err(if fatal { failure.fatal() } else { failure })
        }
        None => Err(failed(status, &ended.stderr)),
    }
}

fn failed(status: ExitStatus, stderr: &str) -> Failure {
    use std::os::unix::process::ExitStatusExt as _;
    let message = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the process ended with code {code}"),
        (None, Some(signal)) => format!("the process was ended by signal {signal}"),
        (None, None) => format!("the process ended with {status}"),
    };
    Failure::with_details(json!({
        "message": message, "exit_code": status.code(), "signal": status.signal(), "stderr": stderr,
    }))
}

/// The process could not be started: that is no fault of the job, and may pass.
pub(super) fn not_run(error: &std::io::Error) -> Failure {
    crate::output::note(&format!("error: the process could not be run: {error}"));
    Failure::release(LATER)
}

/// Lines of a process go to the log of its job, and to ours.
struct ToJob<'a>(&'a Job<Box<RawValue>>);

impl Listener for ToJob<'_> {
    async fn line(&mut self, line: String) {
        crate::output::note(&format!("{}: {}", self.0.id, crate::output::clean(&line)));
        self.0.log(line).await;
    }

    async fn progress(&mut self, text: &str) {
        let json = serde_json::from_str::<Box<RawValue>>(text);
        let told = match json {
            Ok(json) => self.0.progress(json).await,
            Err(_) => self.0.progress(text).await,
        };
        if let Err(error) = told {
            crate::output::note(&format!("{}: its progress: {error}", self.0.id));
        }
    }
}
