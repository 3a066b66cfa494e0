//! Limiters at work: what queues lease under them, who waits, and who is woken.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::Time;
use weir_core::api::limit::*;
use weir_core::api::*;
use weir_core::limiter::{Counts, Reserve, Terms, Unknown, What, Window};

fn starts(max: u32, per_ms: u64) -> Terms {
    Terms { windows: vec![Window { max, per_ms, counts: Counts::Starts }], ..Terms::default() }
}

fn units(max: u32, per_ms: u64) -> Terms {
    Terms { windows: vec![Window { max, per_ms, counts: Counts::Units }], ..Terms::default() }
}

fn at_once(concurrency: u32) -> Terms {
    Terms { concurrency: Some(concurrency), ..Terms::default() }
}

fn put(world: &mut World, name: &str, terms: Terms) -> LimiterId {
    let (namespace, name) = (Namespace(0), name.into());
    match world.ask(Command::PutLimiter { namespace, name, terms, unknown: Unknown::Full }).unwrap() {
        Reply::Limiter { limiter, .. } => limiter.id,
        other => panic!("{other:?}"),
    }
}

fn shared(name: &str) -> LimiterUse {
    LimiterUse { limiter: name.into(), key: None, cost: Some("data:cost".into()) }
}

fn keyed(name: &str) -> LimiterUse {
    LimiterUse { limiter: name.into(), key: Some("data:key".into()), cost: None }
}

fn under(uses: &[LimiterUse]) -> Config {
    Config { limiters: uses.to_vec(), ..Config::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "commands and messages may have none")]
fn key(n: u32) -> Option<LimitKey> {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Some(LimitKey(bytes))
}

fn of_key(text: &str, n: u32) -> NewMessage {
    NewMessage { limits: Some(Box::new(Limits { uses: vec![(key(n), 1)] })), ..message(text) }
}

fn costing(text: &str, cost: u32) -> NewMessage {
    NewMessage { limits: Some(Box::new(Limits { uses: vec![(None, cost)] })), ..message(text) }
}

/// Says that what was got has left.
fn left(world: &mut World, queue: QueueId, got: &[Got]) {
    let handles = got.iter().map(|got| got.handle).collect();
    world.give(Command::Released { queue, handles });
}

/// Receives all that may start, up to `max`: rows that are not in memory end a receive that has something already.
fn receive(world: &mut World, queue: QueueId, max: u32) -> Vec<Got> {
    let mut all = Vec::new();
    while all.len() < max as usize {
        let got = world.receive(queue, max - all.len() as u32);
        if got.is_empty() {
            break;
        }
        all.extend(got);
    }
    all
}

/// Receives, and says that it has left.
fn take(world: &mut World, queue: QueueId, max: u32) -> Vec<Got> {
    let got = receive(world, queue, max);
    left(world, queue, &got);
    got
}

/// What a receive that waited got, and what else there is.
fn all(world: &mut World, queue: QueueId, waiting: Token) -> Vec<Got> {
    let mut got = world.got(waiting).expect("the receive was served");
    got.extend(receive(world, queue, 10));
    got
}

fn texts(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.text.as_str()).collect()
}

fn worlds() -> [fn() -> World; 3] {
    [World::new, World::cold, World::newborn]
}

#[test]
fn a_queue_leases_no_more_than_its_limiter_lets_start_and_goes_on_when_there_is_room() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "mail", starts(2, 1_000));
        let queue = world.create("a", under(&[shared("mail")]));
        for n in 0..6 {
            world.send(queue, message(&n.to_string())).unwrap();
        }
        let got = take(&mut world, queue, 10);
        assert_eq!(texts(&got), ["0", "1"]);
        assert!(got[0].delivery.limited, "its limiter wants to know when it has left");
        assert_eq!(world.counts(queue), [4, 0, 2], "the others are ready, and were not received");
        let waiting = world.wait(queue, 10, 20_000);
        world.after(1_000);
        assert!(world.got(waiting).is_none());
        world.after(1);
        let got = all(&mut world, queue, waiting);
        assert_eq!(texts(&got), ["2", "3"]);
        // Nobody said that these have left, so they fill the window.
        world.after(5_000);
        assert_eq!(take(&mut world, queue, 10).len(), 0);
        left(&mut world, queue, &got);
        world.after(1_000);
        assert_eq!(take(&mut world, queue, 10).len(), 0);
        world.after(1);
        assert_eq!(texts(&take(&mut world, queue, 10)), ["4", "5"]);
    }
}

