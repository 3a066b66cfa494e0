//! Flows: jobs that wait for others.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::job::*;
use weir_core::api::*;

fn child_of(text: &str, parent: u32, on_failure: OnChildFailure) -> NewMessage {
    job(text, JobOptions { parent: Some(Parent::Added(parent)), on_failure, ..JobOptions::default() })
}

fn child(text: &str) -> NewMessage {
    child_of(text, 0, OnChildFailure::Wait)
}

fn change(world: &mut World, queue: QueueId, job: u64, change: JobChange) -> Result<(), Error> {
    match world.ask(Command::ChangeJobs { queue, jobs: vec![JobRef::Id(job)], change }).unwrap() {
        Reply::Settled(mut settled) => settled.remove(0),
        other => panic!("{other:?}"),
    }
}

/// State and result of each child.
fn children(world: &mut World, queue: QueueId, job: u64) -> Vec<(JobState, Option<String>)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let command = Command::JobChildren { queue, job: JobRef::Id(job), after, max: 2 };
        let Reply::Children { children, more } = world.ask(command).unwrap() else { panic!("no children") };
        after = children.last().map(|child| (child.queue, child.id));
        all.extend(children);
        if !more {
            break;
        }
    }
    let text = |key: &weir_core::kv::Key| String::from_utf8(world.rows.all[key].clone()).unwrap();
    all.iter().map(|child| (child.state, child.result.as_ref().map(text))).collect()
}

fn done(world: &mut World, queue: QueueId, handle: Handle, result: &str) {
    world.settle(queue, handle, Settlement::Complete { result: Some(result.into()) }).unwrap();
}

fn fail(world: &mut World, queue: QueueId, handle: Handle) {
    let failure = Settlement::Fail { failure: b"broken".to_vec(), again: Again::Never };
    world.settle(queue, handle, failure).unwrap();
}

fn waiting(world: &mut World, queue: QueueId) -> u64 {
    world.counters(queue).waiting
}

#[expect(non_snake_case, reason = "it stands for an error")]
fn STATE(state: JobState) -> Result<(), Error> {
    Err(Error::JobState { state })
}

const NONE: Counters = Counters { ready: 0, delayed: 0, leased: 0, waiting: 0, completed: 0, failed: 0 };

/// Nothing of any job is left but what stands in these spaces.
fn assert_no_rows_of_jobs(world: &World) {
    let kinds: Vec<u8> = world.row_kinds().into_keys().filter(|kind| !(16..=18).contains(kind)).collect();
    assert!(kinds.is_empty(), "{kinds:?}");
}

#[test]
fn a_parent_runs_when_its_children_in_other_queues_are_done_and_sees_their_results() {
    for make in [World::new as fn() -> World, World::cold, World::newborn] {
        let mut world = make();
        let keep = Config { keep_completed: Keep::NONE, ..Config::default() };
        let [a, b] = ["a", "b"].map(|name| world.create(name, keep.clone()));
        let fifo = world.create("c.fifo", keep.clone());
        let jobs = vec![
            (a, message("parent")),
            (b, child("1")),
            (fifo, NewMessage { lane: Some(Lane([1; 16])), ..child("2") }),
            (a, child("3")),
        ];
        let added = world.add_all(jobs).unwrap();
        assert_eq!(world.counters(a), Counters { ready: 1, waiting: 1, ..NONE });
        let got = world.lease_one(b);
        done(&mut world, b, got.handle, "one");
        let got = world.lease_one(a);
        assert_eq!(got.text, "3");
        done(&mut world, a, got.handle, "three");
        assert!(world.lease(a, 1).is_empty());
        world.restart();
        let got = world.lease_one(fifo);
        let expected = vec![
            (JobState::Completed, Some("one".to_owned())),
            (JobState::Waiting, None),
            (JobState::Completed, Some("three".to_owned())),
        ];
        assert_eq!(children(&mut world, a, added[0].id), expected);
        let waiting = world.wait(a, 1, 10_000);
        world.complete(fifo, got.handle).unwrap();
        let got = world.got(waiting).expect("the last child wakes who waits for its parent").remove(0);
        assert_eq!(got.text, "parent");
        assert_eq!(children(&mut world, a, added[0].id)[1], (JobState::Completed, None));
        world.delete(a, got.handle).unwrap();
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn a_tree_runs_from_its_leaves() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config::default());
        let flow = [("root", 0), ("left", 0), ("right", 0), ("leaf", 1), ("leaf", 1), ("leaf", 2)];
        let jobs = flow.iter().enumerate().map(|(at, &(text, parent))| {
            (queue, if at == 0 { message(text) } else { child_of(text, parent, OnChildFailure::Wait) })
        });
        world.add_all(jobs.collect()).unwrap();
        for expected in [vec!["leaf", "leaf", "leaf"], vec!["left", "right"], vec!["root"]] {
            let got = world.lease(queue, 9);
            let mut texts: Vec<_> = got.iter().map(|got| got.text.as_str()).collect();
            texts.sort_unstable();
            assert_eq!(texts, expected);
            let entries = got.iter().map(|got| (got.handle, Settlement::Complete { result: None })).collect();
            assert!(world.settle_all(queue, entries).unwrap().iter().all(Result::is_ok));
        }
        assert_eq!(world.counters(queue), Counters { completed: 6, ..NONE });
    }
}

