//! What somebody asks of a limiter, as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::limiter::{Counts, Reserve, Terms, Window};

/// What a limiter allows. Nothing said is nothing limited. Each key has all of it for itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LimiterTerms")]
#[serde(deny_unknown_fields)]
pub(crate) struct TermsView {
    /// Windows that all hold at once; at most 4. In no interval of `per_ms` do more than `max` start.
    #[serde(default)]
    windows: Vec<WindowView>,
    /// How many may run at once. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    /// Whether starts are spread evenly over the windows instead of leaving as soon as there is room. Default no.
    #[serde(default)]
    pacing: bool,
    /// Shares that are kept for urgent starts; at most 2.
    #[serde(default)]
    reserves: Vec<ReserveView>,
    /// Added to every `per_ms`, for what the network may add on the way. Default 0.
    #[serde(default)]
    guard_ms: u64,
    /// For so long after a pause a key goes from a tenth of its pace and concurrency to all of it. Default 0: at once.
    #[serde(default)]
    slow_start_ms: u64,
}

/// At most `max` in any interval of `per_ms`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LimiterWindow")]
#[serde(deny_unknown_fields)]
struct WindowView {
    /// Starts or units, from 1.
    max: u32,
    /// Length of the window, from 1 ms to 366 days.
    per_ms: u64,
    /// What is added up. Default `starts`.
    #[serde(default)]
    counts: CountsView,
}

/// What a window adds up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LimiterCounts")]
#[serde(rename_all = "snake_case")]
enum CountsView {
    /// One for each start, whatever it costs.
    #[default]
    Starts,
    /// The cost of each start, corrected when it is settled.
    Units,
}

/// A share that is kept for urgent starts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LimiterReserve")]
#[serde(deny_unknown_fields)]
struct ReserveView {
    /// Kept for priorities up to this one; 0 is the most urgent.
    priority_max: u32,
    /// Percent of every window and of the concurrency. The shares add up to 99 at most.
    share: u32,
}

impl TermsView {
    pub(crate) fn of(terms: &Terms) -> Self {
        let windows = terms.windows.iter().map(|window| WindowView {
            max: window.max,
            per_ms: window.per_ms,
            counts: match window.counts {
                Counts::Starts => CountsView::Starts,
                Counts::Units => CountsView::Units,
            },
        });
        let reserves = terms.reserves.iter();
        Self {
            windows: windows.collect(),
            concurrency: terms.concurrency,
            pacing: terms.pacing,
            reserves: reserves
                .map(|reserve| ReserveView { priority_max: reserve.priority_max, share: reserve.share })
                .collect(),
            guard_ms: terms.guard_ms,
            slow_start_ms: terms.slow_start_ms,
        }
    }

    /// The terms for the engine, which checks them.
    pub(crate) fn terms(&self) -> Terms {
        let windows = self.windows.iter().map(|window| Window {
            max: window.max,
            per_ms: window.per_ms,
            counts: match window.counts {
                CountsView::Starts => Counts::Starts,
                CountsView::Units => Counts::Units,
            },
        });
        let reserves = self.reserves.iter();
        Terms {
            windows: windows.collect(),
            concurrency: self.concurrency,
            pacing: self.pacing,
            reserves: reserves
                .map(|reserve| Reserve { priority_max: reserve.priority_max, share: reserve.share })
                .collect(),
            guard_ms: self.guard_ms,
            slow_start_ms: self.slow_start_ms,
        }
    }
}