#[test]
fn without_a_limiter_of_that_name_nothing_is_limited_and_with_its_end_no_more() {
    let mut world = World::cold();
    let queue = world.create("a", under(&[shared("mail")]));
    for n in 0..9 {
        world.send(queue, message(&n.to_string())).unwrap();
    }
    let got = receive(&mut world, queue, 3);
    assert_eq!(got.len(), 3);
    assert!(!got[0].delivery.limited, "nobody wants to know when it has left");
    let limiter = put(&mut world, "mail", starts(1, 60_000));
    assert_eq!(receive(&mut world, queue, 3).len(), 1);
    let waiting = world.wait(queue, 3, 20_000);
    assert!(world.got(waiting).is_none());
    world.ask(Command::DeleteLimiter { limiter }).unwrap();
    assert_eq!(all(&mut world, queue, waiting).len(), 5);
    assert_eq!(world.ask(Command::DeleteLimiter { limiter }), Err(Error::LimiterNotFound));
    world.after(0);
    world.restart();
    assert!(world.engine.limiters().is_empty());
}

#[test]
fn as_many_run_at_once_as_may_and_every_end_of_a_lease_lets_another_start() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "crm", at_once(2));
        let redrive = Some(Redrive { target: "dead".into(), receives_max: 9 });
        world.create("dead", Config::default());
        let queue = world.create("a", Config { redrive, ..under(&[shared("crm")]) });
        for n in 0..20 {
            world.send(queue, message(&n.to_string())).unwrap();
        }
        let mut got = take(&mut world, queue, 10);
        assert_eq!(got.len(), 2);
        let waiting = world.wait(queue, 10, 20_000);
        // Deleted.
        world.delete(queue, got.remove(0).handle).unwrap();
        let mut next = world.got(waiting).expect("a deletion lets another start");
        left(&mut world, queue, &next);
        got.append(&mut next);
        // Released by its holder: it is the first in order again.
        let waiting = world.wait(queue, 10, 20_000);
        world.change(queue, got.remove(0).handle, 0).unwrap();
        let mut next = world.got(waiting).expect("a released lease lets another start");
        assert_eq!(texts(&next), ["1"]);
        got.append(&mut next);
        // Undelivered.
        let waiting = world.wait(queue, 10, 20_000);
        world.give(Command::Return { queue, handles: [got.remove(1).handle].into_iter().collect() });
        let mut next = world.got(waiting).expect("an undelivered message lets another start");
        left(&mut world, queue, &next);
        got.append(&mut next);
        assert_eq!(world.counts(queue)[2], 2);
        // Expired.
        let waiting = world.wait(queue, 10, 60_000);
        world.after(30_000);
        let got = all(&mut world, queue, waiting);
        assert_eq!((got.len(), world.counts(queue)[2]), (2, 2));
        // Purged, and reclaimed.
        let other = world.create("b", under(&[shared("crm")]));
        world.send(other, message("other")).unwrap();
        let waiting = world.wait(other, 10, 60_000);
        assert!(world.got(waiting).is_none());
        world.ask(Command::PurgeQueue { queue }).unwrap();
        world.after(0);
        assert_eq!(texts(&world.got(waiting).expect("a purge lets another start")), ["other"]);
        world.ask(Command::DeleteQueue { queue: other }).unwrap();
        world.after(0);
        world.send(queue, message("x")).unwrap();
        world.send(queue, message("y")).unwrap();
        assert_eq!(receive(&mut world, queue, 9).len(), 2, "the deleted queue holds nothing");
    }
}

