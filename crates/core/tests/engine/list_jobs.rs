//! Listing jobs by state, page by page.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::job::*;
use weir_core::api::*;

/// All jobs of a state, taken page by page.
fn list(world: &mut World, queue: QueueId, state: JobState, max: u32) -> Vec<Listed> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..1_000 {
        let command = Command::ListJobs { queue, state, after, max, payload_bytes_max: None };
        let Reply::Jobs(page) = world.ask(command).unwrap() else { panic!("no page") };
        assert!(page.jobs.len() <= max as usize);
        all.extend(page.jobs);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
    panic!("pages without end")
}

fn texts(world: &World, listed: &[Listed]) -> Vec<String> {
    listed.iter().map(|listed| String::from_utf8(world.rows.all[&listed.body].clone()).unwrap()).collect()
}

#[test]
fn ready_jobs_are_listed_as_they_will_run() {
    for world in [World::new, World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a", Config::default());
        for (text, priority) in [("bulk 1", 5), ("now", 0), ("bulk 2", 5), ("soon", 1), ("later", 6)] {
            world.send(queue, NewMessage { priority, ..message(text) }).unwrap();
        }
        for max in [1, 2, 3, 256] {
            let listed = list(&mut world, queue, JobState::Ready, max);
            assert_eq!(texts(&world, &listed), ["now", "soon", "bulk 1", "bulk 2", "later"]);
        }
        for text in ["now", "soon", "bulk 1"] {
            assert_eq!(world.texts(queue, 1), [text]);
        }
        let listed = list(&mut world, queue, JobState::Ready, 1);
        assert_eq!(texts(&world, &listed), ["bulk 2", "later"]);
    }
}

#[test]
fn ready_jobs_of_groups_are_listed_behind_those_without_one_group_by_group() {
    for (name, expected) in [("a", vec!["z", "a1", "a2", "b1", "b2"]), ("a.fifo", vec!["a1", "a2", "b1", "b2"])] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        for (text, group) in [("b1", 2), ("a1", 1), ("b2", 2), ("a2", 1)] {
            world.send(queue, grouped(text, group)).unwrap();
        }
        world.send(queue, NewMessage { delay_ms: Some(5_000), ..grouped("a3", 1) }).unwrap();
        if name == "a" {
            world.send(queue, message("z")).unwrap();
        }
        for max in [1, 2, 256] {
            let listed = list(&mut world, queue, JobState::Ready, max);
            assert_eq!(texts(&world, &listed), expected, "{name}, {max} at once");
        }
    }
}

#[test]
fn delayed_and_leased_jobs_are_listed_by_when_that_ends() {
    for world in [World::cold, World::newborn] {
        let mut world = world();
        let queue = world.create("a", Config::default());
        let other = world.create("b", Config::default());
        for delay in [7, 3, 9, 3] {
            for queue in [queue, other] {
                let delay_ms = Some(delay * 1_000);
                world.send(queue, NewMessage { delay_ms, ..message(&delay.to_string()) }).unwrap();
            }
        }
        for visibility_ms in [50_000, 40_000] {
            world.send(queue, message(&visibility_ms.to_string())).unwrap();
            let (bytes_max, visibility_ms) = (u64::MAX, Some(visibility_ms));
            world.give(Command::Receive { queue, max: 1, bytes_max, visibility_ms, attempt: None, wait_ms: 0 });
        }
        for max in [1, 2, 256] {
            let listed = list(&mut world, queue, JobState::Delayed, max);
            assert_eq!(texts(&world, &listed), ["3", "3", "7", "9"]);
            let listed = list(&mut world, queue, JobState::Leased, max);
            assert_eq!(texts(&world, &listed), ["40000", "50000"]);
        }
        assert!(list(&mut world, queue, JobState::Failed, 9).is_empty());
    }
}

#[test]
fn a_page_holds_no_more_bytes_than_asked_for_and_always_one_job() {
    let mut world = World::cold();
    let queue = world.create("a", Config::default());
    for text in ["one", "three", "four"] {
        world.send(queue, message(text)).unwrap();
    }
    let mut after = None;
    for expected in [vec!["one", "three"], vec!["four"]] {
        let payload_bytes_max = Some(8);
        let command = Command::ListJobs { queue, state: JobState::Ready, after, max: 9, payload_bytes_max };
        let Reply::Jobs(page) = world.ask(command).unwrap() else { panic!("no page") };
        assert_eq!(
            (texts(&world, &page.jobs), page.payloads),
            (expected.iter().map(|s| (*s).to_owned()).collect(), true)
        );
        after = page.next;
    }
    assert_eq!(after, None);
    let command = Command::ListJobs { queue, state: JobState::Ready, after: None, max: 9, payload_bytes_max: Some(0) };
    let Reply::Jobs(page) = world.ask(command).unwrap() else { panic!("no page") };
    assert_eq!(texts(&world, &page.jobs), ["one"]);
}

#[test]
fn finished_jobs_are_listed_newest_first_and_waiting_ones_by_id() {
    for make in [World::cold as fn() -> World, World::newborn] {
        let mut world = make();
        let queue = world.create("a", Config { retry: retry(1, 0), ..Config::default() });
        for at in 0..6 {
            world.add(queue, message(&at.to_string())).unwrap();
            let got = world.lease_one(queue);
            if at % 3 == 0 {
                world.fail(queue, got.handle).unwrap();
            } else {
                world.complete(queue, got.handle).unwrap();
            }
            // Some end within the same millisecond.
            world.after(at % 2);
        }
        for text in ["p", "q", "r"] {
            let child = job("child", JobOptions { parent: Some(Parent::Added(0)), ..JobOptions::default() });
            world.add_all(vec![(queue, message(text)), (queue, child)]).unwrap();
        }
        for max in [1, 2, 256] {
            let mut texts_of = |state| {
                let listed = list(&mut world, queue, state, max);
                texts(&world, &listed)
            };
            assert_eq!(texts_of(JobState::Completed), ["5", "4", "2", "1"]);
            assert_eq!(texts_of(JobState::Failed), ["3", "0"]);
            assert_eq!(texts_of(JobState::Waiting), ["p", "q", "r"]);
        }
        let jobs = list(&mut world, queue, JobState::Completed, 9).iter().map(|job| JobRef::Id(job.id)).collect();
        world.ask(Command::ChangeJobs { queue, jobs, change: JobChange::Remove }).unwrap();
        assert!(list(&mut world, queue, JobState::Completed, 9).is_empty());
        let command =
            Command::ListJobs { queue, state: JobState::Removed, after: None, max: 1, payload_bytes_max: None };
        assert!(matches!(world.ask(command), Err(Error::Invalid { field: "state", .. })));
    }
}

#[test]
fn what_is_due_in_other_queues_is_passed_a_slice_at_a_time() {
    let mut world = World::new();
    let [queue, other] = ["a", "b"].map(|name| world.create(name, Config::default()));
    let delayed = |delay_ms| NewMessage { delay_ms: Some(delay_ms), ..message("x") };
    world.add_all(vec![(other, delayed(1_000)); 600]).unwrap();
    world.add(queue, delayed(2_000)).unwrap();
    let command = Command::ListJobs { queue, state: JobState::Delayed, after: None, max: 9, payload_bytes_max: None };
    let Reply::Jobs(page) = world.ask(command).unwrap() else { panic!("no page") };
    assert!(page.jobs.is_empty() && page.next.is_some(), "there is more behind these 256");
    assert_eq!(list(&mut world, queue, JobState::Delayed, 9).len(), 1);
}
