//! Millions of messages at rest: memory, disk, restart after `kill -9`, and the speed of work on top of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::arguments::{Backlog, Common, Resting};
use crate::child::Server;
use crate::report::{Report, rate};
use crate::signing::Signing;
use crate::wire::{Connection, create_queue, request, text_member};
use crate::work_dir;

/// Messages of one request while loading.
const BATCH: u64 = 500;
/// Connections that load.
const LOADERS: usize = 4;
/// Seconds of the delay of delayed messages: none comes due meanwhile.
const DELAY_SECONDS: u64 = 1_000_000;
/// Longest wait for the disk to settle after loading.
const SETTLE_MAX: Duration = Duration::from_mins(2);

pub(crate) fn run(common: &Common, backlog: &Backlog) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shallow = shallow_speed(common, backlog, &dir.path().join("shallow")).await?;
        deep(common, backlog, &dir.path().join("deep"), shallow).await
    })
}

/// How fast messages are sent, received and deleted on top of a backlog.
struct Speed {
    /// Life cycles a second.
    rate: f64,
    /// Processor time of the server for one: unlike the rate, it does not follow the moods of the disk.
    processor_time: Duration,
}

/// The speed over the backlog that the deep one is compared with.
async fn shallow_speed(common: &Common, backlog: &Backlog, data_dir: &Path) -> anyhow::Result<Speed> {
    let server = Server::weir(&common.weir, data_dir)?;
    let queue = load(server.address, common.body, backlog, backlog.shallow.min(backlog.messages)).await?;
    life_cycles(&server, common.body, backlog, &queue).await
}

async fn deep(common: &Common, backlog: &Backlog, data_dir: &Path, shallow: Speed) -> anyhow::Result<()> {
    let server = Server::weir(&common.weir, data_dir)?;
    let began = Instant::now();
    let queue = load(server.address, common.body, backlog, backlog.messages).await?;
    let loaded_in = began.elapsed();
    let disk = settled(data_dir).await;
    let speed = life_cycles(&server, common.body, backlog, &queue).await?;
    let serving = server.memory_peak()?;
    server.kill()?;
    let server = Server::weir(&common.weir, data_dir)?;
    let began = Instant::now();
    Connection::open(server.address).await?.ask(&receive(&queue)).await?;
    let restarted_in = server.started_in + began.elapsed();
    let speed_again = life_cycles(&server, common.body, backlog, &queue).await?;

    let mut report = Report::new(format!("backlog, {}", backlog.resting.name()));
    report.value("messages", backlog.messages, "").value("bytes of each body", common.body, "B");
    report.value("messages of the shallow backlog", backlog.shallow.min(backlog.messages), "");
    report.rate("loaded", backlog.messages, loaded_in, "/s");
    report.value("peak memory, loading and serving", serving >> 20, "MiB");
    for (name, speed) in [("shallow", &shallow), ("deep", &speed), ("after kill -9", &speed_again)] {
        report.value(&format!("life cycles, {name}"), speed.rate.round(), "/s");
        report.millis(&format!("processor time of a life cycle, {name}"), speed.processor_time);
    }
    report.ratio("deep to shallow", speed.rate / shallow.rate);
    report.millis("restart to the first answer", restarted_in);
    let peak_again = server.memory_peak()?;
    server.kill()?;
    let live = live_bytes(&common.weir, data_dir)?;
    report.value("peak memory, after kill -9", peak_again >> 20, "MiB");
    report.value("disk", disk >> 20, "MiB").value("live rows, keys and values", live >> 20, "MiB");
    report.ratio("disk to live rows", ratio(disk, live));
    report.ratio("disk to bodies", ratio(disk, backlog.messages * common.body as u64));
    report.print()
}

#[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Bytes of the rows in the tables, as the store's own check counts them.
fn live_bytes(weir: &Path, data_dir: &Path) -> anyhow::Result<u64> {
    let checked = Command::new(weir).args(["store", "check"]).arg(data_dir).output()?;
    let said = String::from_utf8_lossy(&checked.stdout);
    anyhow::ensure!(checked.status.success(), "the store is not whole: {said}");
    let bytes = said.split_once(" rows, ").and_then(|(_, rest)| rest.split_once(" bytes"));
    Ok(bytes.context("the check does not tell the bytes of the rows")?.0.parse()?)
}

