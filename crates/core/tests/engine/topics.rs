//! Topics: what is published once comes to every queue that subscribed, or to none.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "names of FIFO queues are case-sensitive")]
#![allow(clippy::cast_possible_truncation, reason = "numbers are small here")]

use std::sync::Arc;

use crate::support::*;
use weir_core::api::job::*;
use weir_core::api::limit::{LimitKey, LimiterUse, Limits};
use weir_core::api::topic::*;
use weir_core::api::*;
use weir_core::limiter::{Counts, Terms, Unknown, Window};

/// Of rows, what stays when no message is left: queues, topics, subscriptions and their counters.
const ENTITIES: [u8; 8] = [16, 17, 18, 35, 36, 37, 38, MINUTES];
/// Rows of payloads and of who shares them.
const BODY: u8 = 20;
const SHARED: u8 = 39;

const LONG: usize = 300;

fn long(text: &str) -> Vec<u8> {
    let mut long = text.as_bytes().to_vec();
    long.resize(LONG, b'.');
    long
}

impl World {
    fn topic(&mut self, name: &str, config: TopicConfig) -> Arc<Topic> {
        let kind = if name.ends_with(".fifo") { Kind::Fifo } else { Kind::Standard };
        let (namespace, name) = (Namespace(0), name.to_owned());
        let create = Command::CreateTopic { namespace, name, kind, config, tags: Tags::new(), seed: [3; 16] };
        match self.ask(create).unwrap() {
            Reply::Topic { topic, .. } => topic,
            other => panic!("{other:?}"),
        }
    }

    fn subscribe_with(&mut self, topic: &Topic, new: NewSubscription) -> Result<(Arc<Subscription>, bool), Error> {
        let queue = Box::new(Config::default());
        let subscribe = Command::Subscribe { topic: topic.id, subscription: Box::new(new), queue, seed: [4; 16] };
        match self.ask(subscribe)? {
            Reply::Subscription { subscription, created } => Ok((subscription, created)),
            other => panic!("{other:?}"),
        }
    }

    fn subscribe(&mut self, topic: &Topic, queue: &str) -> SubscriptionId {
        self.subscribe_with(topic, to(Endpoint::Queue(queue.to_owned()))).unwrap().0.id
    }

    fn revision(&self, topic: &Topic) -> u64 {
        let topics = self.engine.topics();
        topics.iter().find(|known| known.id == topic.id).expect("the topic").revision
    }

    /// Publishes to all subscriptions of the topic.
    fn publish(&mut self, topic: &Topic, publication: Publication) -> Result<Published, Error> {
        self.publish_all(topic, vec![publication])?.remove(0)
    }

    fn publish_all(
        &mut self,
        topic: &Topic,
        mut publications: Vec<Publication>,
    ) -> Result<Vec<Result<Published, Error>>, Error> {
        let all = self.engine.subscriptions().into_iter().filter(|subscription| subscription.topic == topic.id);
        let all: Vec<Target> = all.map(|subscription| Target::new(subscription.id)).collect();
        for publication in &mut publications {
            if publication.targets.is_empty() {
                publication.targets.clone_from(&all);
            }
        }
        let revision = self.revision(topic);
        match self.ask(Command::Publish { topic: topic.id, revision, publications })? {
            Reply::Published(published) => Ok(published),
            other => panic!("{other:?}"),
        }
    }

    fn assert_only_entities(&self) {
        let kinds = self.row_kinds();
        assert!(kinds.keys().all(|kind| ENTITIES.contains(kind)), "{kinds:?}");
    }

    fn subscription_stats(&mut self, id: SubscriptionId) -> SubscriptionCounters {
        match self.ask(Command::SubscriptionStats { subscription: id }).unwrap() {
            Reply::SubscriptionStats { counters, .. } => counters,
            other => panic!("{other:?}"),
        }
    }

    fn topic_stats(&mut self, topic: &Topic) -> TopicCounters {
        match self.ask(Command::TopicStats { topic: topic.id }).unwrap() {
            Reply::TopicStats { counters, .. } => counters,
            other => panic!("{other:?}"),
        }
    }
}