#[test]
fn a_delayed_parent_waits_for_its_children_and_then_for_its_time() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let parent = NewMessage { delay_ms: Some(5_000), priority: 3, ..message("parent") };
    world.add_all(vec![(queue, parent), (queue, child("1"))]).unwrap();
    let got = world.lease_one(queue);
    world.complete(queue, got.handle).unwrap();
    assert_eq!(world.counters(queue), Counters { delayed: 1, completed: 1, ..NONE });
    world.after(5_000);
    assert_eq!(world.lease_one(queue).text, "parent");
}

#[test]
fn what_a_failed_child_means_for_its_parent_is_for_it_to_say() {
    use OnChildFailure::{Continue, Fail, Ignore, Remove, Wait};
    let failed = (JobState::Failed, Some("broken".to_owned()));
    let unfinished = (JobState::Waiting, None);
    let cases = [
        (Wait, JobState::Waiting, vec![failed.clone(), unfinished.clone()], JobState::Waiting),
        (Fail, JobState::Failed, vec![failed.clone(), unfinished.clone()], JobState::Failed),
        (Ignore, JobState::Waiting, vec![failed.clone(), unfinished.clone()], JobState::Ready),
        (Remove, JobState::Waiting, vec![unfinished.clone()], JobState::Ready),
        (Continue, JobState::Ready, vec![failed, unfinished], JobState::Ready),
    ];
    for (policy, at_once, seen, in_the_end) in cases {
        let mut world = World::cold();
        let [a, b] = ["a", "b"].map(|name| world.create(name, Config::default()));
        let jobs = vec![(a, message("parent")), (b, child_of("1", 0, policy)), (b, child("2"))];
        let added = world.add_all(jobs).unwrap();
        let got = world.lease(b, 2);
        fail(&mut world, b, got[0].handle);
        let one = |state| match state {
            JobState::Waiting => Counters { waiting: 1, ..NONE },
            JobState::Failed => Counters { failed: 1, ..NONE },
            _ => Counters { ready: 1, ..NONE },
        };
        assert_eq!(world.counters(a), one(at_once), "{policy:?}");
        assert_eq!(children(&mut world, a, added[0].id), seen, "{policy:?}");
        world.complete(b, got[1].handle).unwrap();
        assert_eq!(world.counters(a), one(in_the_end), "{policy:?}");
    }
}

#[test]
fn a_parent_that_waits_for_a_failed_child_runs_when_that_is_tried_again_or_removed() {
    for again in [true, false] {
        let mut world = World::cold();
        let queue = world.create("a", Config::default());
        let added = world.add_all(vec![(queue, message("parent")), (queue, child("1"))]).unwrap();
        let got = world.lease_one(queue);
        fail(&mut world, queue, got.handle);
        assert_eq!(waiting(&mut world, queue), 1);
        if again {
            change(&mut world, queue, added[1].id, JobChange::Retry { reset: true, reset_starts: false }).unwrap();
            assert_eq!(children(&mut world, queue, added[0].id)[0].0, JobState::Waiting);
            let got = world.lease_one(queue);
            done(&mut world, queue, got.handle, "done");
            let expected = (JobState::Completed, Some("done".to_owned()));
            assert_eq!(children(&mut world, queue, added[0].id), [expected]);
        } else {
            change(&mut world, queue, added[1].id, JobChange::Remove).unwrap();
            assert_eq!(children(&mut world, queue, added[0].id)[0].0, JobState::Removed);
        }
        assert_eq!(world.lease_one(queue).text, "parent");
    }
}

