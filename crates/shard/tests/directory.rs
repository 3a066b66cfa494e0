//! What the doors look up is there again after a reopening: queues, limiters, topics and their subscriptions.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "names of FIFO queues are case-sensitive")]
#![allow(clippy::cast_possible_truncation, reason = "numbers are small here")]

use std::sync::mpsc::channel;

use weir_core::Time;
use weir_core::api::topic::{
    Endpoint, NewSubscription, Publication, ReplayStatus, SubscriptionConfig, Target, TopicConfig,
};
use weir_core::api::{Command, Config, Kind, Namespace, Reply, Tags};
use weir_core::limiter::{Terms, Unknown};
use weir_shard::{Answer, Answered, Refused, Shard};
use weir_store::{FileDisk, Options};

type Responder = Box<dyn FnOnce(Answer) + Send>;

const HERE: Namespace = Namespace(0);

fn ask(shard: &Shard<Responder>, command: Command) -> Result<Answered, Refused> {
    let (sender, receiver) = channel();
    let respond: Responder = Box::new(move |answer| sender.send(answer).unwrap_or_default());
    shard.submit(command, respond)?;
    receiver.recv().expect("an answer")
}

fn create_queue(name: &str) -> Command {
    let (name, config) = (name.to_owned(), Config::default());
    Command::CreateQueue { namespace: HERE, name, kind: Kind::Standard, config, tags: Tags::new(), seed: [1; 16] }
}

#[test]
fn what_the_doors_look_up_is_there_after_a_reopening() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let disk = FileDisk::new(folder.path()).expect("a disk");
        Shard::<Responder>::open(disk, Options::default()).expect("the shard opens").0
    };
    let shard = open();
    ask(&shard, create_queue("a")).expect("a queue");
    let (name, terms) = ("crm".to_owned(), Terms::default());
    ask(&shard, Command::PutLimiter { namespace: HERE, name, terms, unknown: Unknown::Full }).expect("a limiter");
    let (name, config) = ("news".to_owned(), TopicConfig { archive_ms: Some(60_000), ..TopicConfig::default() });
    let (kind, tags) = (Kind::Standard, Tags::new());
    let create = Command::CreateTopic { namespace: HERE, name, kind, config, tags, seed: [1; 16] };
    let Ok(Answered { reply: Reply::Topic { topic, .. }, .. }) = ask(&shard, create) else { panic!("no topic") };
    let mut subscriptions = Vec::new();
    for (n, endpoint) in
        [Endpoint::Queue("a".to_owned()), Endpoint::Url("https://x".to_owned())].into_iter().enumerate()
    {
        let config = SubscriptionConfig::default();
        let new = NewSubscription { uuid: [n as u8; 16], endpoint, owner: String::new(), config, confirm: None };
        let (subscription, queue) = (Box::new(new), Box::new(Config::default()));
        let subscribe = Command::Subscribe { topic: topic.id, subscription, queue, seed: [1; 16] };
        let Ok(Answered { reply: Reply::Subscription { subscription, .. }, .. }) = ask(&shard, subscribe) else {
            panic!("no subscription")
        };
        subscriptions.push(subscription);
    }
    let known = shard.directory().topic_view(topic.id).expect("the topic");
    assert_eq!(known.subscriptions, subscriptions);
    let targets = subscriptions.iter().map(|subscription| Target::new(subscription.id)).collect();
    let publication = Publication { payload: b"hello".to_vec(), bytes: 5, targets, ..Publication::default() };
    let revision = known.topic.revision;
    ask(&shard, Command::Publish { topic: topic.id, revision, publications: vec![publication] }).expect("published");
    let (subscription, from, until) = (subscriptions[0].id, Time(0), Time::NEVER);
    ask(&shard, Command::StartReplay { subscription, from, until }).expect("a replay");
    shard.close();

    let shard = open();
    let directory = shard.directory();
    let own = subscriptions[1].queue.expect("a queue of its own");
    assert!(directory.limiter(HERE, "crm").is_some());
    assert_eq!(directory.queue(own).expect("the queue").subscription, Some(subscriptions[1].id));
    assert_eq!(directory.list(HERE, "", None, 10).len(), 1, "a subscription's own queue is left out");
    let found = directory.topic(HERE, "news").expect("the topic");
    assert_eq!((found.id, &found.config), (topic.id, &topic.config));
    assert_eq!(directory.topics(HERE, "n", None, 10).len(), 1);
    assert_eq!(directory.topic_view(topic.id).expect("the topic").subscriptions, subscriptions);
    assert_eq!(directory.subscription_by_uuid(HERE, [1; 16]), Some(subscriptions[1].clone()));
    assert_eq!(directory.subscriptions(HERE, None, Some(subscriptions[0].id), 10), subscriptions[1..]);
    let replays = directory.replays();
    assert_eq!((replays.len(), replays[0].status), (1, ReplayStatus::Running));

    ask(&shard, Command::Unsubscribe { subscription: subscriptions[0].id }).expect("ended");
    assert_eq!(directory.topic_view(topic.id).expect("the topic").subscriptions, subscriptions[1..]);
    assert!(directory.replays().is_empty());
    ask(&shard, Command::DeleteTopic { topic: topic.id }).expect("deleted");
    assert!(directory.topic_view(topic.id).is_none());
    shard.close();
}