fn to(endpoint: Endpoint) -> NewSubscription {
    let config = SubscriptionConfig::default();
    NewSubscription { uuid: [5; 16], endpoint, owner: "me".to_owned(), config, confirm: None }
}

fn text(text: &str) -> Publication {
    Publication { uuid: [8; 16], payload: long(text), bytes: LONG as u64, ..Publication::default() }
}

fn of_group(body: &str, group: u8) -> Publication {
    Publication { lane: Some(Lane([group; 16])), ..text(body) }
}

#[test]
fn a_publication_comes_to_every_queue_and_its_payload_is_stored_once() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let queues: Vec<QueueId> = ["a", "b", "c"].map(|name| world.create(name, Config::default())).into();
        let subscriptions = ["a", "b", "c"].map(|name| world.subscribe(&topic, name));
        let published = world.publish(&topic, text("one")).unwrap();
        assert_eq!((published.delivered, published.failed, published.duplicate), (3, 0, false));
        assert_eq!((world.rows_of(BODY), world.rows_of(SHARED)), (1, 1));
        for (&queue, subscription) in queues.iter().zip(subscriptions) {
            let got = world.receive(queue, 10);
            assert_eq!(got.len(), 1);
            assert_eq!(got[0].text.trim_end_matches('.'), "one");
            assert_eq!(
                got[0].delivery.origin,
                Some(Origin { publication: published.id, subscription, raw: false, replayed: false })
            );
            world.delete(queue, got[0].handle).unwrap();
        }
        world.reclaim();
        world.assert_only_entities();
        let counters = world.topic_stats(&topic);
        assert_eq!((counters.published, counters.delivered, counters.failed), (1, 3, 0));
    }
}

#[test]
fn a_short_payload_is_copied_and_a_single_one_is_nobody_elses() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let queues = ["a", "b"].map(|name| world.create(name, Config::default()));
        world.subscribe(&topic, "a");
        world.publish(&topic, text("alone")).unwrap();
        assert_eq!((world.rows_of(BODY), world.rows_of(SHARED)), (1, 0));
        world.subscribe(&topic, "b");
        let short = Publication { payload: b"short".to_vec(), bytes: 5, ..Publication::default() };
        world.publish(&topic, short).unwrap();
        assert_eq!((world.rows_of(BODY), world.rows_of(SHARED)), (3, 0));
        assert_eq!(world.take_all(queues[0]), ["alone", "short"]);
        assert_eq!(world.take_all(queues[1]), ["short"]);
        world.reclaim();
        world.assert_only_entities();
    }
}

/// However a delivered message goes, the last one takes the shared payload along and nobody before it does.
#[test]
fn the_last_message_to_go_takes_the_shared_payload_along() {
    type Go = fn(&mut World, QueueId);
    let ways: [(&str, Go); 8] = [
        ("purged", |world, queue| drop(world.ask(Command::PurgeQueue { queue }).unwrap())),
        ("with its queue", |world, queue| drop(world.ask(Command::DeleteQueue { queue }).unwrap())),
        ("received and deleted", |world, queue| drop(world.take_all(queue))),
        ("completed", |world, queue| {
            let got = world.lease_one(queue);
            world.complete(queue, got.handle).unwrap();
        }),
        ("removed", |world, queue| {
            let jobs = vec![JobRef::Id(world.listed(queue)[0].id)];
            world.ask(Command::ChangeJobs { queue, jobs, change: JobChange::Remove }).unwrap();
        }),
        ("given another payload", |world, queue| {
            let jobs = vec![JobRef::Id(world.listed(queue)[0].id)];
            let change = JobChange::Payload(b"other".to_vec());
            world.ask(Command::ChangeJobs { queue, jobs, change }).unwrap();
            assert_eq!(world.take_all(queue), ["other"]);
        }),
        ("moved, then deleted", |world, queue| {
            let to = world.create("elsewhere", Config::default());
            let ids = vec![world.listed(queue)[0].id];
            world.ask(Command::Move { queue, to, ids }).unwrap();
            assert_eq!(world.take_all(to), ["shared"]);
        }),
        ("kept too long", |world, queue| {
            assert_eq!(world.counts(queue), [1, 0, 0]);
            world.after(3_600_001);
        }),
    ];
    for (how, go) in ways {
        for mut world in worlds() {
            let topic = world.topic("news", TopicConfig::default());
            let config = Config { retention_ms: 3_600_000, ..Config::default() };
            let config = Config { keep_completed: Keep::NONE, ..config };
            let first = world.create("a", config);
            let second = world.create("b", Config::default());
            world.subscribe(&topic, "a");
            world.subscribe(&topic, "b");
            world.publish(&topic, text("shared")).unwrap();
            go(&mut world, first);
            world.reclaim();
            assert_eq!((world.rows_of(BODY), world.rows_of(SHARED)), (1, 1), "{how}");
            world.restart();
            assert_eq!(world.take_all(second), ["shared"], "{how}");
            world.reclaim();
            world.assert_only_entities();
        }
    }
}