#[test]
fn a_parent_does_not_wait_for_a_failed_child_of_which_nothing_is_kept() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config { keep_failed: Keep::NONE, ..Config::default() });
        let added = world.add_all(vec![(queue, message("parent")), (queue, child("1"))]).unwrap();
        let got = world.lease_one(queue);
        fail(&mut world, queue, got.handle);
        assert_eq!(world.counters(queue), Counters { ready: 1, ..NONE });
        assert_eq!(children(&mut world, queue, added[0].id), [(JobState::Removed, None)]);
    }
}

#[test]
fn a_failure_goes_up_the_tree_as_far_as_each_says_so() {
    let mut world = World::newborn();
    let queue = world.create("a", Config::default());
    let depth = 400;
    let policy = |at| if at == 100 { OnChildFailure::Wait } else { OnChildFailure::Fail };
    let jobs = (0..depth).map(|at| (queue, if at == 0 { message("root") } else { child_of("x", at - 1, policy(at)) }));
    world.add_all(jobs.collect()).unwrap();
    let got = world.lease_one(queue);
    fail(&mut world, queue, got.handle);
    world.after(0);
    assert_eq!(world.counters(queue), Counters { waiting: 100, failed: 300, ..NONE });
}

#[test]
fn a_failed_parent_that_is_tried_again_runs_if_no_child_is_left_to_wait_for() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let jobs = vec![(queue, message("parent")), (queue, child_of("1", 0, OnChildFailure::Fail)), (queue, child("2"))];
    let added = world.add_all(jobs).unwrap();
    let got = world.lease(queue, 2);
    fail(&mut world, queue, got[0].handle);
    change(&mut world, queue, added[0].id, JobChange::Retry { reset: false, reset_starts: false }).unwrap();
    assert_eq!(waiting(&mut world, queue), 1);
    world.complete(queue, got[1].handle).unwrap();
    assert_eq!(world.lease_one(queue).text, "parent");
}

#[test]
fn a_removed_parent_takes_those_of_its_children_along_that_have_not_begun() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let config = Config { keep_completed: Keep::NONE, ..Config::default() };
        let [a, b] = ["a", "b"].map(|name| world.create(name, config.clone()));
        let mut jobs = vec![(a, message("root")), (b, child("begun")), (b, child("inner"))];
        jobs.extend(
            (0..150).map(|_| (b, NewMessage { lane: Some(Lane([1; 16])), ..child_of("x", 2, OnChildFailure::Wait) })),
        );
        let added = world.add_all(jobs).unwrap();
        let begun = world.lease(b, 1).remove(0);
        assert_eq!(begun.text, "begun");
        change(&mut world, a, added[0].id, JobChange::Remove).unwrap();
        world.after(0);
        assert_eq!(world.counters(b), Counters { leased: 1, ..NONE });
        done(&mut world, b, begun.handle, "for nobody");
        assert_eq!((world.counters(a), world.counters(b)), (NONE, NONE));
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn a_parent_that_is_removed_alone_leaves_its_children_to_themselves() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let keep = Config { keep_completed: Keep::NONE, ..Config::default() };
        let queue = world.create("a", keep);
        let jobs = vec![(queue, message("root")), (queue, child("1")), (queue, child("2"))];
        let added = world.add_all(jobs).unwrap();
        let got = world.lease(queue, 1).remove(0);
        assert_eq!(change(&mut world, queue, added[1].id, JobChange::RemoveAlone), STATE(JobState::Leased));
        change(&mut world, queue, added[0].id, JobChange::RemoveAlone).unwrap();
        assert_eq!(change(&mut world, queue, added[0].id, JobChange::RemoveAlone), Err(Error::JobNotFound));
        world.after(0);
        world.restart();
        assert_eq!(world.counters(queue), Counters { ready: 1, leased: 1, ..NONE });
        done(&mut world, queue, got.handle, "for nobody");
        let got = world.lease_one(queue);
        assert_eq!(got.text, "2");
        done(&mut world, queue, got.handle, "for nobody");
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn a_child_that_leaves_its_parent_is_waited_for_no_more() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let keep = Config { keep_completed: Keep::NONE, ..Config::default() };
        let [a, b] = ["a", "b"].map(|name| world.create(name, keep.clone()));
        let jobs = vec![(a, message("parent")), (b, child("1")), (b, child("2")), (b, child("3")), (b, message("x"))];
        let added = world.add_all(jobs).unwrap();
        let leave = |world: &mut World, at: usize| change(world, added[at].queue, added[at].id, JobChange::LeaveParent);
        assert_eq!(leave(&mut world, 4), Err(Error::NoParent));
        let got = world.lease(b, 2);
        fail(&mut world, b, got[0].handle);
        leave(&mut world, 0).unwrap_err();
        leave(&mut world, 1).expect("it has failed, and is waited for");
        assert_eq!(leave(&mut world, 1), Err(Error::NoParent));
        world.restart();
        assert_eq!(children(&mut world, a, added[0].id), [(JobState::Waiting, None), (JobState::Waiting, None)]);
        done(&mut world, b, got[1].handle, "two");
        assert_eq!(waiting(&mut world, a), 1);
        leave(&mut world, 3).unwrap();
        let got = world.lease_one(a);
        assert_eq!(got.text, "parent");
        let seen = [(JobState::Completed, Some("two".to_owned()))];
        assert_eq!(children(&mut world, a, added[0].id), seen, "the last one that it waited for has left");
        world.complete(a, got.handle).unwrap();
        for text in ["3", "x"] {
            let got = world.lease(b, 1).remove(0);
            assert_eq!(got.text, text);
            world.complete(b, got.handle).unwrap();
        }
        change(&mut world, b, added[1].id, JobChange::Remove).unwrap();
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn a_child_that_has_left_stays_when_its_parent_is_removed_before_that_was_told_of_it() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let added = world.add_all(vec![(queue, message("parent")), (queue, child("1")), (queue, child("2"))]).unwrap();
    let jobs = vec![JobRef::Id(added[1].id)];
    // What its parent is told of stands in rows that are still to be loaded.
    world.give_without_loads(Command::ChangeJobs { queue, jobs, change: JobChange::LeaveParent });
    change(&mut world, queue, added[0].id, JobChange::Remove).unwrap();
    world.after(0);
    assert_eq!(world.counters(queue), Counters { ready: 1, ..NONE });
    let got = world.lease_one(queue);
    assert_eq!(got.text, "1");
    world.complete(queue, got.handle).unwrap();
    change(&mut world, queue, added[1].id, JobChange::Remove).unwrap();
    assert_no_rows_of_jobs(&world);
}

