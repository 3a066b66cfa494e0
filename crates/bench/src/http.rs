//! Requests a second over HTTP: Weir against a bare handler that answers the same bytes to the same requests, or signed
//! requests against unsigned ones.

pub(crate) mod bare;
pub(crate) mod drive;

use std::path::Path;
use std::time::Duration;

use crate::arguments::{Common, Http};
use crate::child::Server;
use crate::report::{Report, rate};
use crate::signing::{Signer, Signing, configured_key};
use crate::wire::{self, Connection, create_queue};
use crate::{native, work_dir};
use drive::{Driven, Plan, drive};

/// The queue that is driven.
const QUEUE: &str = "bench";
/// Longest that requests are driven that were signed at the start: signatures are good for a quarter of an hour, of which
/// the filling of queues takes its part.
const SIGNED_SECONDS_MAX: u64 = 300;

/// The workloads, one after the other.
pub(crate) fn run(common: &Common, http: &Http) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for workload in [Workload::Send, Workload::SendTen, Workload::ReceiveAndDelete] {
            compare(common, http, dir.path(), workload).await?;
        }
        if !http.signed {
            for workload in [Workload::Add, Workload::LeaseAndComplete] {
                compare(common, http, dir.path(), workload).await?;
            }
        }
        Ok(())
    })
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Workload {
    Send,
    SendTen,
    ReceiveAndDelete,
    Add,
    LeaseAndComplete,
}

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Workload::Send => "http SendMessage",
            Workload::SendTen => "http SendMessageBatch of 10",
            Workload::ReceiveAndDelete => "http ReceiveMessage + DeleteMessage",
            Workload::Add => "http native, a job added",
            Workload::LeaseAndComplete => "http native, a job leased and the one before completed",
        }
    }

    /// Messages that a request sends.
    fn messages(self) -> u32 {
        if matches!(self, Workload::SendTen) { 10 } else { 1 }
    }

    /// What each connection does on the queue at `url`, with bodies of `body_bytes`.
    fn plan(self, signing: &Signing, url: String, body_bytes: usize) -> Plan {
        let body = "x".repeat(body_bytes);
        match self {
            Workload::Send => {
                let content = serde_json::json!({ "QueueUrl": url, "MessageBody": body });
                Plan::Same(signing.request("SendMessage", &content.to_string()))
            }
            Workload::SendTen => {
                let entries: Vec<_> = (0..self.messages())
                    .map(|n| serde_json::json!({ "Id": format!("e{n}"), "MessageBody": body }))
                    .collect();
                let content = serde_json::json!({ "QueueUrl": url, "Entries": entries });
                Plan::Same(signing.request("SendMessageBatch", &content.to_string()))
            }
            Workload::ReceiveAndDelete => Plan::ReceiveAndDelete { url, signing: signing.clone() },
            Workload::Add => {
                let content = serde_json::json!({ "data": body });
                Plan::Same(wire::call("POST", &format!("/v1/queues/{QUEUE}/jobs"), &content.to_string()))
            }
            Workload::LeaseAndComplete => Plan::LeaseAndComplete { queue: QUEUE.to_owned() },
        }
    }
}

/// One of the two that are compared, and what came of it in each round.
struct Side {
    name: &'static str,
    rounds: Vec<Driven>,
}

/// Drives two servers in turn, so in each round: Weir and, with the answers that it gave, a bare server; or Weir with keys
/// and signed requests, and Weir without.
async fn compare(common: &Common, http: &Http, dir: &Path, workload: Workload) -> anyhow::Result<()> {
    let (measured, against) = if http.signed { ("signed", "unsigned") } else { ("weir", "bare axum") };
    let mut sides = [measured, against].map(|name| Side { name, rounds: Vec::new() });
    let mut ratios = Vec::new();
    for round in 0..http.rounds {
        let dir = dir.join(format!("{workload:?}-{round}"));
        let [measured, against] = if http.signed {
            with_and_without_keys(common, http, &dir, workload).await?
        } else {
            beside_bare(common, http, &dir, workload).await?
        };
        ratios.push(rate(measured.requests, measured.took) / rate(against.requests, against.took));
        for (side, driven) in sides.iter_mut().zip([measured, against]) {
            side.rounds.push(driven);
        }
        std::fs::remove_dir_all(&dir)?;
    }
    let signed = if http.signed { ", signed" } else { "" };
    let mut report = Report::new(format!("{}{signed}", workload.name()));
    report.value("connections", http.connections, "").value("seconds each", http.seconds, "s");
    report.value("rounds, of which medians", http.rounds, "");
    for side in &mut sides {
        figures(&mut report, side.name, &mut side.rounds, workload.messages());
    }
    report.ratio(&format!("{measured} to {against}"), median(ratios.into_iter()));
    report.print()
}