#[test]
fn what_comes_later_or_is_less_urgent_never_overtakes_what_costs_more_than_is_free() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "api", units(10, 1_000));
        let queue = world.create("a", under(&[shared("api")]));
        let other = world.create("b", under(&[shared("api")]));
        world.send(queue, costing("four", 4)).unwrap();
        world.send(queue, costing("nine", 9)).unwrap();
        let (first, second) = (world.wait(queue, 1, 60_000), world.wait(queue, 1, 60_000));
        let got = world.got(first).unwrap();
        left(&mut world, queue, &got);
        let later = world.wait(other, 1, 60_000);
        world.send(other, costing("one", 1)).unwrap();
        assert!(world.got(later).is_none(), "six are free, and it came after one that needs nine");
        world.send(other, NewMessage { priority: 5, ..costing("bulk", 1) }).unwrap();
        world.after(1_001);
        let got = world.got(second).expect("its room is there");
        assert_eq!(texts(&got), ["nine"]);
        assert_eq!(texts(&world.got(later).unwrap()), ["one"]);
    }
}

#[test]
fn something_urgent_starts_by_its_reserve_while_others_are_held_back() {
    for world in worlds() {
        let mut world = world();
        let reserves = vec![Reserve { priority_max: 0, share: 50 }];
        put(&mut world, "mail", Terms { reserves, ..starts(4, 60_000) });
        let queue = world.create("a", under(&[shared("mail")]));
        for n in 0..5 {
            world.send(queue, NewMessage { priority: 7, ..message(&format!("bulk{n}")) }).unwrap();
        }
        assert_eq!(receive(&mut world, queue, 10).len(), 2);
        let waiting = world.wait(queue, 10, 20_000);
        assert!(world.got(waiting).is_none());
        world.send(queue, message("urgent")).unwrap();
        assert_eq!(texts(&world.got(waiting).unwrap()), ["urgent"]);
    }
}

#[test]
fn a_throttled_key_holds_no_other_back_and_comes_back_when_it_has_room() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "host", starts(1, 1_000));
        let queue = world.create("a", under(&[keyed("host")]));
        for n in 0..4 {
            world.send(queue, of_key(&format!("slow{n}"), 1)).unwrap();
        }
        for n in 2..5 {
            world.send(queue, of_key(&format!("other{n}"), n)).unwrap();
        }
        let got = take(&mut world, queue, 10);
        assert_eq!(texts(&got), ["slow0", "other2", "other3", "other4"]);
        let waiting = world.wait(queue, 10, 60_000);
        world.restart();
        let waiting_anew = world.wait(queue, 10, 60_000);
        assert!(world.got(waiting).is_none());
        world.after(1_001);
        let got = world.got(waiting_anew).unwrap();
        assert_eq!(texts(&got), ["slow1"]);
        left(&mut world, queue, &got);
        // Those that share the key of those without one.
        world.send(queue, message("none0")).unwrap();
        world.send(queue, message("none1")).unwrap();
        world.send(queue, of_key("five", 5)).unwrap();
        assert_eq!(texts(&take(&mut world, queue, 10)), ["none0", "five"]);
        world.after(2_002);
        let got = take(&mut world, queue, 10);
        assert_eq!(texts(&got), ["slow2", "none1"]);
        world.after(40_000);
        world.after(40_000);
    }
}