#[test]
fn a_child_that_its_parent_has_the_result_of_stays_its_child() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let jobs = vec![
        (queue, message("parent")),
        (queue, child("1")),
        (queue, child_of("2", 0, OnChildFailure::Ignore)),
        (queue, child("3")),
    ];
    let added = world.add_all(jobs).unwrap();
    let got = world.lease(queue, 2);
    world.complete(queue, got[0].handle).unwrap();
    fail(&mut world, queue, got[1].handle);
    assert_eq!(change(&mut world, queue, added[1].id, JobChange::LeaveParent), STATE(JobState::Completed));
    assert_eq!(change(&mut world, queue, added[2].id, JobChange::LeaveParent), STATE(JobState::Failed));
}

#[test]
fn a_parent_runs_when_the_queues_of_its_children_are_purged_or_deleted() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let [a, b, c] = ["a", "b", "c"].map(|name| world.create(name, Config::default()));
        let mut jobs = vec![(a, message("parent"))];
        jobs.extend((0..300).map(|at| (if at % 3 == 0 { c } else { b }, child_of("x", 0, OnChildFailure::Fail))));
        let added = world.add_all(jobs).unwrap();
        world.lease(b, 5);
        world.ask(Command::PurgeQueue { queue: b }).unwrap();
        world.after(0);
        assert_eq!(waiting(&mut world, a), 1);
        world.restart();
        world.ask(Command::DeleteQueue { queue: c }).unwrap();
        world.after(0);
        assert!(children(&mut world, a, added[0].id).iter().all(|child| child.0 == JobState::Removed));
        let got = world.lease_one(a);
        world.delete(a, got.handle).unwrap();
        world.after(0);
        assert_no_rows_of_jobs(&world);
    }
}

#[test]
fn a_purge_of_parents_leaves_nothing_of_their_children_with_them() {
    let mut world = World::cold();
    let config = Config { keep_completed: Keep::NONE, ..Config::default() };
    let [a, b] = ["a", "b"].map(|name| world.create(name, config.clone()));
    world.add_all(vec![(a, message("parent")), (b, child("1")), (b, child("2"))]).unwrap();
    let got = world.lease(b, 2);
    done(&mut world, b, got[0].handle, "before");
    world.ask(Command::PurgeQueue { queue: a }).unwrap();
    world.after(0);
    done(&mut world, b, got[1].handle, "after");
    world.after(0);
    assert_no_rows_of_jobs(&world);
}