impl World {
    fn listed(&mut self, queue: QueueId) -> Vec<Listed> {
        let list = Command::List { queue, states: States::ALL, after: 0, max: 100, payload_bytes_max: Some(0) };
        match self.ask(list).unwrap() {
            Reply::Listed { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_dead_letter_keeps_its_share_of_the_payload() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let dead = world.create("dead", Config::default());
        let redrive = Some(Redrive { target: "dead".to_owned(), receives_max: 1 });
        let first = world.create("a", Config { redrive, visibility_ms: 1_000, ..Config::default() });
        let second = world.create("b", Config::default());
        world.subscribe(&topic, "a");
        world.subscribe(&topic, "b");
        world.publish(&topic, text("x")).unwrap();
        assert_eq!(world.receive(first, 1).len(), 1);
        world.after(1_001);
        assert_eq!(world.take_all(second), ["x"]);
        assert_eq!(world.rows_of(SHARED), 1);
        let listed = world.listed(dead);
        assert!(listed[0].origin.is_some());
        assert_eq!(world.take_all(dead), ["x"]);
        world.reclaim();
        world.assert_only_entities();
    }
}

#[test]
fn many_shared_payloads_of_one_purged_queue_are_reclaimed_in_slices() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let queues = ["a", "b"].map(|name| world.create(name, Config::default()));
        world.subscribe(&topic, "a");
        world.subscribe(&topic, "b");
        for batch in 0..6 {
            let publications = (0..100).map(|n| text(&format!("{}", batch * 100 + n))).collect();
            world.publish_all(&topic, publications).unwrap();
        }
        assert_eq!(world.rows_of(SHARED), 600);
        world.ask(Command::PurgeQueue { queue: queues[0] }).unwrap();
        world.restart();
        world.reclaim();
        assert_eq!(world.rows_of(SHARED), 600);
        world.ask(Command::DeleteQueue { queue: queues[1] }).unwrap();
        world.reclaim();
        world.assert_only_entities();
    }
}

#[test]
fn what_was_prepared_for_other_subscriptions_is_refused() {
    let mut world = World::new();
    let topic = world.topic("news", TopicConfig::default());
    world.create("a", Config::default());
    let revision = world.revision(&topic);
    let id = world.subscribe(&topic, "a");
    let publish = |revision| Command::Publish { topic: topic.id, revision, publications: vec![text("x")] };
    let version = world.revision(&topic);
    assert_eq!(world.ask(publish(revision)), Err(Error::TopicStale { version }));
    world.ask(publish(version)).unwrap();
    let config = SubscriptionConfig { filter: Some("{}".to_owned()), ..SubscriptionConfig::default() };
    world.ask(Command::ConfigureSubscription { subscription: id, version: 1, config }).unwrap();
    assert!(matches!(world.ask(publish(version)), Err(Error::TopicStale { .. })));
    let version = world.revision(&topic);
    world.ask(Command::Unsubscribe { subscription: id }).unwrap();
    assert!(matches!(world.ask(publish(version)), Err(Error::TopicStale { .. })));
    let version = world.revision(&topic);
    world.restart();
    assert!(matches!(world.ask(publish(version)), Err(Error::TopicStale { .. })), "revisions do not come again");
}

