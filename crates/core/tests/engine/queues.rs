//! The behaviour of queues, through the engine's commands.

use crate::support::*;
use weir_core::api::*;

fn redrive(target: &str, receives_max: u32) -> Config {
    Config { redrive: Some(Redrive { target: target.into(), receives_max }), ..Config::default() }
}

#[test]
fn messages_come_out_in_the_order_in_which_they_were_sent() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    for text in ["1", "2", "3"] {
        world.send(queue, message(text)).unwrap();
    }
    assert_eq!(world.texts(queue, 2), ["1", "2"]);
    assert_eq!(world.counts(queue), [1, 0, 2]);
    assert_eq!(world.texts(queue, 2), ["3"]);
    assert_eq!(world.texts(queue, 2), [""; 0]);
}

#[test]
fn a_receive_takes_no_more_bytes_than_it_asks_for_and_always_one_message() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    for text in ["one", "three", "four", "a long one", "6"] {
        world.send(queue, message(text)).unwrap();
    }
    assert_eq!(world.texts_within(queue, 11), ["one", "three"]);
    assert_eq!(world.texts_within(queue, 0), ["four"]);
    assert_eq!(world.texts_within(queue, 9), ["a long one"]);
    assert_eq!(world.texts_within(queue, 9), ["6"]);
    assert_eq!(world.counts(queue), [0, 0, 5]);
}

#[test]
fn bytes_bound_a_receive_from_a_fifo_queue_within_a_group_and_between_groups() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    for text in ["x1", "x2", "x3", "x4"] {
        world.send(queue, grouped(text, 1)).unwrap();
    }
    world.send(queue, grouped("y1", 2)).unwrap();
    world.send(queue, grouped("z1", 3)).unwrap();
    let handles = world.receive_within(queue, 5);
    assert_eq!(handles.iter().map(|got| got.text.as_str()).collect::<Vec<_>>(), ["x1", "x2"]);
    assert_eq!(world.texts_within(queue, 3), ["y1"], "the next group finds no room");
    assert_eq!(world.texts_within(queue, 3), ["z1"], "and stands where it stood");
    for got in handles {
        world.delete(queue, got.handle).unwrap();
    }
    assert_eq!(world.texts_within(queue, 4), ["x3", "x4"]);
}

#[test]
fn an_urgent_message_overtakes_the_bulk() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    for (text, priority) in [("bulk 1", 5), ("bulk 2", 5), ("soon", 1), ("later", 6)] {
        world.send(queue, NewMessage { priority, ..message(text) }).unwrap();
    }
    assert_eq!(world.texts(queue, 2), ["soon", "bulk 1"]);
    world.send(queue, message("now")).unwrap();
    assert_eq!(world.texts(queue, 9), ["now", "bulk 2", "later"]);
}

#[test]
fn a_message_returns_to_the_queue_when_its_lease_expires() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.send(queue, message("1")).unwrap();
    world.send(queue, message("2")).unwrap();
    assert_eq!(world.receive(queue, 1)[0].delivery.grants, 1);
    world.after(29_999);
    assert_eq!(world.texts(queue, 1), ["2"]);
    assert_eq!(world.texts(queue, 1), [""; 0]);
    world.after(1);
    let again = world.receive(queue, 2);
    assert_eq!((again.len(), again[0].text.as_str(), again[0].delivery.grants), (1, "1", 2));
    assert_eq!(again[0].delivery.first_received_at, START);
}

#[test]
fn an_older_handle_still_deletes_on_a_standard_queue() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.send(queue, message("1")).unwrap();
    let first = world.receive(queue, 1)[0].handle;
    world.after(30_000);
    let second = world.receive(queue, 1)[0].handle;
    assert_eq!(world.change(queue, first, 10_000), Err(Error::NotLeased));
    assert_eq!(world.delete(queue, first), Ok(()));
    assert_eq!(world.delete(queue, second), Ok(()));
    assert_eq!(world.counts(queue), [0, 0, 0]);
    assert_eq!(world.delete(queue, Handle { proof: first.proof ^ 1, ..first }), Err(Error::HandleInvalid));
    assert_eq!(world.change(queue, second, 10_000), Err(Error::MessageNotFound));
}