#[test]
fn all_limiters_of_a_queue_have_to_let_a_message_start_or_none_is_used() {
    for world in worlds() {
        let mut world = world();
        let all = put(&mut world, "all", starts(10, 60_000));
        let host = put(&mut world, "host", at_once(1));
        let queue = world.create("a", under(&[shared("all"), keyed("host")]));
        let of = |text: &str, n| NewMessage {
            limits: Some(Box::new(Limits { uses: vec![(None, 1), (key(n), 1)] })),
            ..message(text)
        };
        for (text, n) in [("a0", 1), ("a1", 1), ("b0", 2), ("b1", 2)] {
            world.send(queue, of(text, n)).unwrap();
        }
        assert_eq!(texts(&take(&mut world, queue, 10)), ["a0", "b0"]);
        let stats = |world: &mut World, limiter, key| match world.ask(Command::LimiterStats { limiter, key }).unwrap() {
            Reply::KeyStats(stats) => stats,
            other => panic!("{other:?}"),
        };
        let whole = stats(&mut world, all, None);
        assert_eq!((whole.windows, whole.running, whole.blocked), (vec![(2, 10)], 2, None));
        let one = stats(&mut world, host, key(1));
        assert_eq!((one.running, one.blocked.unwrap().by), (1, What::Concurrency));
        assert_eq!(stats(&mut world, host, key(9)).running, 0);
    }
}

#[test]
fn a_group_of_a_fifo_queue_waits_for_its_key_and_the_other_groups_go_on_in_order() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "host", starts(2, 1_000));
        let queue = world.create("a.fifo", under(&[keyed("host")]));
        let of = |text: &str, group, n| NewMessage {
            limits: Some(Box::new(Limits { uses: vec![(key(n), 1)] })),
            ..grouped(text, group)
        };
        for (text, group, n) in [("a0", 1, 1), ("a1", 1, 1), ("a2", 1, 1), ("b0", 2, 1), ("c0", 3, 2), ("c1", 3, 1)] {
            world.send(queue, of(text, group, n)).unwrap();
        }
        let got = take(&mut world, queue, 10);
        assert_eq!(texts(&got), ["a0", "a1", "c0"], "two of key 1; b waits for the key, and c1 behind c0");
        for got in &got {
            world.delete(queue, got.handle).unwrap();
        }
        let waiting = world.wait(queue, 10, 60_000);
        assert!(world.got(waiting).is_none());
        world.after(1_001);
        let got = world.got(waiting).unwrap();
        assert_eq!(texts(&got), ["a2"]);
        left(&mut world, queue, &got);
        assert_eq!(texts(&take(&mut world, queue, 10)), ["b0"]);
        world.after(1_001);
        assert_eq!(texts(&take(&mut world, queue, 10)), ["c1"]);
    }
}

#[test]
fn a_paused_key_starts_nothing_until_it_is_over_or_resumed() {
    for world in worlds() {
        let mut world = world();
        let limiter = put(&mut world, "host", at_once(100));
        let queue = world.create("a", under(&[keyed("host")]));
        let pause = |for_ms| Command::PauseKey { limiter, key: key(1), for_ms };
        world.ask(pause(60_000)).unwrap();
        world.send(queue, of_key("one", 1)).unwrap();
        world.send(queue, of_key("two", 2)).unwrap();
        let waiting = world.wait(queue, 1, 120_000);
        let got = world.got(waiting).unwrap();
        assert_eq!(texts(&got), ["two"]);
        world.delete(queue, got[0].handle).unwrap();
        let waiting = world.wait(queue, 1, 120_000);
        world.after(59_999);
        assert!(world.got(waiting).is_none());
        world.after(1);
        assert_eq!(texts(&world.got(waiting).unwrap()), ["one"]);
        world.ask(pause(60_000)).unwrap();
        world.send(queue, of_key("again", 1)).unwrap();
        let waiting = world.wait(queue, 1, 120_000);
        assert!(world.got(waiting).is_none());
        world.ask(pause(0)).unwrap();
        assert_eq!(texts(&world.got(waiting).unwrap()), ["again"]);
    }
}