#[test]
fn who_works_on_a_job_adds_children_and_has_it_wait_for_them() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let id = world.add(queue, message("parent")).unwrap().id;
    let got = world.lease_one(queue);
    let existing = Some(Parent::Existing { queue, job: JobRef::Id(id) });
    let late = |text| job(text, JobOptions { parent: existing, ..JobOptions::default() });
    world.add_all(vec![(queue, late("1")), (queue, late("2"))]).unwrap();
    let settled = world.settle(queue, got.handle, Settlement::WaitForChildren).unwrap();
    assert_eq!(settled.state, JobState::Waiting);
    let got = world.lease(queue, 2);
    world.complete(queue, got[0].handle).unwrap();
    world.add(queue, late("3")).unwrap();
    world.complete(queue, got[1].handle).unwrap();
    let got = world.lease_one(queue);
    assert_eq!(got.text, "3");
    world.complete(queue, got.handle).unwrap();
    let got = world.lease_one(queue);
    assert_eq!((got.text.as_str(), got.delivery.failures), ("parent", 0));
    let settled = world.settle(queue, got.handle, Settlement::WaitForChildren).unwrap();
    assert_eq!(settled.state, JobState::Ready, "no child is left to wait for");
    assert_eq!(world.add(queue, late("4")), Err(Error::JobState { state: JobState::Ready }));
}

#[test]
fn a_child_that_fails_while_its_parent_is_worked_on_fails_it_when_it_waits() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let id = world.add(queue, message("parent")).unwrap().id;
    let parent = world.lease_one(queue);
    let existing = Some(Parent::Existing { queue, job: JobRef::Id(id) });
    let options = JobOptions { parent: existing, on_failure: OnChildFailure::Fail, ..JobOptions::default() };
    world.add(queue, job("1", options)).unwrap();
    let got = world.lease_one(queue);
    fail(&mut world, queue, got.handle);
    assert_eq!(world.counters(queue), Counters { leased: 1, failed: 1, ..NONE });
    let settled = world.settle(queue, parent.handle, Settlement::WaitForChildren).unwrap();
    assert_eq!(settled.state, JobState::Failed);
}

#[test]
fn a_flow_that_makes_no_sense_is_refused_as_a_whole() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let none = Some(Parent::Existing { queue, job: JobRef::Id(77) });
    let cases = [
        (child_of("x", 1, OnChildFailure::Wait), "parent"),
        (child_of("x", 7, OnChildFailure::Wait), "parent"),
        (job("x", JobOptions { parent: none, ..JobOptions::default() }), ""),
    ];
    for (refused, field) in cases {
        let refused = world.add_all(vec![(queue, message("1")), (queue, refused)]).unwrap_err();
        assert!(
            matches!(refused, Error::Invalid { field: found, .. } if found == field) || refused == Error::JobNotFound
        );
    }
    assert_eq!(world.counters(queue), NONE);
    let refused = world.send(queue, child("1"));
    assert!(matches!(refused, Err(Error::Invalid { field: "parent", .. })), "{refused:?}");
}

#[test]
fn the_children_of_a_parent_that_is_there_already_are_its_own_if_it_still_waits() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let named = || job("parent", JobOptions { custom_id: Some([5; 16]), ..JobOptions::default() });
    let first = world.add_all(vec![(queue, named()), (queue, child("1"))]).unwrap();
    let second = world.add_all(vec![(queue, named()), (queue, child("2"))]).unwrap();
    assert_eq!((second[0].id, second[0].duplicate, second[1].duplicate), (first[0].id, true, false));
    let got = world.lease(queue, 9);
    assert_eq!(got.len(), 2);
    world.complete(queue, got[0].handle).unwrap();
    assert_eq!(waiting(&mut world, queue), 1);
    world.complete(queue, got[1].handle).unwrap();
    assert_eq!(world.lease_one(queue).text, "parent");
}

#[test]
fn a_parent_whose_children_were_all_there_already_runs_at_once() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let named = |parent| job("child", JobOptions { custom_id: Some([5; 16]), parent, ..JobOptions::default() });
    world.add(queue, named(None)).unwrap();
    let added = world.add_all(vec![(queue, message("parent")), (queue, named(Some(Parent::Added(0))))]).unwrap();
    assert!(added[1].duplicate);
    assert_eq!(world.counters(queue), Counters { ready: 2, ..NONE });
}