#[test]
fn one_queue_that_cannot_take_a_publication_keeps_it_from_nobody() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let small = Config { message_bytes_max: 10, ..Config::default() };
        world.create("small", small);
        let whole = world.create("whole", Config::default());
        let gone = world.create("gone", Config::default());
        let dead = world.create("dead", Config::default());
        let with_dead_letters = |name: &str| NewSubscription {
            config: SubscriptionConfig { dead_letter: Some("dead".to_owned()), ..SubscriptionConfig::default() },
            ..to(Endpoint::Queue(name.to_owned()))
        };
        let small = world.subscribe_with(&topic, with_dead_letters("small")).unwrap().0.id;
        let well = world.subscribe(&topic, "whole");
        let gone_id = world.subscribe(&topic, "gone");
        world.ask(Command::DeleteQueue { queue: gone }).unwrap();
        let published = world.publish(&topic, text("x")).unwrap();
        assert_eq!((published.delivered, published.failed), (1, 2));
        assert_eq!(world.take_all(whole), ["x"]);
        let got = world.listed(dead);
        assert_eq!(got[0].origin.unwrap().subscription, small);
        assert_eq!(world.take_all(dead), ["x"]);
        let now = world.now;
        let stats = world.subscription_stats(small);
        assert_eq!((stats.delivered, stats.failed), (0, 1));
        assert_eq!(stats.last_failure, Some((now, DeliveryFailure::TooLarge)));
        assert_eq!(world.subscription_stats(gone_id).last_failure, Some((now, DeliveryFailure::QueueGone)));
        let stats = world.subscription_stats(well);
        assert_eq!((stats.delivered, stats.failed, stats.filtered), (1, 0, 0));
        // A queue of that name takes what comes from now on.
        let again = world.create("gone", Config::default());
        world.publish(&topic, text("y")).unwrap();
        assert_eq!(world.take_all(again), ["y"]);
        world.restart();
        assert_eq!(world.subscription_stats(gone_id).delivered, 1);
        assert_eq!(world.topic_stats(&topic).failed, 3);
    }
}

#[test]
fn a_queues_own_settings_hold_for_what_is_delivered() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let slow = world.create("slow", Config { delay_ms: 5_000, ..Config::default() });
        let fast = world.create("fast", Config::default());
        world.subscribe(&topic, "slow");
        world.subscribe(&topic, "fast");
        world.publish(&topic, Publication { priority: 5, ..text("late") }).unwrap();
        world.publish(&topic, Publication { priority: 1, ..text("soon") }).unwrap();
        assert_eq!(world.counts(slow), [0, 2, 0]);
        assert_eq!(world.take_all(fast), ["soon", "late"]);
        world.after(5_000);
        assert_eq!(world.take_all(slow), ["soon", "late"]);
        world.reclaim();
        world.assert_only_entities();
    }
}

