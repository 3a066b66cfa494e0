//! Pausing queues.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::Time;
use weir_core::api::*;

fn pause(world: &mut World, queue: QueueId, for_ms: u64) -> Option<Time> {
    match world.ask(Command::PauseQueue { queue, for_ms }).unwrap() {
        Reply::Queue { queue, created: false } => queue.paused_until,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_paused_queue_gives_nothing_until_it_is_resumed_and_what_is_leased_goes_on() {
    for (world, name) in [(World::cold(), "a"), (World::newborn(), "a.fifo")] {
        let mut world = world;
        let queue = world.create(name, Config::default());
        for group in [1, 2] {
            world.send(queue, grouped("x", group)).unwrap();
        }
        let leased = world.receive(queue, 1);
        assert_eq!(pause(&mut world, queue, u64::MAX), Some(Time::NEVER));
        assert!(world.receive(queue, 1).is_empty());
        world.delete(queue, leased[0].handle).unwrap();
        let waiting = world.wait(queue, 1, 20_000);
        world.after(5_000);
        world.restart();
        assert!(world.receive(queue, 1).is_empty(), "a pause survives a restart");
        assert!(world.got(waiting).is_none());
        let waiting = world.wait(queue, 1, 20_000);
        assert_eq!(pause(&mut world, queue, 0), None);
        assert_eq!(world.got(waiting).expect("who waits is served when the queue is resumed").len(), 1);
    }
}

#[test]
fn a_pause_ends_by_itself_at_its_time_and_not_before() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.send(queue, message("1")).unwrap();
    assert_eq!(pause(&mut world, queue, 9_000), Some(Time(START.0 + 9_000)));
    assert_eq!(pause(&mut world, queue, 6_000), Some(Time(START.0 + 6_000)), "the last word counts");
    world.restart();
    let waiting = world.wait(queue, 1, 20_000);
    world.after(5_999);
    assert!(world.got(waiting).is_none());
    world.after(1);
    assert_eq!(world.got(waiting).unwrap()[0].text, "1");
    world.send(queue, message("2")).unwrap();
    world.after(3_000);
    assert_eq!(world.texts(queue, 1), ["2"], "and the first pause is forgotten");
}

#[test]
fn a_queue_that_is_deleted_while_paused_leaves_nothing_behind() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    pause(&mut world, queue, 5_000);
    world.ask(Command::DeleteQueue { queue }).unwrap();
    world.after(10_000);
    assert_eq!(world.engine.next_deadline(), Time::NEVER);
    assert_eq!(world.ask(Command::PauseQueue { queue, for_ms: 0 }).unwrap_err(), Error::QueueNotFound);
}