/// Fills a new queue with messages at rest; its URL.
async fn load(address: SocketAddr, body_bytes: usize, backlog: &Backlog, count: u64) -> anyhow::Result<String> {
    let mut connection = Connection::open(address).await?;
    let (name, fifo) = match backlog.resting {
        Resting::Fifo => ("backlog.fifo", true),
        Resting::Ready | Resting::Delayed => ("backlog", false),
    };
    let mut attributes = vec![("VisibilityTimeout", "600")];
    if fifo {
        attributes.push(("FifoQueue", "true"));
    }
    let url = create_queue(&mut connection, &Signing::Plain, name, &attributes).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut loaders = JoinSet::new();
    for _ in 0..LOADERS {
        let (url, next, backlog) = (url.clone(), Arc::clone(&next), backlog.clone());
        loaders.spawn(async move {
            let mut connection = Connection::open(address).await?;
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return anyhow::Ok(());
                }
                let last = (first + BATCH).min(count);
                patient(&mut connection, &batch(&url, body_bytes, &backlog, first..last)).await?;
            }
        });
    }
    while let Some(loaded) = loaders.join_next().await {
        loaded??;
    }
    Ok(url)
}

/// Asks again for as long as the server is too busy; fails if one entry was refused.
async fn patient(connection: &mut Connection, request: &[u8]) -> anyhow::Result<()> {
    loop {
        let heading = connection.exchange(request).await?;
        let answer = connection.answer(heading);
        let refused = crate::wire::find(answer.body, b"\"SenderFault\"").is_some();
        match answer.status {
            200 if !refused => return Ok(()),
            503 => tokio::time::sleep(Duration::from_millis(100)).await,
            status => anyhow::bail!("answered {status}: {}", String::from_utf8_lossy(answer.body)),
        }
    }
}

fn batch(url: &str, body_bytes: usize, backlog: &Backlog, numbers: std::ops::Range<u64>) -> Vec<u8> {
    use std::fmt::Write as _;
    let body = "x".repeat(body_bytes);
    let mut content = format!("{{\"QueueUrl\":\"{url}\",\"Entries\":[");
    for n in numbers.clone() {
        let comma = if n == numbers.start { "" } else { "," };
        let more = match backlog.resting {
            Resting::Ready => String::new(),
            Resting::Delayed => format!(",\"DelaySeconds\":{DELAY_SECONDS}"),
            Resting::Fifo => {
                format!(",\"MessageGroupId\":\"g{}\",\"MessageDeduplicationId\":\"{n}\"", n % backlog.groups)
            }
        };
        // Writing to a string does not fail.
        let _ = write!(content, "{comma}{{\"Id\":\"{n}\",\"MessageBody\":\"{body}\"{more}}}");
    }
    content.push_str("]}");
    request("SendMessageBatch", &content)
}

/// Sends, receives and deletes on the loaded queue.
async fn life_cycles(server: &Server, body_bytes: usize, backlog: &Backlog, url: &str) -> anyhow::Result<Speed> {
    let address = server.address;
    let processor_before = server.processor_time()?;
    let duration = Duration::from_secs(backlog.seconds);
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for who in 0..backlog.connections {
        let (url, fifo) = (url.to_owned(), matches!(backlog.resting, Resting::Fifo));
        workers.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let receive = receive(&url);
            let mut cycles = 0_u64;
            while began.elapsed() < duration {
                let mut content = serde_json::json!({ "QueueUrl": url, "MessageBody": "x".repeat(body_bytes) });
                if fifo {
                    let name = format!("{who}-{cycles}-{}", began.elapsed().as_nanos());
                    let members = content.as_object_mut().context("not an object")?;
                    members.insert("MessageGroupId".to_owned(), name.clone().into());
                    members.insert("MessageDeduplicationId".to_owned(), name.into());
                }
                connection.ask(&request("SendMessage", &content.to_string())).await?;
                let answer = connection.ask(&receive).await?;
                let handle = text_member(answer.body, "ReceiptHandle").context("nothing to receive")?;
                let content = serde_json::json!({ "QueueUrl": url, "ReceiptHandle": handle }).to_string();
                connection.ask(&request("DeleteMessage", &content)).await?;
                cycles += 1;
            }
            anyhow::Ok(cycles)
        });
    }
    let mut cycles = 0;
    while let Some(done) = workers.join_next().await {
        cycles += done??;
    }
    let processor_time = server.processor_time()?.saturating_sub(processor_before);
    Ok(Speed {
        rate: rate(cycles, began.elapsed()),
        processor_time: processor_time / u32::try_from(cycles).unwrap_or(u32::MAX).max(1),
    })
}

fn receive(url: &str) -> Vec<u8> {
    request("ReceiveMessage", &serde_json::json!({ "QueueUrl": url }).to_string())
}

/// Bytes on the disk once they have not changed for a while.
async fn settled(data_dir: &Path) -> u64 {
    const QUIET_ROUNDS: u32 = 5;
    let began = Instant::now();
    let (mut last, mut quiet) = (0, 0);
    while quiet < QUIET_ROUNDS && began.elapsed() < SETTLE_MAX {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = work_dir::occupied(data_dir);
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
    last
}