#[test]
fn limiters_of_a_queue_hold_for_what_is_delivered() {
    let mut world = World::new();
    let terms = Terms { windows: vec![Window { max: 1, per_ms: 10_000, counts: Counts::Starts }], ..Terms::default() };
    let (namespace, name) = (Namespace(0), "crm".to_owned());
    world.ask(Command::PutLimiter { namespace, name, terms, unknown: Unknown::Full }).unwrap();
    let limiters = vec![LimiterUse { limiter: "crm".to_owned(), key: Some("data.host".to_owned()), cost: None }];
    let queue = world.create("a", Config { limiters, ..Config::default() });
    let topic = world.topic("news", TopicConfig::default());
    let subscription = world.subscribe(&topic, "a");
    assert!(matches!(world.publish(&topic, text("x")), Err(Error::Stale { version: 1 })), "keys are missing");
    let keyed = |body: &str, key: u8| {
        let limits = Limits { uses: [(Some(LimitKey([key; 16])), 1)].into_iter().collect() };
        let targets = vec![Target { subscription, limits: Some((1, Box::new(limits))) }];
        Publication { targets, ..text(body) }
    };
    for (body, key) in [("1", 1), ("2", 1), ("3", 2)] {
        world.publish(&topic, keyed(body, key)).unwrap();
    }
    assert_eq!(world.take_all(queue), ["1", "3"]);
    world.after(60_000);
    assert_eq!(world.take_all(queue), ["2"]);
}

#[test]
fn a_fifo_topic_keeps_duplicates_away_and_order_within_groups() {
    for mut world in worlds() {
        let topic = world.topic("news.fifo", TopicConfig::default());
        let fifo = world.create("a.fifo", Config::default());
        let standard = world.create("b", Config::default());
        world.subscribe(&topic, "a.fifo");
        world.subscribe(&topic, "b");
        assert_eq!(world.publish(&topic, text("no group")), Err(Error::LaneRequired));
        let with_id = |body: &str, group, id| Publication { dedup: Some([id; 16]), ..of_group(body, group) };
        let first = world.publish(&topic, with_id("1", 1, 1)).unwrap();
        let again = Publication { uuid: [99; 16], ..with_id("1 again", 2, 1) };
        let duplicate = world.publish(&topic, again).unwrap();
        assert_eq!((duplicate.uuid, duplicate.id, duplicate.duplicate), (first.uuid, first.id, true));
        // In one batch, too.
        let batch = vec![with_id("2", 1, 2), with_id("2 again", 1, 2), with_id("3", 2, 3), with_id("4", 1, 4)];
        let published = world.publish_all(&topic, batch).unwrap();
        let ids: Vec<u64> = published.iter().map(|one| one.as_ref().unwrap().id).collect();
        assert_eq!(ids[0], ids[1]);
        assert!(first.id < ids[0] && ids[1] < ids[2] && ids[2] < ids[3]);
        assert_eq!(world.topic_stats(&topic).duplicates, 2);
        assert_eq!(world.take_all(standard), ["1", "2", "3", "4"]);
        let mut got = world.take_all(fifo);
        let of_one: Vec<_> = got.iter().filter(|text| *text != "3").cloned().collect();
        assert_eq!(of_one, ["1", "2", "4"]);
        got.sort();
        assert_eq!(got, ["1", "2", "3", "4"]);
        world.restart();
        assert!(world.publish(&topic, with_id("1", 1, 1)).unwrap().duplicate);
        world.after(DEDUP_WINDOW_MS);
        assert!(!world.publish(&topic, with_id("5", 1, 1)).unwrap().duplicate);
        assert_eq!(world.take_all(fifo), ["5"]);
        assert_eq!(world.take_all(standard), ["5"]);
        world.after(2 * DEDUP_WINDOW_MS);
        world.engine.flush(&mut world.rows);
        world.assert_only_entities();
    }
}

#[test]
fn duplicates_may_count_within_groups_only() {
    let mut world = World::new();
    let topic = world.topic("news.fifo", TopicConfig { dedup_scope: DedupScope::Lane, ..TopicConfig::default() });
    let with_id = |group| Publication { dedup: Some([1; 16]), ..of_group("x", group) };
    assert!(!world.publish(&topic, with_id(1)).unwrap().duplicate);
    assert!(!world.publish(&topic, with_id(2)).unwrap().duplicate);
    assert!(world.publish(&topic, with_id(1)).unwrap().duplicate);
    assert!(world.publish(&topic, with_id(2)).unwrap().duplicate);
}