#[test]
fn a_change_of_terms_lets_go_on_at_once_what_they_allow() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "host", at_once(1));
        let queue = world.create("a", under(&[keyed("host")]));
        let other = world.create("b", under(&[shared("host")]));
        for n in 0..3 {
            world.send(queue, of_key(&n.to_string(), 1)).unwrap();
            world.send(other, message(&n.to_string())).unwrap();
        }
        assert_eq!((take(&mut world, queue, 9).len(), take(&mut world, other, 9).len()), (1, 1));
        let (one, two) = (world.wait(queue, 9, 120_000), world.wait(other, 9, 120_000));
        put(&mut world, "host", at_once(3));
        world.after(0);
        assert_eq!(texts(&all(&mut world, queue, one)), ["1", "2"]);
        assert_eq!(texts(&all(&mut world, other, two)), ["1", "2"]);
    }
}

#[test]
fn a_queue_that_leaves_its_limiter_goes_on() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "host", at_once(1));
        let queue = world.create("a", under(&[keyed("host")]));
        for n in 0..3 {
            world.send(queue, of_key(&n.to_string(), 1)).unwrap();
        }
        assert_eq!(take(&mut world, queue, 9).len(), 1);
        let waiting = world.wait(queue, 9, 120_000);
        world.configure(queue, Config::default());
        world.after(0);
        assert_eq!(texts(&all(&mut world, queue, waiting)), ["1", "2"]);
    }
}

#[test]
fn after_a_crash_what_may_have_left_counts_from_the_opening() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "mail", starts(2, 10_000));
        let queue = world.create("a", under(&[shared("mail")]));
        for n in 0..6 {
            world.send(queue, message(&n.to_string())).unwrap();
        }
        assert_eq!(receive(&mut world, queue, 10).len(), 2);
        world.now = weir_core::Time(world.now.0 + 5_000);
        world.restart();
        let waiting = world.wait(queue, 10, 20_000);
        world.after(10_000);
        assert!(world.got(waiting).is_none());
        world.after(1);
        assert_eq!(all(&mut world, queue, waiting).len(), 2);
    }
}

#[test]
fn nothing_remains_of_keys_that_have_nothing_to_say() {
    for world in worlds() {
        let mut world = world();
        let limiter = put(&mut world, "host", starts(1, 1_000));
        let queue = world.create("a", under(&[keyed("host")]));
        for n in 0..50 {
            world.send(queue, of_key(&n.to_string(), n % 25)).unwrap();
        }
        let mut count = 0;
        while count < 50 {
            for got in take(&mut world, queue, 10) {
                world.delete(queue, got.handle).unwrap();
                count += 1;
            }
            world.after(300);
            if count % 7 == 0 {
                world.restart();
            }
        }
        world.restart();
        world.after(500_000_000);
        world.restart();
        // The queue, its counters, the limiter and the shard's.
        assert_eq!(world.rows.all.len(), 4, "{:?}", world.rows.all);
        world.ask(Command::DeleteLimiter { limiter }).unwrap();
        world.after(0);
        assert_eq!(world.rows.all.len(), 3, "{:?}", world.rows.all);
    }
}

#[test]
fn lanes_that_wait_when_their_queue_or_limiter_goes_leave_nothing() {
    for world in worlds() {
        let mut world = world();
        let limiter = put(&mut world, "host", at_once(1));
        let queue = world.create("a", under(&[keyed("host")]));
        let other = world.create("b", under(&[keyed("host")]));
        for n in 0..600 {
            world.send(queue, NewMessage { lane: Some(Lane([n as u8; 16])), ..of_key("x", n % 2) }).unwrap();
        }
        world.send(other, of_key("y", 0)).unwrap();
        assert_eq!(take(&mut world, queue, 10).len(), 2);
        let waiting = world.wait(other, 1, 1_000_000);
        world.ask(Command::DeleteQueue { queue }).unwrap();
        world.after(0);
        assert_eq!(texts(&world.got(waiting).expect("the queue that was first in line is gone")), ["y"]);
        for n in 0..600 {
            world.send(other, NewMessage { lane: Some(Lane([n as u8; 16])), ..of_key("x", n % 2) }).unwrap();
        }
        assert_eq!(receive(&mut world, other, 1_000).len(), 1);
        world.ask(Command::DeleteLimiter { limiter }).unwrap();
        world.after(0);
        assert_eq!(receive(&mut world, other, 1_000).len(), 599);
        world.ask(Command::DeleteQueue { queue: other }).unwrap();
        world.after(500_000_000);
        world.restart();
        assert_eq!(world.rows.all.len(), 1, "{:?}", world.rows.all);
    }
}