#[test]
fn a_lease_can_be_extended_and_given_up() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.send(queue, message("1")).unwrap();
    let handle = world.receive(queue, 1)[0].handle;
    world.after(20_000);
    world.change(queue, handle, 30_000).unwrap();
    world.after(29_999);
    assert_eq!(world.texts(queue, 1), [""; 0]);
    let waiting = world.wait(queue, 1, 20_000);
    world.change(queue, handle, 0).unwrap();
    assert_eq!(world.got(waiting).expect("a release wakes the long poll")[0].text, "1");
}

#[test]
fn a_delayed_message_comes_out_when_its_delay_is_over_and_wakes_who_waits() {
    let mut world = World::cold();
    let queue = world.create("a", Config { delay_ms: 5_000, ..Config::default() });
    world.send(queue, message("1")).unwrap();
    world.send(queue, NewMessage { delay_ms: Some(0), ..message("2") }).unwrap();
    assert_eq!(world.counts(queue), [1, 1, 0]);
    assert_eq!(world.texts(queue, 9), ["2"]);
    let waiting = world.wait(queue, 1, 20_000);
    world.after(4_999);
    assert!(world.got(waiting).is_none());
    world.after(1);
    assert_eq!(world.got(waiting).unwrap()[0].text, "1");
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_came() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let tokens = [world.wait(queue, 1, 20_000), world.wait(queue, 1, 5_000), world.wait(queue, 5, 20_000)];
    world.send(queue, message("1")).unwrap();
    assert_eq!(world.got(tokens[0]).unwrap()[0].text, "1");
    world.after(5_000);
    assert!(world.got(tokens[1]).expect("its time is over").is_empty());
    world.send(queue, message("2")).unwrap();
    assert_eq!(world.got(tokens[2]).unwrap()[0].text, "2");
    let cancelled = world.wait(queue, 1, 20_000);
    world.give(Command::Cancel { receive: cancelled });
    world.send(queue, message("3")).unwrap();
    assert!(world.got(cancelled).unwrap().is_empty());
    assert_eq!(world.texts(queue, 1), ["3"]);
}

#[test]
fn a_grant_that_could_not_be_handed_over_costs_no_receive() {
    let mut world = World::cold();
    world.create("dead", Config::default());
    let queue = world.create("a", redrive("dead", 1));
    world.send(queue, message("1")).unwrap();
    let got = world.receive(queue, 1);
    world.give(Command::Return { queue, handles: [got[0].handle].into_iter().collect() });
    let again = world.receive(queue, 1);
    assert_eq!((again[0].text.as_str(), again[0].delivery.grants), ("1", 1));
    assert_ne!(again[0].handle.grant, got[0].handle.grant, "the fence goes on");
}

#[test]
fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let mut world = World::cold();
    let dead = world.create("dead", Config::default());
    let queue = world.create("a", redrive("dead", 2));
    world.send(queue, message("1")).unwrap();
    world.send(queue, message("2")).unwrap();
    for _ in 0..2 {
        assert_eq!(world.texts(queue, 1), ["1"]);
        world.after(30_000);
    }
    assert_eq!(world.counts(queue), [1, 0, 0]);
    let got = world.receive(dead, 2);
    assert_eq!((got.len(), got[0].text.as_str(), got[0].delivery.grants), (1, "1", 3));
    assert_eq!(got[0].delivery.dead_letter_source.as_deref(), Some("a"));
    assert_eq!(got[0].delivery.sent_at, START);
}

#[test]
fn a_redrive_policy_that_comes_later_counts_the_receives_before() {
    let mut world = World::cold();
    let dead = world.create("dead", Config::default());
    let queue = world.create("a", Config::default());
    world.send(queue, message("1")).unwrap();
    world.send(queue, message("2")).unwrap();
    for _ in 0..3 {
        assert_eq!(world.texts(queue, 1), ["1"]);
        world.after(30_000);
    }
    world.configure(queue, redrive("dead", 2));
    assert_eq!(world.texts(queue, 2), ["2"]);
    assert_eq!(world.texts(dead, 2), ["1"]);
}