/// Weir, and a bare server.
async fn beside_bare(common: &Common, http: &Http, dir: &Path, workload: Workload) -> anyhow::Result<[Driven; 2]> {
    let (weir, plan) = drive_weir(common, http, dir, workload, &Signing::Plain).await?;
    let bare = bare::start(&dir.join("answers"))?;
    let bare = drive(&bare, &plan, http.connections, Duration::from_secs(http.seconds)).await?;
    Ok([weir, bare])
}

/// Weir with keys, and without.
async fn with_and_without_keys(
    common: &Common,
    http: &Http,
    dir: &Path,
    workload: Workload,
) -> anyhow::Result<[Driven; 2]> {
    anyhow::ensure!(
        http.seconds <= SIGNED_SECONDS_MAX,
        "--seconds: signed requests are driven for {SIGNED_SECONDS_MAX} s at most, since signatures grow old: found {}",
        http.seconds
    );
    let unsigned = Signing::Discarded(Signer::of_now()?);
    let (unsigned, _) = drive_weir(common, http, &dir.join("unsigned"), workload, &unsigned).await?;
    let signed = Signing::Signed(Signer::of_now()?);
    let (signed, _) = drive_weir(common, http, &dir.join("signed"), workload, &signed).await?;
    Ok([signed, unsigned])
}

/// Drives Weir, with a key where requests are signed. What is received was sent before: in portions, whose sending does
/// not count.
async fn drive_weir(
    common: &Common,
    http: &Http,
    dir: &Path,
    workload: Workload,
    signing: &Signing,
) -> anyhow::Result<(Driven, Plan)> {
    std::fs::create_dir_all(dir)?;
    let data = dir.join("data");
    let server = match signing {
        Signing::Plain | Signing::Discarded(_) => Server::weir(&common.weir, &data)?,
        Signing::Signed(_) => Server::weir_configured(&common.weir, &data, &configured_key())?,
    };
    let mut connection = Connection::open(server.address).await?;
    let url = create_queue(&mut connection, signing, QUEUE, &[("VisibilityTimeout", "600")]).await?;
    if let Workload::Add | Workload::LeaseAndComplete = workload {
        native::keep_nothing(&mut connection, QUEUE).await?;
    }
    let plan = workload.plan(signing, url.clone(), common.body);
    let mut left = Duration::from_secs(http.seconds);
    let mut driven = Driven::default();
    while !left.is_zero() {
        if let Workload::ReceiveAndDelete | Workload::LeaseAndComplete = workload {
            fill(&mut connection, signing, &url, common.body, http.filled).await?;
        }
        if driven.requests == 0 {
            plan.record(server.address, &dir.join("answers")).await?;
        }
        let portion = drive(&server, &plan, http.connections, left).await?;
        anyhow::ensure!(portion.requests > 0, "nothing was done in {left:?}");
        left = left.saturating_sub(portion.took);
        driven.then(portion);
    }
    server.kill()?;
    Ok((driven, plan))
}

fn figures(report: &mut Report, who: &str, driven: &mut [Driven], messages: u32) {
    let requests = median(driven.iter().map(|driven| rate(driven.requests, driven.took)));
    report.value(&format!("{who}, requests"), requests.round(), "/s");
    if messages > 1 {
        report.value(&format!("{who}, messages"), (requests * f64::from(messages)).round(), "/s");
    }
    for percent in [50.0, 99.0] {
        let took = median(driven.iter_mut().map(|driven| driven.samples.percentile(percent).as_secs_f64()));
        report.millis(&format!("{who}, p{percent:.0}"), Duration::from_secs_f64(took));
    }
    let per_request = median(driven.iter().map(|driven| 1e6 / rate(driven.requests, driven.processor_time)));
    report.value(&format!("{who}, processor time a request"), (per_request * 10.0).round() / 10.0, "us");
    let told_to_wait: u64 = driven.iter().map(|driven| driven.told_to_wait).sum();
    report.value(&format!("{who}, answers to come back later, in all"), told_to_wait, "");
}

/// The middle one, or the lower of two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Puts `count` messages into a queue, in large batches, waiting whenever the server says so.
async fn fill(
    connection: &mut Connection,
    signing: &Signing,
    url: &str,
    body_bytes: usize,
    count: usize,
) -> anyhow::Result<()> {
    const BATCH: usize = 500;
    let body = "x".repeat(body_bytes);
    let entries: Vec<_> = (0..BATCH).map(|n| serde_json::json!({ "Id": n.to_string(), "MessageBody": body })).collect();
    let content = serde_json::json!({ "QueueUrl": url, "Entries": entries }).to_string();
    let batch = signing.request("SendMessageBatch", &content);
    let mut filled = 0;
    while filled < count {
        let heading = connection.exchange(&batch).await?;
        if let (503, Some(after)) = (heading.status, heading.retry_after) {
            tokio::time::sleep(after).await;
            continue;
        }
        connection.success(heading)?;
        filled += BATCH;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_one_of_its_values() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0].into_iter()) - 1.0).abs() < f64::EPSILON);
    }
}