#[test]
fn a_queue_that_knows_a_deduplication_id_already_takes_no_share() {
    for mut world in worlds() {
        let topics = ["one.fifo", "two.fifo"].map(|name| world.topic(name, TopicConfig::default()));
        let queue = world.create("a.fifo", Config::default());
        let other = world.create("b.fifo", Config::default());
        for topic in &topics {
            world.subscribe(topic, "a.fifo");
        }
        world.subscribe(&topics[1], "b.fifo");
        let with_id = || Publication { dedup: Some([1; 16]), ..of_group("x", 1) };
        world.publish(&topics[0], with_id()).unwrap();
        world.publish(&topics[1], with_id()).unwrap();
        assert_eq!(world.take_all(other), ["x"]);
        assert_eq!(world.rows_of(SHARED), 0);
        assert_eq!(world.take_all(queue), ["x"]);
        assert_eq!(world.rows_of(BODY), 0);
    }
}

#[test]
fn a_standard_topic_passes_the_group_on_and_feeds_no_fifo_queue() {
    let mut world = World::new();
    let topic = world.topic("news", TopicConfig::default());
    world.create("a.fifo", Config::default());
    let refused = world.subscribe_with(&topic, to(Endpoint::Queue("a.fifo".to_owned())));
    assert_eq!(refused.map(|_| ()), Err(Error::SubscriptionKindDiffers));
    let queue = world.create("b", Config::default());
    world.subscribe(&topic, "b");
    world.publish(&topic, of_group("x", 7)).unwrap();
    assert_eq!(world.listed(queue)[0].lane, Some(Lane([7; 16])));
    // A queue that comes to be a FIFO queue later is fed no more.
    world.ask(Command::DeleteQueue { queue }).unwrap();
    let id = world.subscribe_with(&topic, to(Endpoint::Queue("later.fifo".to_owned()))).unwrap().0.id;
    world.create("later.fifo", Config::default());
    world.publish(&topic, of_group("y", 7)).unwrap();
    assert_eq!(world.subscription_stats(id).last_failure.unwrap().1, DeliveryFailure::KindDiffers);
}

#[test]
fn creating_and_subscribing_again_finds_what_is_there() {
    let mut world = World::new();
    let topic = world.topic("news", TopicConfig::default());
    assert_eq!(world.topic("news", TopicConfig::default()).id, topic.id);
    let (namespace, name, kind) = (Namespace(0), "news".to_owned(), Kind::Standard);
    let config = TopicConfig { archive_ms: Some(1), ..TopicConfig::default() };
    let other = Command::CreateTopic { namespace, name, kind, config, tags: Tags::new(), seed: [1; 16] };
    assert_eq!(world.ask(other), Err(Error::TopicExists { field: "archive".to_owned() }));
    let new = to(Endpoint::Queue("a".to_owned()));
    let (first, created) = world.subscribe_with(&topic, new.clone()).unwrap();
    assert!(created);
    let (again, created) = world.subscribe_with(&topic, NewSubscription { uuid: [77; 16], ..new.clone() }).unwrap();
    assert_eq!((again.id, again.uuid, created), (first.id, [5; 16], false));
    let raw = SubscriptionConfig { raw: true, ..SubscriptionConfig::default() };
    let differs = world.subscribe_with(&topic, NewSubscription { config: raw, ..new });
    let exists = Error::SubscriptionExists { subscription: first.id, field: "raw delivery".to_owned() };
    assert_eq!(differs.map(|_| ()), Err(exists));
    world.restart();
    assert_eq!(world.engine.subscriptions().len(), 1);
    assert_eq!(world.engine.topics().len(), 1);
}

