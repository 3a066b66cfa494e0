//! What the end of a process means.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::Ended;

/// The exit code of what was not begun: `EX_TEMPFAIL` of `sysexits.h`.
const NOT_BEGUN: i32 = 75;
/// The exit code after which nothing is tried again, unless others are named: `EX_DATAERR`.
pub(super) const FATAL: u8 = 65;
/// When what was not begun is tried again.
pub(super) const LATER: Duration = Duration::from_secs(1);

/// What the end of a process means for what it was to do.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is done.
    Done,
    /// It was not begun.
    NotBegun,
    /// It took too long.
    TookTooLong(Value),
    /// It failed, and whether for good.
    Failed(Value, bool),
}

/// Judges a process that had so much time; after these exit codes it has failed for good.
pub(super) fn of(ended: &Ended, timeout: Option<Duration>, fatal: &[u8]) -> Verdict {
    let Some(status) = ended.status else {
        let after_s = timeout.map(|timeout| timeout.as_secs_f64());
        return Verdict::TookTooLong(json!({
            "message": "the process took too long and was ended", "timeout_s": after_s, "stderr": ended.stderr,
        }));
    };
    match status.code() {
        Some(0) => Verdict::Done,
        Some(NOT_BEGUN) => Verdict::NotBegun,
        code => {
            let code = code.and_then(|code| u8::try_from(code).ok());
            Verdict::Failed(told(status, &ended.stderr), code.is_some_and(|code| fatal.contains(&code)))
        }
    }
}

fn told(status: ExitStatus, stderr: &str) -> Value {
    let message = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the process ended with code {code}"),
        (None, Some(signal)) => format!("the process was ended by signal {signal}"),
        (None, None) => format!("the process ended with {status}"),
    };
    json!({ "message": message, "exit_code": status.code(), "signal": status.signal(), "stderr": stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(raw: Option<i32>) -> Verdict {
        let ended = Ended { status: raw.map(ExitStatus::from_raw), stdout: Vec::new(), stderr: "oh".to_owned() };
        of(&ended, Some(Duration::from_millis(1_500)), &[FATAL, 9])
    }

    #[test]
    fn an_exit_code_says_whether_it_was_begun_and_whether_it_may_be_tried_again() {
        assert!(matches!(judged(Some(0)), Verdict::Done));
        assert!(matches!(judged(Some(75 << 8)), Verdict::NotBegun));
        for (raw, message, for_good) in [
            (1 << 8, "the process ended with code 1", false),
            (65 << 8, "the process ended with code 65", true),
            (9 << 8, "the process ended with code 9", true),
            (9, "the process was ended by signal 9", false),
        ] {
            let Verdict::Failed(told, fatal) = judged(Some(raw)) else { panic!("{raw}") };
            assert_eq!(
                (told["message"].as_str(), told["stderr"].as_str(), fatal),
                (Some(message), Some("oh"), for_good)
            );
        }
        let Verdict::TookTooLong(told) = judged(None) else { panic!("it did not end by itself") };
        assert_eq!(told["timeout_s"], 1.5);
    }
}