#[test]
fn a_child_that_another_door_deletes_is_done() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    world.add_all(vec![(queue, message("parent")), (queue, child("1"))]).unwrap();
    let got = world.receive(queue, 1).remove(0);
    world.delete(queue, got.handle).unwrap();
    assert_eq!(world.lease_one(queue).text, "parent");
}

#[test]
fn what_a_kept_child_left_stays_with_its_parent_when_an_old_handle_deletes_it() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let added = world.add_all(vec![(queue, message("parent")), (queue, child("1"))]).unwrap();
    let got = world.lease_one(queue);
    done(&mut world, queue, got.handle, "done");
    world.delete(queue, got.handle).unwrap();
    let left = (JobState::Completed, Some("done".to_owned()));
    assert_eq!(children(&mut world, queue, added[0].id), [left]);
}

#[test]
fn a_child_that_is_cancelled_or_expires_has_failed() {
    for cancel in [true, false] {
        let mut world = World::cold();
        let queue = world.create("a", Config::default());
        let expires_at = Some(weir_core::Time(START.0 + 1_000));
        let options = JobOptions {
            parent: Some(Parent::Added(0)),
            on_failure: OnChildFailure::Fail,
            expires_at,
            ..JobOptions::default()
        };
        let added = world.add_all(vec![(queue, message("parent")), (queue, job("1", options))]).unwrap();
        if cancel {
            change(&mut world, queue, added[1].id, JobChange::Cancel).unwrap();
        } else {
            world.after(1_000);
        }
        assert_eq!(world.counters(queue), Counters { failed: 2, ..NONE });
    }
}

#[test]
fn a_cancelled_parent_no_longer_waits() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    let added = world.add_all(vec![(queue, message("parent")), (queue, child("1"))]).unwrap();
    change(&mut world, queue, added[0].id, JobChange::Cancel).unwrap();
    assert_eq!(world.counters(queue), Counters { failed: 1, ready: 1, ..NONE });
    let got = world.lease_one(queue);
    world.complete(queue, got.handle).unwrap();
    assert_eq!(world.counters(queue), Counters { failed: 1, completed: 1, ..NONE });
}

#[test]
fn a_parent_that_was_moved_or_is_a_dead_letter_learns_what_became_of_its_children() {
    for is_dead in [false, true] {
        let mut world = World::cold();
        let dead = world.create("dead", Config::default());
        let redrive = Some(Redrive { target: "dead".into(), receives_max: 9 });
        let queue = world.create("a", Config { redrive, retry: retry(1, 0), ..Config::default() });
        let other = world.create("b", Config::default());
        let id = world.add(queue, message("parent")).unwrap().id;
        let got = world.lease_one(queue);
        let existing = Some(Parent::Existing { queue, job: JobRef::Id(id) });
        let late = |text| job(text, JobOptions { parent: existing, ..JobOptions::default() });
        world.add_all(vec![(other, late("1")), (other, late("2"))]).unwrap();
        let first = world.lease(other, 1).remove(0);
        if is_dead {
            fail(&mut world, queue, got.handle);
        } else {
            let release = Settlement::Release { delay_ms: 0, pause: None };
            world.settle(queue, got.handle, release).unwrap();
            world.ask(Command::Move { queue, to: dead, ids: vec![id] }).unwrap();
        }
        done(&mut world, other, first.handle, "first");
        let got = world.lease_one(dead);
        let settled = world.settle(dead, got.handle, Settlement::WaitForChildren).unwrap();
        assert_eq!(settled.state, JobState::Waiting, "the second one goes on");
        world.restart();
        let second = world.lease_one(other);
        done(&mut world, other, second.handle, "second");
        let of = children(&mut world, dead, id);
        let expected = ["first", "second"].map(|result| (JobState::Completed, Some(result.to_owned())));
        assert_eq!(of, expected);
        let got = world.lease_one(dead);
        assert_eq!(got.text, "parent");
        world.complete(dead, got.handle).unwrap();
        for (queue, job) in [(other, first.handle.message), (other, second.handle.message), (dead, id)] {
            change(&mut world, queue, job, JobChange::Remove).unwrap();
        }
        assert_no_rows_of_jobs(&world);
    }
}