#[test]
fn a_topic_is_changed_by_who_knows_how_it_is() {
    let mut world = World::new();
    let topic = world.topic("news", TopicConfig::default());
    let attributes: Attributes = [("DisplayName".to_owned(), "News".to_owned())].into();
    let config = TopicConfig { attributes, ..TopicConfig::default() };
    let configure =
        |version, config: &TopicConfig| Command::ConfigureTopic { topic: topic.id, version, config: config.clone() };
    let Ok(Reply::Topic { topic: changed, .. }) = world.ask(configure(1, &config)) else { panic!("not changed") };
    assert_eq!((changed.version, &changed.config), (2, &config));
    assert!(changed.revision > topic.revision);
    assert_eq!(world.ask(configure(1, &config)), Err(Error::TopicStale { version: 2 }));
    let add: Tags = [("team".to_owned(), "a".to_owned())].into();
    world.ask(Command::TagTopic { topic: topic.id, remove: vec![], add: add.clone(), max: 50 }).unwrap();
    world.restart();
    let known = world.engine.topics();
    assert_eq!((&known[0].tags, &known[0].config, known[0].version), (&add, &config, 2));
}

#[test]
fn nothing_comes_before_a_subscription_is_confirmed() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let new = NewSubscription {
            confirm: Some(("secret".to_owned(), 1_000)),
            ..to(Endpoint::Url("https://example.com".to_owned()))
        };
        let (subscription, _) = world.subscribe_with(&topic, new.clone()).unwrap();
        let queue = subscription.queue.expect("a queue of its own");
        world.publish(&topic, text("before")).unwrap();
        assert_eq!(world.counts(queue), [0, 0, 0]);
        let confirm = |token: &str| Command::ConfirmSubscription { topic: topic.id, token: token.to_owned() };
        assert_eq!(world.ask(confirm("guessed")), Err(Error::TokenInvalid));
        // Subscribing again draws a new token, and more time.
        world.after(900);
        let again = NewSubscription { confirm: Some(("newer".to_owned(), 1_000)), ..new.clone() };
        world.subscribe_with(&topic, again).unwrap();
        world.after(900);
        world.restart();
        assert_eq!(world.ask(confirm("secret")), Err(Error::TokenInvalid));
        world.ask(confirm("newer")).unwrap();
        world.ask(confirm("newer")).unwrap();
        world.after(10_000);
        let published = world.publish(&topic, text("after")).unwrap();
        assert_eq!(published.delivered, 1);
        assert_eq!(world.subscription_stats(subscription.id).filtered, 0);
        assert_eq!(world.take_all(queue), ["after"]);
        // What nobody confirms goes.
        let late = NewSubscription { endpoint: Endpoint::Url("https://late.example".to_owned()), ..new };
        let late = NewSubscription { uuid: [6; 16], ..late };
        let (late, _) = world.subscribe_with(&topic, late).unwrap();
        world.after(1_000);
        assert_eq!(world.ask(Command::SubscriptionStats { subscription: late.id }), Err(Error::SubscriptionNotFound));
        assert_eq!(world.ask(Command::QueueStats { queue: late.queue.unwrap() }), Err(Error::QueueNotFound));
    }
}

#[test]
fn a_url_has_a_queue_of_its_own_that_goes_with_the_subscription() {
    for mut world in worlds() {
        let topic = world.topic("news", TopicConfig::default());
        let dead = world.create("dead", Config::default());
        let config = SubscriptionConfig { dead_letter: Some("dead".to_owned()), ..SubscriptionConfig::default() };
        let new = NewSubscription { config, ..to(Endpoint::Url("https://example.com".to_owned())) };
        let subscription = world.subscribe_with(&topic, new).unwrap().0;
        let queue = subscription.queue.unwrap();
        let queues = world.engine.queues();
        let own = queues.iter().find(|known| known.id == queue).unwrap();
        assert_eq!(own.subscription, Some(subscription.id));
        assert_eq!(world.ask(Command::DeleteQueue { queue }), Err(Error::QueueOwned));
        world.publish(&topic, text("x")).unwrap();
        let got = world.lease_one(queue);
        let never = Settlement::Fail { failure: b"410".to_vec(), again: Again::Never };
        world.settle(queue, got.handle, never).unwrap();
        assert_eq!(world.take_all(dead), ["x"]);
        world.restart();
        let config = SubscriptionConfig { dead_letter: None, ..SubscriptionConfig::default() };
        world.ask(Command::ConfigureSubscription { subscription: subscription.id, version: 1, config }).unwrap();
        let queues = world.engine.queues();
        assert_eq!(queues.iter().find(|known| known.id == queue).unwrap().config.redrive, None);
        world.publish(&topic, text("y")).unwrap();
        world.ask(Command::Unsubscribe { subscription: subscription.id }).unwrap();
        assert_eq!(world.ask(Command::QueueStats { queue }), Err(Error::QueueNotFound));
        assert_eq!(world.publish(&topic, text("z")).unwrap().delivered, 0);
        world.reclaim();
        world.assert_only_entities();
        assert_eq!(world.rows_of(37) + world.rows_of(38), 0);
    }
}

