//! Looking at single jobs, explanations and pages of jobs, among so many.

use std::time::Instant;

use anyhow::Context as _;

use crate::arguments::{Common, Look};
use crate::child::Server;
use crate::native::fill::fill;
use crate::native::setup::{self, LimiterUse};
use crate::report::Report;
use crate::samples::Samples;
use crate::wire::{Connection, call, text_member};
use crate::work_dir;

pub(crate) fn run(common: &Common, look: &Look) -> anyhow::Result<()> {
    anyhow::ensure!(look.jobs > 0, "--jobs: at least one job has to be there");
    let dir = work_dir::fresh(&common.dir)?;
    let server = Server::weir(&common.weir, &dir.path().join("look"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        let terms = serde_json::json!({ "windows": [{ "max": 1_000, "per_ms": 1_000 }] });
        setup::put_limiter(&mut connection, "provider", &terms).await?;
        setup::create_queue(&mut connection, "look", Some(LimiterUse { name: "provider", key: None })).await?;
        let began = Instant::now();
        let body = common.body;
        let ids = fill(server.address, "look", look.jobs, move |n| setup::job(n, 0, body)).await?;
        let mut report = Report::new("look, at jobs among many");
        report.value("jobs", look.jobs, "").value("bytes of each job's data", body, "B");
        report.rate("added", look.jobs, began.elapsed(), "/s");
        let mut single = one_by_one(&mut connection, &ids, look.asked, "").await?;
        percentiles(&mut report, "a job", &mut single);
        let mut explained = one_by_one(&mut connection, &ids, look.asked, "/explain").await?;
        percentiles(&mut report, "an explanation", &mut explained);
        let (mut first, mut last) = pages(&mut connection, look).await?;
        report.value("jobs of a page", look.page, "").value("pages", first.len() + last.len(), "");
        percentiles(&mut report, "a page of the first half", &mut first);
        percentiles(&mut report, "a page of the last half", &mut last);
        report.value("peak memory", server.memory_peak()? >> 20, "MiB");
        report.print()
    })
}

fn percentiles(report: &mut Report, what: &str, samples: &mut Samples) {
    for percent in [50.0, 99.0] {
        report.millis(&format!("{what}, p{percent:.0}"), samples.percentile(percent));
    }
}

/// Asks for jobs all over the queue, in an order that leaps.
async fn one_by_one(connection: &mut Connection, ids: &[String], asked: u64, more: &str) -> anyhow::Result<Samples> {
    /// A prime far from any regular distance.
    const LEAP: usize = 7_919;
    let mut samples = Samples::default();
    for n in 0..usize::try_from(asked)? {
        let id = ids.get(n * LEAP % ids.len().max(1)).context("nothing was added")?;
        let request = call("GET", &format!("/v1/queues/look/jobs/{id}{more}"), "");
        let began = Instant::now();
        connection.ask(&request).await?;
        samples.push(began.elapsed());
    }
    Ok(samples)
}

/// Walks over all ready jobs; how long the pages of the first and of the last half took.
async fn pages(connection: &mut Connection, look: &Look) -> anyhow::Result<(Samples, Samples)> {
    let (mut first, mut last) = (Samples::default(), Samples::default());
    let half = look.jobs.div_ceil(look.page.max(1)) / 2;
    let mut page = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/queues/look/jobs?states=ready&limit={}{cursor}", look.page);
        let request = call("GET", &path, "");
        let began = Instant::now();
        let answer = connection.ask(&request).await?;
        if page < half { &mut first } else { &mut last }.push(began.elapsed());
        page += 1;
        let Some(next) = text_member(answer.body, "cursor") else { return Ok((first, last)) };
        cursor = format!("&cursor={next}");
    }
}
