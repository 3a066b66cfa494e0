//! What a topic keeps to be replayed, and what a paused subscription holds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "names of FIFO queues are case-sensitive")]
#![allow(clippy::cast_possible_truncation, reason = "numbers are small here")]

use std::sync::Arc;

use crate::support::*;
use weir_core::Time;
use weir_core::api::topic::*;
use weir_core::api::*;

const BODY: u8 = 20;
const SHARED: u8 = 39;
const ARCHIVE: u8 = 40;
const REPLAY: u8 = 41;
const DAY_MS: u64 = 86_400_000;

impl World {
    fn topic_with_archive(&mut self, name: &str, archive_ms: Option<u64>) -> Arc<Topic> {
        let kind = if name.ends_with(".fifo") { Kind::Fifo } else { Kind::Standard };
        let (namespace, name) = (Namespace(0), name.to_owned());
        let config = TopicConfig { archive_ms, ..TopicConfig::default() };
        match self.ask(Command::CreateTopic { namespace, name, kind, config, tags: Tags::new(), seed: [3; 16] }) {
            Ok(Reply::Topic { topic, .. }) => topic,
            other => panic!("{other:?}"),
        }
    }

    fn subscribe_next(&mut self, topic: &Topic, endpoint: Endpoint) -> Arc<Subscription> {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&(self.engine.subscriptions().len() as u64).to_be_bytes());
        let config = SubscriptionConfig::default();
        let new = NewSubscription { uuid, endpoint, owner: String::new(), config, confirm: None };
        let (subscription, queue) = (Box::new(new), Box::new(Config::default()));
        match self.ask(Command::Subscribe { topic: topic.id, subscription, queue, seed: [4; 16] }).unwrap() {
            Reply::Subscription { subscription, .. } => subscription,
            other => panic!("{other:?}"),
        }
    }

    fn feed(&mut self, topic: &Topic, queue: &str) -> SubscriptionId {
        self.subscribe_next(topic, Endpoint::Queue(queue.to_owned())).id
    }

    /// Publishes to all subscriptions of the topic, in group 1.
    fn publish_text(&mut self, topic: &Topic, body: &str) -> Published {
        let all = self.engine.subscriptions().into_iter().filter(|subscription| subscription.topic == topic.id);
        let targets = all.map(|subscription| Target::new(subscription.id)).collect();
        let mut payload = body.as_bytes().to_vec();
        if !body.starts_with("short") {
            payload.resize(200, b'.');
        }
        let bytes = payload.len() as u64;
        let lane = Some(Lane([1; 16]));
        let publication = Publication { uuid: [8; 16], payload, bytes, lane, targets, ..Publication::default() };
        let topics = self.engine.topics();
        let revision = topics.iter().find(|known| known.id == topic.id).expect("the topic").revision;
        match self.ask(Command::Publish { topic: topic.id, revision, publications: vec![publication] }).unwrap() {
            Reply::Published(mut published) => published.remove(0).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn known(&self, id: SubscriptionId) -> Arc<Subscription> {
        self.engine.subscriptions().into_iter().find(|known| known.id == id).expect("the subscription")
    }

    fn pause(&mut self, id: SubscriptionId, paused: bool) -> Result<Arc<Subscription>, Error> {
        match self.ask(Command::PauseSubscription { subscription: id, paused, seed: [6; 16] })? {
            Reply::Subscription { subscription, .. } => Ok(subscription),
            other => panic!("{other:?}"),
        }
    }

    fn archived(
        &mut self,
        topic: &Topic,
        (from, until): (Time, Time),
        after: Option<ArchiveMark>,
    ) -> (Vec<Archived>, Option<ArchiveMark>) {
        let (max, payload_bytes_max) = (3, Some(u64::MAX));
        match self.ask(Command::ListArchive { topic: topic.id, from, until, after, max, payload_bytes_max }).unwrap() {
            Reply::Archive { publications, next, .. } => (publications, next),
            other => panic!("{other:?}"),
        }
    }

    fn start_replay(&mut self, subscription: SubscriptionId, from: Time, until: Time) -> Result<Replay, Error> {
        match self.ask(Command::StartReplay { subscription, from, until })? {
            Reply::Replay(replay) => Ok(replay),
            other => panic!("{other:?}"),
        }
    }

    /// Does one step of a replay as a door does, with a filter.
    fn step(&mut self, topic: &Topic, replay: &Replay, lets: fn(&str) -> bool) -> Result<Replay, Error> {
        let (page, next) = self.archived(topic, (replay.from, replay.until), replay.after);
        let text = |world: &World, one: &Archived| String::from_utf8(world.rows.all[&one.body].clone()).unwrap();
        let chosen = page.iter().filter(|one| lets(&text(self, one)));
        let deliver: Vec<_> = chosen.map(|one| Replayed { mark: one.mark, limits: None }).collect();
        let passed = (page.len() - deliver.len()) as u64;
        let version = self.known(replay.subscription).version;
        let step = Command::ReplayStep { replay: replay.id, after: replay.after, next, version, passed, deliver };
        match self.ask(step)? {
            Reply::Replay(replay) => Ok(replay),
            other => panic!("{other:?}"),
        }
    }

    fn replay_all(&mut self, topic: &Topic, mut replay: Replay, lets: fn(&str) -> bool) -> Replay {
        while replay.status == ReplayStatus::Running {
            replay = self.step(topic, &replay, lets).unwrap();
        }
        replay
    }
}

#[test]
fn an_archive_is_replayed_to_who_comes_later_as_its_filter_says() {
    for mut world in worlds() {
        let topic = world.topic_with_archive("news.fifo", Some(DAY_MS));
        let mut times = Vec::new();
        for n in 0..8 {
            world.after(1_000);
            times.push(world.now);
            world.publish_text(&topic, &format!("{} {n}", if n % 2 == 0 { "even" } else { "short odd" }));
        }
        assert_eq!((world.rows_of(ARCHIVE), world.rows_of(BODY), world.rows_of(SHARED)), (8, 8, 0));
        let late = world.create("late.fifo", Config::default());
        let subscription = world.feed(&topic, "late.fifo");
        let replay = world.start_replay(subscription, times[1], times[7]).unwrap();
        let active = Err(Error::ReplayActive { replay: replay.id });
        assert_eq!(world.start_replay(subscription, times[1], times[7]).map(|_| ()), active);
        let first = world.step(&topic, &replay, |text| text.starts_with("even")).unwrap();
        assert_eq!((first.replayed, first.passed, first.status), (1, 2, ReplayStatus::Running));
        // A step that was done already is not done again, and after a crash it goes on from there.
        assert_eq!(world.step(&topic, &replay, |_| true), Err(Error::ReplayMoved));
        world.restart();
        assert_eq!(world.engine.running_replays(), [first]);
        let done = world.replay_all(&topic, first, |text| text.starts_with("even"));
        assert_eq!((done.replayed, done.passed, done.status), (3, 3, ReplayStatus::Completed));
        assert_eq!(world.step(&topic, &done, |_| true), Err(Error::ReplayEnded));
        let listed = world.ask(Command::Replays { subscription }).unwrap();
        assert_eq!(listed, Reply::Replays(vec![done]));
        let got = world.receive(late, 1);
        assert!(got[0].delivery.origin.unwrap().replayed);
        world.change(late, got[0].handle, 0).unwrap();
        assert_eq!(world.take_all(late), ["even 2", "even 4", "even 6"]);
        let Ok(Reply::SubscriptionStats { counters, .. }) = world.ask(Command::SubscriptionStats { subscription })
        else {
            panic!("no counters");
        };
        assert_eq!((counters.delivered, counters.filtered, counters.failed), (3, 0, 0));
        // The archive has its part in the payloads, and lets go of all when their time is over.
        assert_eq!((world.rows_of(ARCHIVE), world.rows_of(BODY), world.rows_of(SHARED)), (8, 8, 3));
        world.after(DAY_MS - 7_000);
        assert_eq!(world.rows_of(ARCHIVE), 7);
        world.after(7_000);
        world.reclaim();
        assert_eq!([ARCHIVE, BODY, SHARED].map(|kind| world.rows_of(kind)), [0; 3]);
    }
}

#[test]
fn what_is_delivered_outlives_the_archive_and_the_other_way_round() {
    for mut world in worlds() {
        let topic = world.topic_with_archive("news", Some(60_000));
        let queue = world.create("a", Config::default());
        let subscription = world.feed(&topic, "a");
        for body in ["one", "short two", "three", "short four"] {
            world.publish_text(&topic, body);
        }
        let from = world.now;
        assert_eq!(world.take_all(queue).len(), 4);
        assert_eq!([ARCHIVE, BODY].map(|kind| world.rows_of(kind)), [4, 4]);
        let replay = world.start_replay(subscription, from, Time::NEVER).unwrap();
        world.replay_all(&topic, replay, |_| true);
        world.after(120_000);
        world.reclaim();
        assert_eq!([ARCHIVE, BODY, SHARED].map(|kind| world.rows_of(kind)), [0, 4, 4]);
        assert_eq!(world.take_all(queue), ["one", "short two", "three", "short four"]);
        assert_eq!([ARCHIVE, BODY, SHARED].map(|kind| world.rows_of(kind)), [0; 3]);
    }
}

#[test]
fn a_long_archive_goes_in_slices_with_its_topic_or_when_it_is_kept_no_more() {
    for is_deleted in [false, true] {
        for mut world in worlds() {
            let topic = world.topic_with_archive("news", Some(DAY_MS));
            world.create("a", Config::default());
            let subscription = world.feed(&topic, "a");
            for n in 0..600 {
                world.publish_text(&topic, &format!("{n}"));
            }
            let now = world.now;
            let replay = world.start_replay(subscription, Time(0), now).unwrap();
            world.ask(Command::CancelReplay { replay: replay.id }).unwrap();
            let queue = world.queues["a"];
            world.ask(Command::PurgeQueue { queue }).unwrap();
            if is_deleted {
                world.ask(Command::DeleteTopic { topic: topic.id }).unwrap();
            } else {
                let config = TopicConfig::default();
                world.ask(Command::ConfigureTopic { topic: topic.id, version: 1, config }).unwrap();
                let refused = world.start_replay(subscription, Time(0), now);
                assert_eq!(refused.map(|_| ()), Err(Error::NoArchive));
            }
            world.restart();
            world.reclaim();
            assert_eq!([ARCHIVE, BODY, SHARED].map(|kind| world.rows_of(kind)), [0; 3], "deleted: {is_deleted}");
            assert_eq!(world.rows_of(REPLAY), usize::from(!is_deleted));
        }
    }
}

#[test]
fn a_paused_subscription_holds_what_comes_and_lets_it_follow() {
    for kind in ["", ".fifo"] {
        for mut world in worlds() {
            let topic = world.topic_with_archive(&format!("news{kind}"), None);
            let name = format!("a{kind}");
            let queue = world.create(&name, Config::default());
            let id = world.feed(&topic, &name);
            world.publish_text(&topic, "0");
            let held = world.pause(id, true).unwrap().held.expect("a queue that holds");
            for n in 1..600 {
                world.publish_text(&topic, &format!("{n}"));
            }
            assert_eq!(world.counts(queue), [1, 0, 0]);
            world.after(10_000);
            world.restart();
            assert_eq!(world.counts(held), [599, 0, 0]);
            assert!(world.receive(held, 1).is_empty(), "what is held is given to nobody");
            assert_eq!(world.ask(Command::DeleteQueue { queue: held }), Err(Error::QueueOwned));
            assert!(!world.pause(id, false).unwrap().paused);
            world.publish_text(&topic, "600");
            world.restart();
            world.reclaim();
            assert_eq!((world.known(id).paused, world.known(id).held), (false, None));
            world.publish_text(&topic, "601");
            let got = world.take_all(queue);
            if kind.is_empty() {
                assert_eq!(got.len(), 602);
            } else {
                let in_order: Vec<_> = (0..602).map(|n| n.to_string()).collect();
                assert_eq!(got, in_order, "nothing overtakes");
            }
            assert_eq!(world.ask(Command::QueueStats { queue: held }), Err(Error::QueueNotFound));
            assert_eq!([BODY, SHARED].map(|kind| world.rows_of(kind)), [0; 2]);
        }
    }
}

#[test]
fn what_is_held_for_a_queue_that_is_gone_waits_for_it() {
    for mut world in worlds() {
        let topic = world.topic_with_archive("news", None);
        let queue = world.create("a", Config::default());
        let id = world.feed(&topic, "a");
        world.pause(id, true).unwrap();
        world.publish_text(&topic, "x");
        world.ask(Command::DeleteQueue { queue }).unwrap();
        assert_eq!(world.pause(id, false).map(|_| ()), Err(Error::QueueNotFound));
        assert!(world.known(id).paused);
        let again = world.create("a", Config::default());
        world.pause(id, false).unwrap();
        // Paused again before anything could follow.
        world.pause(id, true).unwrap();
        world.reclaim();
        assert!(world.known(id).paused);
        world.pause(id, false).unwrap();
        world.reclaim();
        assert_eq!(world.take_all(again), ["x"]);
        assert_eq!(world.known(id).held, None);
        // With the end of the subscription goes what it holds.
        world.pause(id, true).unwrap();
        world.publish_text(&topic, "y");
        world.ask(Command::Unsubscribe { subscription: id }).unwrap();
        world.reclaim();
        assert_eq!([BODY, SHARED].map(|kind| world.rows_of(kind)), [0; 2]);
    }
}

#[test]
fn a_paused_subscription_to_a_url_keeps_its_own_queue_from_being_worked() {
    let mut world = World::new();
    let topic = world.topic_with_archive("news", None);
    let subscription = world.subscribe_next(&topic, Endpoint::Url("https://example.com".to_owned()));
    let queue = subscription.queue.unwrap();
    assert_eq!(world.pause(subscription.id, true).unwrap().held, None);
    world.publish_text(&topic, "x");
    assert!(world.lease(queue, 1).is_empty());
    world.restart();
    assert!(world.lease(queue, 1).is_empty());
    world.pause(subscription.id, false).unwrap();
    assert_eq!(world.lease(queue, 1).len(), 1);
}
