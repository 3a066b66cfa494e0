//! What a workload found: a table, then the same as one line of JSON.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Map, Value};

/// The figures of one workload.
pub(crate) struct Report {
    workload: String,
    figures: Vec<(String, Value, &'static str)>,
}

impl Report {
    pub(crate) fn new(workload: impl Into<String>) -> Self {
        Self { workload: workload.into(), figures: Vec::new() }
    }

    /// A count, a size or a name.
    pub(crate) fn value(&mut self, name: &str, value: impl Into<Value>, unit: &'static str) -> &mut Self {
        self.figures.push((name.to_owned(), value.into(), unit));
        self
    }

    /// How many of something happened in a second.
    pub(crate) fn rate(&mut self, name: &str, count: u64, took: Duration, unit: &'static str) -> &mut Self {
        self.value(name, rate(count, took).round(), unit)
    }

    /// A number with three decimals.
    pub(crate) fn ratio(&mut self, name: &str, ratio: f64) -> &mut Self {
        self.value(name, (ratio * 1000.0).round() / 1000.0, "")
    }

    /// A duration, in milliseconds.
    pub(crate) fn millis(&mut self, name: &str, duration: Duration) -> &mut Self {
        self.value(name, (duration.as_secs_f64() * 1e6).round() / 1000.0, "ms")
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{}", self.workload)?;
        for (name, value, unit) in &self.figures {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(out, "  {name:<42} {text:>16} {unit}")?;
        }
        let mut line = Map::new();
        line.insert("workload".to_owned(), self.workload.clone().into());
        for (name, value, _) in &self.figures {
            line.insert(name.replace([' ', ','], "_"), value.clone());
        }
        writeln!(out, "{}", Value::Object(line))?;
        out.flush()?;
        Ok(())
    }
}

/// So many in a second.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}
