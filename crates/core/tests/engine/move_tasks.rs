//! Moves of all messages of a queue in the background.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::*;

fn to_dead(target: &str) -> Config {
    Config { redrive: Some(Redrive { target: target.into(), receives_max: 1 }), ..Config::default() }
}

fn start(world: &mut World, queue: QueueId, to: Option<QueueId>, per_second: Option<u32>) -> MoveId {
    match world.ask(Command::StartMove { queue, to, per_second }).unwrap() {
        Reply::MoveTask(task) => task.id,
        other => panic!("{other:?}"),
    }
}

fn moves(world: &mut World, queue: QueueId) -> Vec<MoveTask> {
    match world.ask(Command::MoveTasks { queue }).unwrap() {
        Reply::MoveTasks(tasks) => tasks,
        other => panic!("{other:?}"),
    }
}

/// Sends so many messages to a queue and lets them become dead letters.
fn fail(world: &mut World, queue: QueueId, count: u32) {
    for n in 0..count {
        world.send(queue, NewMessage { lane: Some(Lane([(n % 3) as u8; 16])), ..message(&n.to_string()) }).unwrap();
    }
    while !world.receive(queue, 10).is_empty() {}
    world.after(30_000);
    // On a FIFO queue a group comes batch after batch.
    while !world.receive(queue, 10).is_empty() {
        world.after(30_000);
    }
}

#[test]
fn dead_letters_go_back_to_where_they_came_from() {
    for (world, suffix) in [
        (World::cold as fn() -> World, ""),
        (World::newborn, ""),
        (World::new, ""),
        (World::cold, ".fifo"),
        (World::newborn, ".fifo"),
    ] {
        let mut world = world();
        let name = |name: &str| format!("{name}{suffix}");
        let dead = world.create(&name("dead"), Config::default());
        let [a, b] = ["a", "b"].map(|queue| world.create(&name(queue), to_dead(&name("dead"))));
        fail(&mut world, a, 7);
        fail(&mut world, b, 5);
        assert_eq!(world.counts(dead), [12, 0, 0]);
        start(&mut world, dead, None, None);
        world.after(1_000);
        assert_eq!([world.counts(dead), world.counts(a), world.counts(b)], [[0, 0, 0], [7, 0, 0], [5, 0, 0]]);
        let task = moves(&mut world, dead).remove(0);
        assert_eq!((task.status, task.moved, task.total, task.left), (MoveStatus::Completed, 12, 12, 0));
        assert_eq!(task.failure, None);
        let got = world.receive(a, 1).remove(0);
        assert_eq!((got.text.as_str(), got.delivery.dead_letter_source), ("0", None));
        world.restart();
        assert_eq!(moves(&mut world, dead), [task]);
    }
}

#[test]
fn a_message_that_has_nowhere_to_go_stays_and_says_why() {
    let mut world = World::cold();
    let dead = world.create("dead", Config::default());
    let [a, b] = ["a", "b"].map(|name| world.create(name, to_dead("dead")));
    fail(&mut world, a, 1);
    fail(&mut world, b, 1);
    world.send(dead, message("its own")).unwrap();
    world.ask(Command::DeleteQueue { queue: a }).unwrap();
    start(&mut world, dead, None, None);
    world.after(0);
    let task = moves(&mut world, dead).remove(0);
    assert_eq!((task.status, task.moved, task.left), (MoveStatus::Failed, 1, 2));
    assert_eq!(task.failure, Some(MoveFailure::SourceGone("a".into())));
    assert_eq!([world.counts(dead), world.counts(b)], [[2, 0, 0], [1, 0, 0]]);
}

