//! What a queue is told about itself: dead-letter rules and who may set them, tags, versions.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::*;

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn to(target: &str) -> Redrive {
    Redrive { target: target.into(), receives_max: 3 }
}

fn tag(queue: QueueId, remove: &[&str], add: &[(&str, &str)]) -> Command {
    Command::TagQueue { queue, remove: remove.iter().map(|key| (*key).into()).collect(), add: tags(add), max: 3 }
}

fn public(world: &mut World, queue: QueueId) -> Queue {
    match world.ask(Command::QueueStats { queue }).unwrap() {
        Reply::Stats { queue, .. } => (*queue).clone(),
        other => panic!("{other:?}"),
    }
}

fn sources(world: &mut World, queue: QueueId, after: Option<&str>, max: u32) -> (Vec<String>, bool) {
    match world.ask(Command::DeadLetterSources { queue, after: after.map(Into::into), max }).unwrap() {
        Reply::Queues { queues, more } => (queues.iter().map(|queue| queue.name.clone()).collect(), more),
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_of_tags_that_meet_all_take_effect() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.ask(tag(queue, &[], &[("team", "mail")])).unwrap();
    world.ask(tag(queue, &[], &[("env", "test")])).unwrap();
    world.ask(tag(queue, &["team", "unknown"], &[("env", "live")])).unwrap();
    world.restart();
    assert_eq!(public(&mut world, queue).tags, tags(&[("env", "live")]));
    assert_eq!(public(&mut world, queue).version, 1, "who encoded for the configuration need not do so again");
}

#[test]
fn tags_stay_within_their_bound_and_can_always_be_taken_away() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.ask(tag(queue, &[], &[("a", ""), ("b", ""), ("c", "")])).unwrap();
    let refused = Error::LimitExceeded { what: "tags of a queue", allowed: 3, found: 4 };
    assert_eq!(world.ask(tag(queue, &[], &[("d", "")])), Err(refused));
    world.ask(tag(queue, &["a"], &[("d", "")])).unwrap();
    assert_eq!(public(&mut world, queue).tags, tags(&[("b", ""), ("c", ""), ("d", "")]));
}

#[test]
fn a_queue_that_is_found_keeps_its_tags() {
    let mut world = World::cold();
    let create = |tags| Command::CreateQueue {
        namespace: Namespace(0),
        name: "a".into(),
        kind: Kind::Standard,
        config: Config::default(),
        tags,
        seed: [0; 16],
    };
    world.ask(create(tags(&[("team", "mail")]))).unwrap();
    let Ok(Reply::Queue { queue, created: false }) = world.ask(create(Tags::new())) else { panic!("not found") };
    assert_eq!(queue.tags, tags(&[("team", "mail")]));
}

#[test]
fn of_two_configurations_derived_from_one_the_second_is_refused() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let change =
        |delay_ms| Command::ConfigureQueue { queue, version: 1, config: Config { delay_ms, ..Config::default() } };
    world.ask(change(1)).unwrap();
    assert_eq!(world.ask(change(2)), Err(Error::Stale { version: 2 }));
    assert_eq!(public(&mut world, queue).config.delay_ms, 1);
}

#[test]
fn a_dead_letter_queue_chooses_whose_dead_letters_it_takes() {
    let mut world = World::cold();
    let only_a = RedriveAllow::Queues(vec!["a".into()]);
    let dead = world.create("dead", Config { redrive_allow: only_a.clone(), ..Config::default() });
    let a = world.create("a", Config { redrive: Some(to("dead")), ..Config::default() });
    let b = world.create("b", Config::default());
    world.restart();
    let refused = Err(Error::RedriveNotAllowed { target: "dead".into(), source_queue: "b".into() });
    let configure =
        |redrive| Command::ConfigureQueue { queue: b, version: 1, config: Config { redrive, ..Config::default() } };
    assert_eq!(world.ask(configure(Some(to("dead")))), refused);
    let create = Command::CreateQueue {
        namespace: Namespace(0),
        name: "b2".into(),
        kind: Kind::Standard,
        config: Config { redrive: Some(to("dead")), ..Config::default() },
        tags: Tags::new(),
        seed: [0; 16],
    };
    assert!(matches!(world.ask(create), Err(Error::RedriveNotAllowed { .. })));
    assert_eq!(public(&mut world, dead).config.redrive_allow, only_a);
    world.configure(dead, Config { redrive_allow: RedriveAllow::None, ..Config::default() });
    // A rule that stands is not asked again when something else changes.
    world.configure(a, Config { redrive: Some(to("dead")), delay_ms: 5, ..Config::default() });
    world.configure(dead, Config::default());
    world.ask(configure(Some(to("dead")))).unwrap();
}

#[test]
fn the_sources_of_a_dead_letter_queue_come_by_name_and_in_pages() {
    let mut world = World::cold();
    let dead = world.create("dead", Config::default());
    for name in ["c", "a", "b", "d"] {
        world.create(name, Config { redrive: Some(to("dead")), ..Config::default() });
    }
    let other = world.create("other", Config { redrive: Some(to("elsewhere")), ..Config::default() });
    assert_eq!(sources(&mut world, dead, None, 2), (vec!["a".into(), "b".into()], true));
    assert_eq!(sources(&mut world, dead, Some("b"), 2), (vec!["c".into(), "d".into()], false));
    let [a, b] = ["a", "b"].map(|name| world.queues[name]);
    world.configure(a, Config::default());
    world.ask(Command::DeleteQueue { queue: b }).unwrap();
    world.configure(other, Config { redrive: Some(to("dead")), ..Config::default() });
    for _ in 0..2 {
        assert_eq!(sources(&mut world, dead, None, 9), (vec!["c".into(), "d".into(), "other".into()], false));
        world.restart();
    }
    assert_eq!(sources(&mut world, other, None, 9), (vec![], false));
}