#[test]
fn programs_outside_take_permits_in_the_order_of_priority_and_arrival() {
    for world in worlds() {
        let mut world = world();
        let limiter = put(&mut world, "crm", at_once(1));
        let queue = world.create("a", under(&[shared("crm")]));
        let acquire =
            |priority, wait_ms| Command::Acquire { limiter, key: None, cost: 1, priority, lease_ms: 10_000, wait_ms };
        let granted = |reply| match reply {
            Ok(Reply::Acquired(Acquired::Granted { permit, .. })) => permit,
            other => panic!("{other:?}"),
        };
        let first = granted(world.ask(acquire(0, 0)));
        world.give(Command::PermitReleased { limiter, permit: first });
        let Ok(Reply::Acquired(Acquired::Blocked(blocked))) = world.ask(acquire(0, 0)) else { panic!("it is taken") };
        assert_eq!(blocked.by, What::Concurrency);
        let third = world.give(acquire(5, 60_000));
        let second = world.give(acquire(1, 60_000));
        let gone = world.give(acquire(0, 60_000));
        let short = world.give(acquire(0, 1_000));
        world.give(Command::Cancel { receive: gone });
        assert!(matches!(world.answer(gone), Some(Ok(Reply::Acquired(Acquired::Blocked(_))))));
        world.send(queue, NewMessage { priority: 3, ..message("between") }).unwrap();
        let between = world.wait(queue, 1, 60_000);
        world.after(1_000);
        assert!(matches!(world.answer(short), Some(Ok(Reply::Acquired(Acquired::Blocked(_))))));
        let settle = |permit| Command::SettlePermit { limiter, permit, cost: None, done: true };
        world.ask(settle(first)).unwrap();
        assert_eq!(world.ask(settle(first)), Err(Error::PermitNotFound));
        granted(world.answer(second).expect("it is more urgent"));
        // It is never settled, and ends by itself.
        world.after(9_999);
        assert!(world.got(between).is_none());
        world.after(1);
        let got = world.got(between).expect("the permit's time is over");
        world.delete(queue, got[0].handle).unwrap();
        granted(world.answer(third).unwrap());
        world.after(10_000);
        world.after(10_000);
        world.restart();
        world.after(500_000_000);
        world.restart();
        // The queue, its counters, the limiter and the shard's.
        assert_eq!(world.rows.all.len(), 4, "{:?}", world.rows.all);
    }
}

#[test]
fn who_waited_for_a_permit_has_it_when_there_is_room_by_the_time_that_his_end_is_noticed() {
    for world in worlds() {
        let mut world = world();
        let limiter = put(&mut world, "crm", at_once(1));
        let acquire =
            |lease_ms, wait_ms| Command::Acquire { limiter, key: None, cost: 1, priority: 0, lease_ms, wait_ms };
        world.ask(acquire(1_000, 0)).unwrap();
        let waits = world.give(acquire(1_000, 500));
        // The machine slept.
        world.now = Time(world.now.0 + 5_000);
        world.after(0);
        let answer = world.answer(waits);
        assert!(matches!(answer, Some(Ok(Reply::Acquired(Acquired::Granted { .. })))), "{answer:?}");
        let waits = world.give(acquire(1_000, 500));
        world.after(500);
        let answer = world.answer(waits);
        assert!(matches!(answer, Some(Ok(Reply::Acquired(Acquired::Blocked(_))))), "{answer:?}");
    }
}