#[test]
fn a_deleted_topic_leaves_nothing_behind_and_its_name_is_free_at_once() {
    for mut world in worlds() {
        let topic = world.topic("news.fifo", TopicConfig::default());
        let queue = world.create("a.fifo", Config::default());
        world.subscribe(&topic, "a.fifo");
        for n in 0..600_u64 {
            let mut uuid = [0; 16];
            uuid[..8].copy_from_slice(&n.to_be_bytes());
            let new = NewSubscription { uuid, ..to(Endpoint::Url(format!("https://example.com/{n}"))) };
            world.subscribe_with(&topic, new).unwrap();
        }
        world.publish(&topic, Publication { dedup: Some([1; 16]), ..of_group("x", 1) }).unwrap();
        assert_eq!(world.rows_of(SHARED), 1);
        world.ask(Command::DeleteTopic { topic: topic.id }).unwrap();
        assert_eq!(world.ask(Command::TopicStats { topic: topic.id }), Err(Error::TopicNotFound));
        let again = world.topic("news.fifo", TopicConfig::default());
        assert_ne!(again.id, topic.id);
        // Stopped in the middle, it goes on.
        world.restart();
        world.reclaim();
        assert!(world.engine.subscriptions().is_empty());
        assert_eq!(world.take_all(queue), ["x"], "what was delivered stays");
        world.ask(Command::DeleteTopic { topic: again.id }).unwrap();
        world.after(2 * DEDUP_WINDOW_MS);
        world.reclaim();
        world.assert_only_entities();
        assert_eq!([35, 36, 37, 38].map(|kind| world.rows_of(kind)), [0; 4]);
    }
}

#[test]
fn ten_thousand_queues_have_it_in_one_commit() {
    let mut world = World::new();
    let topic = world.topic("news", TopicConfig::default());
    for n in 0..SUBSCRIPTIONS_MAX {
        let name = format!("q{n}");
        world.create(&name, Config::default());
        world.subscribe(&topic, &name);
    }
    let more = world.subscribe_with(&topic, to(Endpoint::Queue("one too many".to_owned())));
    assert!(matches!(more, Err(Error::LimitExceeded { what: "subscriptions of a topic", .. })));
    world.rows.writes = 0;
    let published = world.publish(&topic, text("x")).unwrap();
    assert_eq!(published.delivered, SUBSCRIPTIONS_MAX as u64);
    assert_eq!(world.rows_of(SHARED), 1);
    let writes = world.rows.writes;
    assert!(writes <= 2 * SUBSCRIPTIONS_MAX + 2, "a head and a place in the order each: {writes} rows");
    let last = world.queues["q9999"];
    assert_eq!(world.take_all(last), ["x"]);
    let three = vec![text("1"), text("2"), text("3")];
    let refused = world.publish_all(&topic, three);
    assert!(matches!(refused, Err(Error::LimitExceeded { what: "deliveries of a command", .. })));
}

#[test]
fn who_waits_at_a_queue_is_served_by_a_publication() {
    let mut world = World::new();
    let topic = world.topic("news", TopicConfig::default());
    let queue = world.create("a", Config::default());
    world.subscribe(&topic, "a");
    let token = world.wait(queue, 1, 10_000);
    world.publish(&topic, text("x")).unwrap();
    assert_eq!(world.got(token).expect("served").len(), 1);
}