#[test]
fn a_move_keeps_its_pace_over_restarts() {
    let mut world = World::new();
    let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
    for _ in 0..300 {
        world.send(a, message("x")).unwrap();
    }
    start(&mut world, a, Some(b), Some(30));
    let mut before = vec![0; 20];
    for step in 0..200 {
        world.after(50);
        if step % 17 == 0 {
            world.restart();
        }
        let moved = world.counts(b)[0];
        assert!(moved - before[before.len() - 19] <= 30, "within 950 ms");
        before.push(moved);
    }
    assert!(before[before.len() - 1] > 280, "{before:?}");
    world.after(2_000);
    assert_eq!(moves(&mut world, a)[0].status, MoveStatus::Completed);
    assert_eq!(world.engine.next_deadline().0 - world.now.0, 345_588_000, "only retention is left to do");
}

#[test]
fn one_move_runs_at_a_time_and_can_be_cancelled() {
    let mut world = World::cold();
    let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
    for _ in 0..5 {
        world.send(a, message("x")).unwrap();
    }
    let first = start(&mut world, a, Some(b), Some(1));
    world.after(2_500);
    let again = Command::StartMove { queue: a, to: Some(b), per_second: None };
    assert_eq!(world.ask(again.clone()), Err(Error::MoveActive { task: first }));
    let Ok(Reply::MoveTask(task)) = world.ask(Command::CancelMove { task: first }) else { panic!("not cancelled") };
    assert_eq!((task.status, task.moved, task.total), (MoveStatus::Cancelled, 3, 5));
    assert_eq!(world.ask(Command::CancelMove { task: first }), Err(Error::MoveEnded));
    assert_eq!(world.ask(Command::CancelMove { task: MoveId(9_999) }), Err(Error::MoveNotFound));
    world.after(10_000);
    assert_eq!([world.counts(a), world.counts(b)], [[2, 0, 0], [3, 0, 0]]);
    world.ask(again).unwrap();
    world.after(0);
    let tasks = moves(&mut world, a);
    assert_eq!((tasks.len(), tasks[0].status, tasks[1].id), (2, MoveStatus::Completed, first), "newest first");
}

#[test]
fn ten_ended_moves_are_kept_and_go_with_their_queue() {
    let mut world = World::cold();
    let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
    world.restart();
    let rows = world.rows.all.len();
    for _ in 0..13 {
        start(&mut world, a, Some(b), None);
        world.after(0);
    }
    assert_eq!(moves(&mut world, a).len(), MOVES_KEPT);
    assert_eq!(world.rows.all.len(), rows + MOVES_KEPT);
    world.ask(Command::DeleteQueue { queue: a }).unwrap();
    world.after(0);
    assert_eq!(world.rows.all.len(), rows - 2);
    assert_eq!(world.ask(Command::MoveTasks { queue: a }), Err(Error::QueueNotFound));
}

#[test]
fn what_is_leased_or_comes_later_stays_and_delays_go_along() {
    let mut world = World::cold();
    let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
    world.send(a, message("leased")).unwrap();
    world.receive(a, 1);
    world.send(a, NewMessage { delay_ms: Some(60_000), ..message("delayed") }).unwrap();
    world.send(a, message("ready")).unwrap();
    start(&mut world, a, Some(b), Some(1));
    world.send(a, message("later")).unwrap();
    world.after(5_000);
    assert_eq!([world.counts(a), world.counts(b)], [[1, 0, 1], [1, 1, 0]]);
    assert_eq!(moves(&mut world, a)[0].moved, 2);
}

#[test]
fn a_move_whose_target_goes_fails_and_says_so() {
    let mut world = World::cold();
    let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
    for _ in 0..3 {
        world.send(a, message("x")).unwrap();
    }
    start(&mut world, a, Some(b), Some(1));
    world.after(0);
    world.ask(Command::DeleteQueue { queue: b }).unwrap();
    world.after(5_000);
    let task = moves(&mut world, a).remove(0);
    assert_eq!((task.status, task.failure, task.moved), (MoveStatus::Failed, Some(MoveFailure::TargetGone), 1));
    assert_eq!(world.counts(a), [2, 0, 0]);
}