#[test]
fn a_permit_that_cost_less_gives_the_rest_back_before_it_is_done() {
    let mut world = World::cold();
    let limiter = put(&mut world, "llm", units(100, 60_000));
    let acquire = |cost| Command::Acquire { limiter, key: key(3), cost, priority: 0, lease_ms: 10_000, wait_ms: 0 };
    let Ok(Reply::Acquired(Acquired::Granted { permit, .. })) = world.ask(acquire(80)) else { panic!("there is room") };
    assert!(matches!(world.ask(acquire(50)), Ok(Reply::Acquired(Acquired::Blocked(_)))));
    world.ask(Command::SettlePermit { limiter, permit, cost: Some(30), done: false }).unwrap();
    assert!(matches!(world.ask(acquire(50)), Ok(Reply::Acquired(Acquired::Granted { .. }))));
    world.ask(Command::SettlePermit { limiter, permit, cost: Some(20), done: true }).unwrap();
    assert!(matches!(world.ask(acquire(30)), Ok(Reply::Acquired(Acquired::Granted { .. }))));
    assert!(matches!(world.ask(acquire(1)), Ok(Reply::Acquired(Acquired::Blocked(_)))));
}

#[test]
fn a_permit_that_never_left_was_never_there() {
    for world in worlds() {
        let mut world = world();
        let terms = Terms { concurrency: Some(1), ..starts(1, 60_000) };
        let limiter = put(&mut world, "crm", terms);
        let acquire =
            |wait_ms| Command::Acquire { limiter, key: key(1), cost: 1, priority: 0, lease_ms: 10_000, wait_ms };
        let granted = |reply| match reply {
            Some(Ok(Reply::Acquired(Acquired::Granted { permit, .. }))) => permit,
            other => panic!("{other:?}"),
        };
        let lost = granted(Some(world.ask(acquire(0))));
        let waits = world.give(acquire(60_000));
        world.give(Command::PermitReturned { limiter, permit: lost });
        let permit = granted(world.answer(waits));
        let settle = |permit| Command::SettlePermit { limiter, permit, cost: None, done: true };
        assert_eq!(world.ask(settle(lost)), Err(Error::PermitNotFound));
        // One that has left, or is gone, is not taken back.
        world.give(Command::PermitReleased { limiter, permit });
        world.give(Command::PermitReturned { limiter, permit: lost });
        world.give(Command::PermitReturned { limiter, permit });
        let Ok(Reply::Acquired(Acquired::Blocked(blocked))) = world.ask(acquire(0)) else { panic!("it started") };
        assert_eq!(blocked.by, What::Window(0));
        world.after(120_000);
        world.restart();
        assert_eq!(world.rows.all.len(), 2, "the limiter and the shard's: {:?}", world.rows.all);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut world = World::new();
    let limiter = put(&mut world, "a", at_once(1));
    let mut create = |limiters: Vec<LimiterUse>| {
        world.ask(Command::CreateQueue {
            namespace: Namespace(0),
            name: "a".into(),
            kind: Kind::Standard,
            config: under(&limiters),
            tags: Tags::new(),
            seed: [0; 16],
        })
    };
    assert!(matches!(create(vec![shared("a"); 2]), Err(Error::Invalid { field: "limiters", .. })));
    assert!(matches!(create(vec![shared("")]), Err(Error::Invalid { .. })));
    let many = (0..=USES_MAX).map(|n| shared(&n.to_string())).collect();
    assert!(matches!(create(many), Err(Error::LimitExceeded { allowed: 8, found: 9, .. })));
    let acquire = |cost, lease_ms| Command::Acquire { limiter, key: None, cost, priority: 0, lease_ms, wait_ms: 0 };
    assert!(matches!(world.ask(acquire(0, 1)), Err(Error::Invalid { field: "cost", .. })));
    assert!(matches!(world.ask(acquire(1, 0)), Err(Error::Invalid { field: "lease_ms", .. })));
    assert!(matches!(world.ask(acquire(1, PERMIT_MS_MAX + 1)), Err(Error::LimitExceeded { .. })));
    let (namespace, unknown) = (Namespace(0), Unknown::Full);
    let put = |name: &str, terms| Command::PutLimiter { namespace, name: name.into(), terms, unknown };
    assert!(matches!(world.ask(put("", at_once(1))), Err(Error::Invalid { field: "name", .. })));
    assert!(matches!(world.ask(put("a", at_once(0))), Err(Error::LimiterRefused(_))));
}

#[test]
fn a_worker_that_is_asked_to_slow_down_holds_back_its_key_and_counts_no_attempt() {
    use weir_core::api::job::{Hold, JobRef, PauseKeys, Settlement};
    for world in worlds() {
        let mut world = world();
        put(&mut world, "host", at_once(10));
        let queue = world.create("a", under(&[keyed("host")]));
        for (text, n) in [("one", 1), ("again", 1), ("two", 2)] {
            world.send(queue, of_key(text, n)).unwrap();
        }
        let release = |limiter: Option<&str>| Settlement::Release {
            delay_ms: 0,
            pause: Some(PauseKeys { limiter: limiter.map(str::to_owned), for_ms: 10_000 }),
        };
        let got = world.lease(queue, 1).remove(0);
        assert_eq!(world.settle(queue, got.handle, release(Some("other"))), Err(Error::LimiterNotFound));
        world.settle(queue, got.handle, release(None)).unwrap();
        let others = world.lease(queue, 10);
        assert_eq!(texts(&others), ["two"]);
        let Ok(Reply::Explained(why)) = world.ask(Command::Explain { queue, job: JobRef::Id(got.handle.message) })
        else {
            panic!("no answer")
        };
        let until = weir_core::Time(world.now.0 + 10_000);
        let by_limiter = |hold: &Hold| match hold {
            Hold::Limiter { name, key: held, blocked } => {
                (name.as_str(), *held, blocked.by, blocked.until) == ("host", key(1), What::Paused, Some(until))
            }
            _ => false,
        };
        assert!(why.holds.iter().any(by_limiter), "{why:?}");
        world.after(10_000);
        let again = world.lease(queue, 10);
        assert_eq!(texts(&again), ["one", "again"]);
        assert_eq!((again[0].delivery.failures, again[0].delivery.grants), (0, 1));
        // A queue without limiters is paused itself.
        let plain = world.create("b", Config::default());
        world.send(plain, message("x")).unwrap();
        let got = world.lease(plain, 1).remove(0);
        world.settle(plain, got.handle, release(None)).unwrap();
        assert!(world.lease(plain, 1).is_empty());
        world.after(10_000);
        assert_eq!(texts(&world.lease(plain, 1)), ["x"]);
    }
}

#[test]
fn who_waits_no_more_holds_nobody_behind_it_back() {
    for world in worlds() {
        let mut world = world();
        put(&mut world, "api", units(10, 60_000));
        let queue = world.create("a", under(&[shared("api")]));
        let other = world.create("b", under(&[shared("api")]));
        world.send(queue, costing("four", 4)).unwrap();
        world.send(queue, costing("nine", 9)).unwrap();
        world.send(other, costing("one", 1)).unwrap();
        assert_eq!(texts(&take(&mut world, queue, 1)), ["four"]);
        let first = world.wait(queue, 1, 30_000);
        let second = world.wait(other, 1, 30_000);
        world.after(1_000);
        assert!(world.got(second).is_none(), "it came later than one that waits for its room");
        world.give(Command::Cancel { receive: first });
        world.after(0);
        assert_eq!(texts(&world.got(second).expect("nobody stands before it")), ["one"]);
    }
}

#[test]
fn a_pause_of_a_key_is_written_before_it_is_answered() {
    for world in worlds() {
        let mut world = world();
        let limiter = put(&mut world, "host", at_once(10));
        for for_ms in [1_000, 5_000, 0] {
            world.ask(Command::PauseKey { limiter, key: None, for_ms }).unwrap();
            assert!(world.wrote(), "{for_ms}");
            world.engine.flush(&mut world.rows);
        }
    }
}
