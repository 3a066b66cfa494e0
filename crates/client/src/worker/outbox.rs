//! What the server is to be told, and has not been yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::attempt::Report;
use super::wire::{Action, Settlement};

/// Most settlements of a request.
const SETTLE_MAX: usize = 1_000;
/// Most bytes of them, unless one alone has more.
const SETTLE_BYTES: usize = 4 << 20;
/// Most lines of a log that wait in one settlement; more make another one.
const LINES_MAX: usize = 1_000;

/// What the server is to be told: heartbeats and reports, and how attempts ended.
///
/// What a job reported arrives before its end, since heartbeats go first and there is one request at a time.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    extends: HashMap<Arc<str>, Extend>,
    ends: VecDeque<Settlement>,
    /// So many requests carry a single settlement each: one of a batch was refused, and nobody said which.
    alone: usize,
}

/// A heartbeat, with what was reported.
#[derive(Debug, Default)]
struct Extend {
    progress: Option<Box<RawValue>>,
    logs: Vec<String>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.extends.is_empty() && self.ends.is_empty()
    }

    /// A lease is to be kept alive.
    pub(super) fn heartbeat(&mut self, lease: Arc<str>) {
        self.extends.entry(lease).or_default();
    }

    /// Whether a job reports faster than the server takes it.
    pub(super) fn is_full(&self) -> bool {
        self.extends.values().any(|extend| extend.logs.len() >= LINES_MAX || extend.bytes >= SETTLE_BYTES)
    }

    /// What a job reported.
    pub(super) fn report(&mut self, report: Report) {
        let extend = self.extends.entry(report.lease).or_default();
        if let Some(progress) = report.progress {
            extend.progress = Some(progress);
        }
        if let Some(line) = report.line {
            extend.bytes += line.len();
            extend.logs.push(line);
        }
    }

    /// How an attempt ended.
    pub(super) fn end(&mut self, lease: Arc<str>, action: Action) {
        // A heartbeat says nothing more; what was reported does.
        if self.extends.get(&lease).is_some_and(|extend| extend.progress.is_none() && extend.logs.is_empty()) {
            self.extends.remove(&lease);
        }
        self.ends.push_back(Settlement { lease, action });
    }

    /// Nothing more is to be said of a lease.
    pub(super) fn forget(&mut self, lease: &str) {
        self.extends.remove(lease);
    }

    /// What the next request carries.
    pub(super) fn take(&mut self, lease_ms: u64) -> Vec<Settlement> {
        let most = if self.alone > 0 { 1 } else { SETTLE_MAX };
        self.alone = self.alone.saturating_sub(1);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let leases: Vec<Arc<str>> = self.extends.keys().take(most).cloned().collect();
        for lease in leases {
            let Some(extend) = self.extends.get(&lease) else { continue };
            bytes += extend.bytes + extend.progress.as_ref().map_or(0, |progress| progress.get().len());
            if bytes > SETTLE_BYTES && !taken.is_empty() {
                return taken;
            }
            let Extend { progress, logs, .. } = self.extends.remove(&lease).unwrap_or_default();
            taken.push(Settlement { lease, action: Action::Extend { lease_ms, progress, logs } });
        }
        if !self.extends.is_empty() {
            return taken;
        }
        while taken.len() < most {
            let Some(next) = self.ends.front() else { break };
            bytes += match &next.action {
                Action::Complete { result: Some(result) } => result.get().len(),
                _ => 0,
            };
            if bytes > SETTLE_BYTES && !taken.is_empty() {
                break;
            }
            taken.extend(self.ends.pop_front());
        }
        taken
    }

    /// A request that carried these did not get through.
    pub(super) fn give_back(&mut self, sent: Vec<Settlement>) {
        for Settlement { lease, action } in sent.into_iter().rev() {
            match action {
                Action::Extend { progress, mut logs, .. } => {
                    let extend = self.extends.entry(lease).or_default();
                    // What was reported meanwhile is newer.
                    extend.progress = extend.progress.take().or(progress);
                    extend.bytes += logs.iter().map(String::len).sum::<usize>();
                    logs.append(&mut extend.logs);
                    extend.logs = logs;
                }
                action => self.ends.push_front(Settlement { lease, action }),
            }
        }
    }

    /// A request that carried these was refused as it is. Each of them is sent alone now; one that was alone is given up,
    /// and returned.
    pub(super) fn refused(&mut self, mut sent: Vec<Settlement>) -> Option<Settlement> {
        if sent.len() == 1 {
            return sent.pop();
        }
        self.alone = sent.len();
        self.give_back(sent);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outbox: &mut Outbox) -> Vec<String> {
        outbox.take(9).iter().map(|settlement| serde_json::to_string(settlement).unwrap()).collect()
    }

    fn line(lease: &str, text: &str) -> Report {
        Report { lease: lease.into(), progress: None, line: Some(text.to_owned()) }
    }

    #[test]
    fn what_a_job_reported_is_told_before_its_end() {
        let mut outbox = Outbox::default();
        outbox.heartbeat("a".into());
        outbox.end("a".into(), Action::Complete { result: None });
        outbox.report(line("b", "x"));
        outbox.end("b".into(), Action::Complete { result: None });
        assert_eq!(
            told(&mut outbox),
            [
                r#"{"lease":"b","action":"extend","lease_ms":9,"logs":["x"]}"#,
                r#"{"lease":"a","action":"complete"}"#,
                r#"{"lease":"b","action":"complete"}"#,
            ]
        );
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_did_not_get_through_goes_before_what_came_meanwhile() {
        let mut outbox = Outbox::default();
        outbox.report(line("a", "1"));
        outbox.end("b".into(), Action::Complete { result: None });
        let sent = outbox.take(9);
        outbox.report(line("a", "2"));
        outbox.end("c".into(), Action::Complete { result: None });
        outbox.give_back(sent);
        assert_eq!(
            told(&mut outbox),
            [
                r#"{"lease":"a","action":"extend","lease_ms":9,"logs":["1","2"]}"#,
                r#"{"lease":"b","action":"complete"}"#,
                r#"{"lease":"c","action":"complete"}"#,
            ]
        );
    }

    #[test]
    fn of_a_request_that_is_refused_only_what_is_at_fault_is_given_up() {
        let mut outbox = Outbox::default();
        for lease in ["a", "b"] {
            outbox.end(lease.into(), Action::Complete { result: None });
        }
        let sent = outbox.take(9);
        assert!(outbox.refused(sent).is_none());
        let sent = outbox.take(9);
        assert_eq!(outbox.refused(sent).map(|gone| gone.lease).as_deref(), Some("a"));
        assert_eq!(told(&mut outbox), [r#"{"lease":"b","action":"complete"}"#]);
    }
}
