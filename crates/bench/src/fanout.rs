//! One message to many queues, in process, through the shard that the server runs: published to a topic, and, to compare,
//! sent to each queue by itself.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use smallvec::smallvec;
use weir_core::api::topic::{Endpoint, NewSubscription, Publication, SubscriptionConfig, Target, TopicConfig, TopicId};
use weir_core::api::{Command, Config, Kind, Namespace, NewMessage, QueueId, Reply, Tags};
use weir_shard::{Answer, Refused, Respond, Shard};
use weir_store::{FileDisk, Options};

use crate::arguments::{Common, Fanout};
use crate::engine::LogBytes;
use crate::report::Report;
use crate::work_dir;

/// How long to wait where the shard could not take more.
const PAUSE: Duration = Duration::from_millis(5);
/// Commands under way at once.
const AT_ONCE: usize = 128;
/// Deliveries under way at once: a bound of what the engine is ahead of the disk, as the doors' requests are.
const DELIVERIES_AT_ONCE: usize = 20_000;

/// Who takes an answer.
struct Taker(Sender<Answer>);

impl Respond for Taker {
    fn respond(self, answer: Answer) {
        // Nobody waits any more: the run has failed already.
        drop(self.0.send(answer));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn run(common: &Common, fanout: &Fanout) -> anyhow::Result<()> {
    for &queues in &fanout.queues {
        let published = drive(common, fanout, queues, true)?;
        let sent = drive(common, fanout, queues, false)?;
        let mut report = Report::new(format!("fanout, {queues} queues"));
        report.value("seconds", fanout.seconds, "s").value("bytes of each body", common.body, "B");
        report.value("publications", published.messages.round(), "/s");
        report.value("deliveries", (published.messages * queues as f64).round(), "/s");
        report.value("bytes of log for a delivery", published.bytes, "B");
        report.value("sent one by one, messages", (sent.messages * queues as f64).round(), "/s");
        report.value("bytes of log for one sent", sent.bytes, "B");
        report.ratio("published to sent", published.messages / sent.messages);
        report.print()?;
    }
    Ok(())
}

/// How it went.
struct Speed {
    /// Messages that came to all queues, a second.
    messages: f64,
    /// Bytes of log for each of the queues.
    bytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn drive(common: &Common, fanout: &Fanout, queues: usize, publishes: bool) -> anyhow::Result<Speed> {
    let dir = work_dir::fresh(&common.dir)?;
    let (shard, _) = Shard::open(FileDisk::new(dir.path().join("data"))?, Options::default())?;
    let setup = set_up(&shard, queues)?;
    let body = vec![b'x'; common.body];
    let mut written = LogBytes::new(&shard.metrics());
    let mut looked = Instant::now();
    let at_once = AT_ONCE.min(DELIVERIES_AT_ONCE / queues).max(1);
    let (sender, answers) = channel();
    let (mut under_way, mut answered, mut at) = (0, 0_u64, 0);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(fanout.seconds) || under_way > 0 {
        while under_way < at_once && began.elapsed() < Duration::from_secs(fanout.seconds) {
            let command = if publishes {
                setup.publication(&body)
            } else {
                let &queue = setup.queues.get(at % queues).context("no queue")?;
                at += 1;
                let message = NewMessage { uuid: [7; 16], payload: body.clone(), ..NewMessage::default() };
                Command::Send { queue, version: 1, messages: smallvec![message] }
            };
            shard.submit(command, Taker(sender.clone()))?;
            under_way += 1;
        }
        under_way -= 1;
        if looked.elapsed() > PAUSE {
            written.look(&shard.metrics());
            looked = Instant::now();
        }
        match answers.recv()? {
            Ok(_) => answered += 1,
            Err(Refused::Overloaded { .. }) => std::thread::sleep(PAUSE),
            Err(refused) => return Err(refused.into()),
        }
    }
    let took = began.elapsed();
    written.look(&shard.metrics());
    shard.close();
    let messages = if publishes { answered as f64 } else { answered as f64 / queues as f64 };
    let deliveries = if publishes { answered * queues as u64 } else { answered };
    Ok(Speed { messages: messages / took.as_secs_f64(), bytes: written.sum / deliveries.max(1) })
}

/// What there is to be published to.
struct SetUp {
    topic: TopicId,
    revision: u64,
    targets: Vec<Target>,
    queues: Vec<QueueId>,
}

impl SetUp {
    fn publication(&self, body: &[u8]) -> Command {
        let publication = Publication {
            uuid: [7; 16],
            payload: body.to_vec(),
            bytes: body.len() as u64,
            targets: self.targets.clone(),
            ..Publication::default()
        };
        Command::Publish { topic: self.topic, revision: self.revision, publications: vec![publication] }
    }
}

fn set_up(shard: &Shard<Taker>, count: usize) -> anyhow::Result<SetUp> {
    let (namespace, kind, tags) = (Namespace(0), Kind::Standard, Tags::new());
    let (name, config) = ("bench".to_owned(), TopicConfig::default());
    let topic = Command::CreateTopic { namespace, name, kind, config, tags: tags.clone(), seed: [9; 16] };
    let Reply::Topic { topic, .. } = ask(shard, topic)? else { bail!("no topic") };
    let (mut queues, mut targets) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for n in 0..count {
        let (name, config) = (format!("bench-{n}"), Config::default());
        let queue =
            Command::CreateQueue { namespace, name: name.clone(), kind, config, tags: tags.clone(), seed: [9; 16] };
        let Reply::Queue { queue, .. } = ask(shard, queue)? else { bail!("no queue") };
        queues.push(queue.id);
        let (endpoint, config) = (Endpoint::Queue(name), SubscriptionConfig::default());
        let new = NewSubscription { uuid: [9; 16], endpoint, owner: String::new(), config, confirm: None };
        let (subscription, queue) = (Box::new(new), Box::new(Config::default()));
        let subscribe = Command::Subscribe { topic: topic.id, subscription, queue, seed: [9; 16] };
        let Reply::Subscription { subscription, .. } = ask(shard, subscribe)? else { bail!("no subscription") };
        targets.push(Target::new(subscription.id));
    }
    let topic = shard.directory().topic_by_id(topic.id).context("no topic")?;
    Ok(SetUp { topic: topic.id, revision: topic.revision, targets, queues })
}

fn ask(shard: &Shard<Taker>, command: Command) -> anyhow::Result<Reply> {
    let (sender, answer) = channel();
    shard.submit(command, Taker(sender))?;
    Ok(answer.recv()??.reply)
}