#[test]
fn very_many_dead_letters_go_slice_by_slice_before_a_receive_is_answered() {
    let mut world = World::new();
    world.create("dead", Config::default());
    let queue = world.create("a", Config::default());
    for n in 0..1_500 {
        world.send(queue, message(&n.to_string())).unwrap();
    }
    assert_eq!(world.receive(queue, 1_000).len() + world.receive(queue, 1_000).len(), 1_500);
    world.after(30_000);
    world.configure(queue, redrive("dead", 1));
    world.send(queue, message("alive")).unwrap();
    let token = world.wait(queue, 1, 0);
    assert!(world.got(token).is_none(), "one command moves a slice");
    let left = world.counts(queue)[0];
    assert!(left > 1, "one command moves a slice, and {left} are left");
    world.after(1);
    let got = world.got(token).expect("the receive is answered once the dead letters are gone");
    assert_eq!((got.len(), got[0].text.as_str()), (1, "alive"));
    assert_eq!(world.counts(queue), [0, 0, 1]);
}

#[test]
fn without_a_dead_letter_queue_a_message_is_delivered_for_ever() {
    let mut world = World::cold();
    let queue = world.create("a", redrive("nowhere", 1));
    world.send(queue, message("1")).unwrap();
    for grants in 1..6 {
        assert_eq!(world.receive(queue, 1)[0].delivery.grants, grants);
        world.after(30_000);
    }
}

#[test]
fn a_group_is_delivered_in_order_and_one_receive_at_a_time() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    for (text, group) in [("a1", 1), ("a2", 1), ("b1", 2), ("a3", 1), ("b2", 2)] {
        world.send(queue, grouped(text, group)).unwrap();
    }
    let first = world.receive(queue, 2);
    assert_eq!([&first[0].text, &first[1].text], ["a1", "a2"]);
    assert_eq!(world.texts(queue, 9), ["b1", "b2"]);
    assert_eq!(world.texts(queue, 9), [""; 0]);
    world.delete(queue, first[0].handle).unwrap();
    assert_eq!(world.texts(queue, 9), [""; 0], "a2 is still out");
    world.delete(queue, first[1].handle).unwrap();
    assert_eq!(world.texts(queue, 9), ["a3"]);
    assert_eq!(world.counts(queue), [0, 0, 3]);
}

#[test]
fn a_released_group_goes_on_where_it_stood() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    for text in ["1", "2", "3"] {
        world.send(queue, grouped(text, 1)).unwrap();
    }
    let got = world.receive(queue, 2);
    world.change(queue, got[0].handle, 0).unwrap();
    assert_eq!(world.texts(queue, 9), [""; 0], "2 is still out, and 1 goes before it");
    world.change(queue, got[1].handle, 0).unwrap();
    let got = world.receive(queue, 9);
    assert_eq!(got.iter().map(|got| got.text.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    world.after(30_000);
    assert_eq!(world.delete(queue, got[0].handle), Err(Error::LeaseExpired));
    assert_eq!(world.texts(queue, 1), ["1"]);
}

#[test]
fn a_delayed_head_holds_its_group_and_no_other() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    world.send(queue, NewMessage { delay_ms: Some(1_000), ..grouped("a1", 1) }).unwrap();
    world.send(queue, grouped("a2", 1)).unwrap();
    world.send(queue, grouped("b1", 2)).unwrap();
    assert_eq!(world.texts(queue, 9), ["b1"]);
    world.after(1_000);
    assert_eq!(world.texts(queue, 9), ["a1", "a2"]);
}

#[test]
fn priority_orders_groups_and_never_messages_within_one() {
    let mut world = World::new();
    let queue = world.create("a.fifo", Config::default());
    for (text, group, priority) in [("a1", 1, 9), ("a2", 1, 0), ("b1", 2, 5), ("c1", 3, 0)] {
        world.send(queue, NewMessage { priority, ..grouped(text, group) }).unwrap();
    }
    assert_eq!(world.texts(queue, 9), ["c1", "b1", "a1", "a2"]);
}

#[test]
fn a_dead_letter_of_a_group_lets_the_next_go() {
    let mut world = World::cold();
    let dead = world.create("dead.fifo", Config::default());
    let queue = world.create("a.fifo", redrive("dead.fifo", 1));
    for text in ["1", "2", "3"] {
        world.send(queue, grouped(text, 1)).unwrap();
    }
    assert_eq!(world.texts(queue, 2), ["1", "2"]);
    world.after(30_000);
    assert_eq!(world.texts(queue, 9), ["3"]);
    assert_eq!(world.texts(dead, 9), ["1", "2"]);
}

