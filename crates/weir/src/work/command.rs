//! The command that is run, and what it is told of its jobs.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

use super::output::Stdout;

/// Longest value of a variable: systems refuse longer ones, and the process with them.
const VALUE_BYTES_MAX: usize = 100_000;
/// Most bytes of all variables of a job together, for the same reason.
const VALUES_BYTES_MAX: usize = 1_000_000;

/// How the processes of a worker are started and judged.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) command: Vec<OsString>,
    pub(super) queue: String,
    /// The guardian knows our processes by it.
    pub(super) mark: String,
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
    /// Exit codes after which a job is not tried again.
    pub(super) fatal: Vec<u8>,
    pub(super) stdout: Stdout,
}

impl Template {
    /// Refuses a command that cannot be started, before a job is taken for it.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        check(self.program())
    }

    fn program(&self) -> &OsStr {
        self.command.first().map_or_else(|| OsStr::new(""), OsString::as_os_str)
    }

    /// A process of a group of its own.
    pub(super) fn process(&self) -> Command {
        let mut command = of(self.program(), self.command.get(1..).unwrap_or_default());
        command.env(super::guardian::MARK, &self.mark).env("WEIR_QUEUE", &self.queue);
        command
    }
}

/// Refuses a program that cannot be started.
pub(super) fn check(program: &OsStr) -> anyhow::Result<()> {
    if Path::new(program).components().count() > 1 {
        let found = std::fs::metadata(program).with_context(|| format!("cannot run {}", program.display()))?;
        anyhow::ensure!(found.is_file(), "cannot run {}: it is not a file", program.display());
        return Ok(());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    anyhow::ensure!(found, "cannot run {}: no folder of PATH has it", program.display());
    Ok(())
}

/// A process of a group of its own, to be talked with.
pub(super) fn of(program: &OsStr, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// What a process is told of its job.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) id: &'a str,
    pub(super) attempt: u32,
    pub(super) leases: u32,
    pub(super) priority: u32,
    pub(super) added_at_ms: u64,
    pub(super) name: Option<&'a str>,
    pub(super) custom_id: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) dead_letter_of: Option<&'a str>,
    pub(super) attributes: Vec<(String, String)>,
}

/// What the environment says of a job.
pub(super) fn describe(command: &mut Command, job: &About<'_>) {
    let mut bytes = 0;
    let mut set = |name: &str, value: &str| {
        // A value with a NUL would end there, and one that is too long would keep the process from starting.
        let more = name.len() + value.len();
        if !value.contains('\0') && value.len() <= VALUE_BYTES_MAX && bytes + more <= VALUES_BYTES_MAX {
            bytes += more;
            command.env(name, value);
        }
    };
    set("WEIR_JOB_ID", job.id);
    set("WEIR_JOB_ATTEMPT", &job.attempt.to_string());
    set("WEIR_JOB_LEASES", &job.leases.to_string());
    set("WEIR_JOB_PRIORITY", &job.priority.to_string());
    set("WEIR_JOB_ADDED_AT_MS", &job.added_at_ms.to_string());
    let given = [
        ("WEIR_JOB_NAME", job.name),
        ("WEIR_JOB_CUSTOM_ID", job.custom_id),
        ("WEIR_JOB_GROUP", job.group),
        ("WEIR_JOB_DEAD_LETTER_OF", job.dead_letter_of),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            set(name, value);
        }
    }
    for (name, value) in &job.attributes {
        set(&variable(name), value);
    }
}

/// The variable of an attribute: `customer-id` is `WEIR_ATTRIBUTE_CUSTOMER_ID`.
fn variable(attribute: &str) -> String {
    let upper = attribute.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    std::iter::once("WEIR_ATTRIBUTE_").flat_map(str::chars).chain(upper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_keep_a_process_from_starting_is_left_out() {
        let long = |count: usize, len: usize| (0..count).map(|n| (format!("a{n}"), "x".repeat(len))).collect();
        let variables = |attributes: Vec<(String, String)>| {
            let mut command = Command::new("true");
            let about = About {
                id: "1",
                attempt: 1,
                leases: 1,
                priority: 0,
                added_at_ms: 0,
                name: None,
                custom_id: Some("a\0b"),
                group: None,
                dead_letter_of: None,
                attributes,
            };
            describe(&mut command, &about);
            command.as_std().get_envs().count()
        };
        let plain = variables(Vec::new());
        assert_eq!(plain, 5);
        assert_eq!(variables(long(1, VALUE_BYTES_MAX)), plain + 1);
        assert_eq!(variables(long(1, VALUE_BYTES_MAX + 1)), plain);
        assert_eq!(variables(long(40, 90_000)), plain + 11);
    }

    #[test]
    fn an_attribute_has_a_variable_that_shells_can_read() {
        assert_eq!(variable("customer-id"), "WEIR_ATTRIBUTE_CUSTOMER_ID");
        assert_eq!(variable("größe.v2"), "WEIR_ATTRIBUTE_GR__E_V2");
    }
}
