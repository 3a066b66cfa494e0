//! Which jobs are meant: by their states and by what they have.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::arguments::milliseconds;
use crate::exit::Usage;

/// A state that jobs are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// It could run, or is held back only by limiters, its group or a pause.
    Ready,
    /// Its delay or backoff has not ended.
    Delayed,
    /// A worker has it.
    Leased,
    /// It waits for its children.
    Waiting,
    /// Done.
    Completed,
    /// Failed for good, cancelled or expired.
    Failed,
}

impl State {
    /// Its name in the native API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Leased => "leased",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Which of a queue's jobs are changed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which")]
pub(crate) struct Picked {
    /// Only jobs in this state. Can be given several times.
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    states: Vec<State>,
    /// Only jobs of this name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only jobs for which this holds: `attributes.kind = "mail" and receives > 3`. See docs/command-line.md.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Only jobs that were added so long ago, or longer.
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    older_than: Option<u64>,
    /// How many at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max: Option<u64>,
}

impl Picked {
    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { states, name, filter, older_than, max } = self;
        states.is_empty() && name.is_none() && filter.is_none() && older_than.is_none() && max.is_none()
    }

    /// The members of a request of the native API, all but `max`.
    pub(crate) fn members(&self) -> anyhow::Result<Map<String, Value>> {
        if let Some(filter) = &self.filter {
            // Said before anything is asked of the server.
            weir_server::filter::parse(filter).map_err(|error| Usage(format!("--filter: {error}")))?;
        }
        let states: Vec<&str> = self.states.iter().map(|state| state.name()).collect();
        let members = [
            ("states", (!states.is_empty()).then(|| states.into())),
            ("name", self.name.clone().map(Value::from)),
            ("filter", self.filter.clone().map(Value::from)),
            ("older_than_ms", self.older_than.map(Value::from)),
        ];
        Ok(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}