#[test]
fn a_group_of_dead_letters_is_passed_over_in_one_receive() {
    let mut world = World::cold();
    let dead = world.create("dead.fifo", Config::default());
    let queue = world.create("a.fifo", Config::default());
    for text in ["1", "2", "3", "4"] {
        world.send(queue, grouped(text, 1)).unwrap();
    }
    assert_eq!(world.texts(queue, 3), ["1", "2", "3"]);
    world.after(30_000);
    world.configure(queue, redrive("dead.fifo", 1));
    assert_eq!(world.texts(queue, 2), ["4"]);
    assert_eq!(world.texts(dead, 9), ["1", "2", "3"]);
}

#[test]
fn a_second_message_with_the_same_deduplication_id_is_answered_with_the_first() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    let one = NewMessage { dedup: Some([3; 16]), uuid: [1; 16], ..grouped("1", 1) };
    let first = world.send(queue, one.clone()).unwrap();
    let got = world.receive(queue, 1);
    world.delete(queue, got[0].handle).unwrap();
    world.after(299_999);
    let again = world.send(queue, NewMessage { uuid: [2; 16], ..one.clone() }).unwrap();
    assert_eq!(again, Sent { duplicate: true, ..first });
    assert_eq!(world.counts(queue), [0, 0, 0]);
    world.after(1);
    assert!(!world.send(queue, one).unwrap().duplicate, "the window is over");
    world.after(900_000);
    let got = world.receive(queue, 1);
    world.delete(queue, got[0].handle).unwrap();
    world.after(900_000);
    world.restart();
    // The queue, its counters and the shard's: the deduplication rows are gone by their buckets.
    assert_eq!(world.rows_left(), 3, "{:?}", world.rows.all);
}

#[test]
fn deduplication_rows_go_though_older_messages_stay() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    world.send(queue, grouped("stays", 1)).unwrap();
    world.restart();
    let before = world.rows.all.len();
    world.send(queue, NewMessage { dedup: Some([3; 16]), ..grouped("goes", 2) }).unwrap();
    world.receive(queue, 1);
    let got = world.receive(queue, 1);
    world.delete(queue, got[0].handle).unwrap();
    world.after(900_000);
    world.restart();
    assert_eq!(world.rows.all.len(), before);
}

#[test]
fn a_purge_takes_everything_and_what_it_leaves_is_reclaimed() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    for n in 0..600 {
        world.send(queue, NewMessage { delay_ms: Some(n % 2 * 60_000), ..message("x") }).unwrap();
    }
    let got = world.receive(queue, 1);
    world.ask(Command::PurgeQueue { queue }).unwrap();
    assert_eq!(world.counts(queue), [0, 0, 0]);
    world.send(queue, message("after")).unwrap();
    assert_eq!(world.delete(queue, got[0].handle), Ok(()));
    assert_eq!(world.change(queue, got[0].handle, 5), Err(Error::MessageNotFound));
    world.after(0);
    assert_eq!(world.texts(queue, 9), ["after"]);
    world.restart();
    // Queue, counters, the shard's counters; head, body and due row of the one message.
    assert_eq!(world.rows_left(), 6, "{:?}", world.rows.all);
    assert_eq!(world.counts(queue), [0, 0, 1]);
}

#[test]
fn a_deleted_queue_is_gone_with_its_receivers() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let waiting = world.wait(queue, 1, 20_000);
    world.ask(Command::DeleteQueue { queue }).unwrap();
    assert_eq!(world.answer(waiting), Some(Err(Error::QueueNotFound)));
    assert_eq!(world.ask(Command::QueueStats { queue }), Err(Error::QueueNotFound));
    assert_ne!(world.create("a", Config::default()), queue);
}

#[test]
fn retention_ends_a_message_whatever_its_standing() {
    let mut world = World::cold();
    let config = |retention_ms| Config { retention_ms, visibility_ms: 40_000_000, ..Config::default() };
    let queue = world.create("a", config(100_000));
    world.send(queue, message("leased")).unwrap();
    world.receive(queue, 1);
    world.send(queue, NewMessage { delay_ms: Some(500_000), ..message("delayed") }).unwrap();
    world.after(50_000);
    world.send(queue, message("younger")).unwrap();
    world.after(50_000);
    assert_eq!(world.counts(queue), [1, 0, 0]);
    world.configure(queue, config(10_000));
    world.after(0);
    assert_eq!(world.counts(queue), [0, 0, 0]);
}

