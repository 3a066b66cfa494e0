//! Listing messages, and moving those that wait from one queue to another.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::*;

/// All messages, taken slice by slice, with the number of slices.
fn list(world: &mut World, queue: QueueId, states: States, max: u32) -> (Vec<Listed>, usize) {
    let (mut all, mut after, mut slices) = (Vec::new(), 0, 0);
    loop {
        let Reply::Listed { messages, next, .. } =
            world.ask(Command::List { queue, states, after, max, payload_bytes_max: None }).unwrap()
        else {
            panic!("no slice")
        };
        assert!(messages.len() <= max as usize);
        all.extend(messages);
        slices += 1;
        match next {
            Some(next) => after = next,
            None => return (all, slices),
        }
    }
}

fn texts_of(world: &World, listed: &[Listed]) -> Vec<String> {
    listed.iter().map(|listed| String::from_utf8(world.rows.all[&listed.body].clone()).unwrap()).collect()
}

fn ids(world: &mut World, queue: QueueId) -> Vec<u64> {
    list(world, queue, States::ALL, 256).0.into_iter().map(|listed| listed.id).collect()
}

fn move_all(world: &mut World, queue: QueueId, to: QueueId, ids: Vec<u64>) -> Vec<Result<(), Error>> {
    match world.ask(Command::Move { queue, to, ids }).unwrap() {
        Reply::Settled(settled) => settled.into_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_listing_goes_through_all_messages_in_slices_and_by_state() {
    for world in [World::new, World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a", Config::default());
        for n in 0..9 {
            world.send(queue, NewMessage { delay_ms: Some(n % 3 * 10_000), priority: 3, ..message("xyz") }).unwrap();
        }
        world.receive(queue, 1);
        let (all, slices) = list(&mut world, queue, States::ALL, 4);
        assert_eq!((all.len(), slices >= 3), (9, true));
        assert!(all.is_sorted_by_key(|listed| listed.id));
        assert_eq!(list(&mut world, queue, States::default(), 256).0, all, "no state named means all");
        let leased = Listed { state: MessageState::Leased, ..all[0].clone() };
        assert_eq!(all[0], leased);
        assert_eq!((leased.receives, leased.first_received_at), (1, Some(START)));
        assert_eq!(leased.due, Some(weir_core::Time(START.0 + 30_000)));
        let only = |ready, delayed, leased| States { ready, delayed, leased, ..States::default() };
        for (states, count) in [(only(true, false, false), 2), (only(false, true, false), 6), (States::WAITING, 8)] {
            assert_eq!(list(&mut world, queue, states, 2).0.len(), count);
        }
        assert_eq!((all[3].state, all[3].due, all[3].bytes, all[3].priority), (MessageState::Ready, None, 3, 3));
    }
}

#[test]
fn a_long_queue_is_never_walked_through_by_one_command() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    for n in 0..600 {
        world.send(queue, NewMessage { delay_ms: Some(if n == 599 { 5_000 } else { 0 }), ..message("x") }).unwrap();
    }
    let delayed = States { delayed: true, ..States::default() };
    let Reply::Listed { messages, next, .. } =
        world.ask(Command::List { queue, states: delayed, after: 0, max: 256, payload_bytes_max: None }).unwrap()
    else {
        panic!("no slice")
    };
    assert!(messages.is_empty() && next.is_some(), "there are more behind these 256");
    assert_eq!(list(&mut world, queue, delayed, 256).0.len(), 1);
}

#[test]
fn a_moved_message_stays_the_same_and_its_receives_count_anew() {
    for world in [World::cold, World::newborn] {
        let mut world = world();
        let config = Config { redrive: Some(Redrive { target: "dead".into(), receives_max: 2 }), ..Config::default() };
        let dead = world.create("dead", Config::default());
        let [a, b] = ["a", "b"].map(|name| world.create(name, config.clone()));
        world.send(a, message("1")).unwrap();
        world.send(a, NewMessage { delay_ms: Some(100_000), ..message("later") }).unwrap();
        world.receive(a, 1);
        world.after(30_000);
        world.send(b, message("2")).unwrap();
        let waiting = ids(&mut world, a);
        assert_eq!(move_all(&mut world, a, b, waiting.clone()), [Ok(()), Ok(())]);
        assert_eq!([world.counts(a), world.counts(b), world.counts(dead)], [[0, 0, 0], [2, 1, 0], [0, 0, 0]]);
        assert_eq!(ids(&mut world, b)[..2], waiting[..]);
        let got = world.receive(b, 2);
        assert_eq!((got[0].text.as_str(), got[0].delivery.grants, got[0].delivery.sent_at), ("1", 2, START));
        world.after(30_000);
        assert_eq!(world.receive(b, 1)[0].text, "1", "received here once before");
        world.after(30_000);
        assert_eq!(world.texts(b, 9), ["2"]);
        assert_eq!(world.counts(dead), [1, 0, 0]);
        world.after(10_000);
        assert_eq!(world.texts(b, 9), ["later"], "its delay went with it");
    }
}

#[test]
fn only_what_waits_moves_and_only_once() {
    let mut world = World::cold();
    let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
    let fifo = world.create("c.fifo", Config::default());
    for text in ["1", "2"] {
        world.send(a, message(text)).unwrap();
    }
    world.receive(a, 1);
    let all = ids(&mut world, a);
    let answers = [Err(Error::MessageLeased), Ok(()), Err(Error::MessageNotFound), Err(Error::MessageNotFound)];
    assert_eq!(move_all(&mut world, a, b, vec![all[0], all[1], all[1], 999]), answers);
    let refused = |world: &mut World, queue, to, ids| world.ask(Command::Move { queue, to, ids }).unwrap_err();
    assert_eq!(refused(&mut world, a, fifo, vec![1]), Error::KindDiffers);
    assert_eq!(refused(&mut world, a, a, vec![1]), Error::SameQueue);
    assert_eq!(refused(&mut world, a, QueueId(999), vec![1]), Error::QueueNotFound);
    assert!(matches!(refused(&mut world, a, b, vec![1; 257]), Error::LimitExceeded { .. }));
    world.restart();
    assert_eq!([world.counts(a), world.counts(b)], [[0, 0, 1], [1, 0, 0]]);
}

#[test]
fn a_moved_group_keeps_its_order_and_wakes_who_waits() {
    for world in [World::cold, World::newborn] {
        let mut world = world();
        let [a, b] = ["a.fifo", "b.fifo"].map(|name| world.create(name, Config::default()));
        for (text, group) in [("a1", 1), ("a2", 1), ("b1", 2), ("a3", 1), ("a4", 1)] {
            world.send(a, grouped(text, group)).unwrap();
        }
        world.send(b, grouped("a5", 1)).unwrap();
        let all = ids(&mut world, a);
        let waiting = world.wait(b, 9, 20_000);
        assert_eq!(world.got(waiting).unwrap()[0].text, "a5");
        let waiting = world.wait(b, 9, 20_000);
        assert_eq!(move_all(&mut world, a, b, vec![all[0], all[1], all[3]]), [Ok(()), Ok(()), Ok(())]);
        assert!(world.got(waiting).is_none(), "the group's lease holds the others");
        assert_eq!([world.texts(a, 1), world.texts(a, 1)], [["b1"], ["a4"]]);
        world.after(20_000);
        assert!(world.got(waiting).unwrap().is_empty());
        world.after(10_000);
        assert_eq!(world.texts(b, 9), ["a1", "a2", "a3", "a5"]);
    }
}

#[test]
fn a_dead_letter_that_is_moved_back_is_none_any_more() {
    let mut world = World::cold();
    let dead = world.create("dead", Config::default());
    let other = world.create("other", Config::default());
    let config = Config { redrive: Some(Redrive { target: "dead".into(), receives_max: 1 }), ..Config::default() };
    let a = world.create("a", config);
    for text in ["1", "2"] {
        world.send(a, message(text)).unwrap();
    }
    world.receive(a, 1);
    world.receive(a, 1);
    world.after(30_000);
    let (listed, _) = list(&mut world, dead, States::ALL, 256);
    assert_eq!(texts_of(&world, &listed), ["1", "2"]);
    assert!(listed.iter().all(|listed| listed.dead_letter_source.as_deref() == Some("a")));
    move_all(&mut world, dead, a, vec![listed[0].id]);
    move_all(&mut world, dead, other, vec![listed[1].id]);
    assert_eq!(world.receive(a, 1)[0].delivery.dead_letter_source, None);
    assert_eq!(world.receive(other, 1)[0].delivery.dead_letter_source.as_deref(), Some("a"));
}

#[test]
fn retention_is_reckoned_from_the_sending_after_a_move_too() {
    let mut world = World::cold();
    let a = world.create("a", Config::default());
    let b = world.create("b", Config { retention_ms: 60_000, ..Config::default() });
    world.send(a, message("1")).unwrap();
    world.after(50_000);
    world.send(b, message("2")).unwrap();
    let all = ids(&mut world, a);
    move_all(&mut world, a, b, all);
    world.after(10_000);
    assert_eq!(world.texts(b, 9), ["2"]);
}