#[test]
fn a_dead_letter_keeps_the_time_of_its_sending_for_its_retention() {
    let mut world = World::cold();
    let dead = world.create("dead", Config { retention_ms: 60_000, ..Config::default() });
    let queue = world.create("a", redrive("dead", 1));
    world.send(queue, message("1")).unwrap();
    world.receive(queue, 1);
    world.after(30_000);
    world.send(dead, message("own")).unwrap();
    assert_eq!(world.counts(dead), [2, 0, 0]);
    world.after(30_000);
    assert_eq!(world.texts(dead, 9), ["own"]);
}

#[test]
fn creating_a_queue_again_finds_it_or_names_what_differs() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    assert_eq!(world.create("a", Config::default()), queue);
    let other = Command::CreateQueue {
        namespace: Namespace(0),
        name: "a".into(),
        kind: Kind::Standard,
        config: Config { delay_ms: 1, ..Config::default() },
        tags: Tags::new(),
        seed: [0; 16],
    };
    assert_eq!(world.ask(other), Err(Error::QueueExists { field: "delay".into() }));
    let stale = Command::Send { queue, version: 9, messages: [message("x")].into_iter().collect() };
    assert_eq!(world.ask(stale), Err(Error::Stale { version: 1 }));
}

#[test]
fn a_restart_finds_everything_where_it_stood() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    for (text, group) in [("a1", 1), ("a2", 1), ("b1", 2)] {
        world.send(queue, grouped(text, group)).unwrap();
    }
    let got = world.receive(queue, 1);
    world.restart();
    assert_eq!(world.counts(queue), [2, 0, 1]);
    assert_eq!(world.texts(queue, 9), ["b1"]);
    world.delete(queue, got[0].handle).unwrap();
    assert_eq!(world.texts(queue, 9), ["a2"]);
    world.after(30_000);
    assert_eq!(world.counts(queue), [2, 0, 0]);
}

#[test]
fn a_message_on_a_fifo_queue_needs_a_group() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    assert_eq!(world.send(queue, message("1")), Err(Error::LaneRequired));
    assert_eq!(world.counts(queue), [0, 0, 0]);
}

#[test]
fn a_handle_given_twice_in_one_command_counts_once() {
    let mut world = World::newborn();
    world.create("dead.fifo", Config::default());
    let queue = world.create("a.fifo", redrive("dead.fifo", 1));
    for text in ["1", "2", "3"] {
        world.send(queue, grouped(text, 1)).unwrap();
    }
    let got = world.receive(queue, 3);
    let [first, second] = [got[0].handle, got[1].handle];
    let deletion = Command::Delete { queue, handles: [first, first, second].into_iter().collect() };
    assert_eq!(world.ask(deletion), Ok(Reply::Settled([Ok(()), Ok(()), Ok(())].into_iter().collect())));
    assert_eq!(world.counts(queue), [0, 0, 1]);
    let third = got[2].handle;
    let release = Command::ChangeVisibility { queue, changes: [(third, 0), (third, 0)].into_iter().collect() };
    let settled = [Ok(()), Err(Error::MessageNotFound)];
    assert_eq!(world.ask(release), Ok(Reply::Settled(settled.into_iter().collect())));
}

#[test]
fn receivers_of_cold_groups_do_not_wait_for_rows_one_after_the_other() {
    let mut world = World::cold();
    let queue = world.create("a.fifo", Config::default());
    for group in 0..8 {
        for n in 0..2 {
            world.send(queue, grouped(&format!("{group}.{n}"), group)).unwrap();
        }
    }
    let alone = {
        let before = world.rounds;
        assert_eq!(world.texts(queue, 1), ["0.0"]);
        world.rounds - before
    };
    // What the first one has loaded serves the others, for rows stay as long as one command lasts.
    let before = world.rounds;
    let got = world.receive(queue, 7);
    assert_eq!(got.len(), 7, "a receive stops where rows are missing");
    assert_eq!(world.rounds - before, alone, "rounds of loading");
}
