//! What remains of finished jobs, and of those that are not finished.

#![expect(clippy::unwrap_used, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::api::job::*;
use weir_core::api::*;

fn keep(age_ms: u64, count: u64) -> Keep {
    Keep { age_ms, count }
}

/// Adds a job, has it completed, and says its id.
fn complete_one(world: &mut World, queue: QueueId, options: JobOptions) -> u64 {
    let added = world.add(queue, job("done", options)).unwrap();
    let got = world.lease_one(queue);
    world.settle(queue, got.handle, Settlement::Complete { result: Some(b"result".to_vec()) }).unwrap();
    added.id
}

fn completed(world: &mut World, queue: QueueId) -> Vec<u64> {
    let command = Command::ListJobs {
        queue,
        state: JobState::Completed,
        after: None,
        max: 100,
        payload_bytes_max: Some(u64::MAX),
    };
    match world.ask(command).unwrap() {
        Reply::Jobs(page) => page.jobs.into_iter().map(|job| job.id).collect(),
        other => panic!("{other:?}"),
    }
}

/// Found by seed 1045 of the simulation.
#[test]
fn who_finishes_before_those_are_removed_that_are_too_many_stays() {
    let mut world = World::cold();
    let queue = world.create("a", Config { keep_completed: Keep::ALL, ..Config::default() });
    complete_one(&mut world, queue, JobOptions::default());
    complete_one(&mut world, queue, JobOptions::default());
    let last_one = JobOptions { keep_completed: Some(keep(u64::MAX, 1)), ..JobOptions::default() };
    let third = complete_one(&mut world, queue, last_one);
    // The rows of those that go are not in memory, and until somebody loads them others finish.
    assert_eq!(world.counters(queue).completed, 3);
    let fourth = complete_one(&mut world, queue, JobOptions::default());
    let fifth = complete_one(&mut world, queue, JobOptions::default());
    world.after(0);
    assert_eq!(completed(&mut world, queue), [fifth, fourth, third]);
}

#[test]
fn the_last_completed_jobs_are_kept_as_many_as_the_queue_says() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { keep_completed: keep(u64::MAX, 3), ..Config::default() });
        let ids: Vec<u64> = (0..5).map(|_| complete_one(&mut world, queue, JobOptions::default())).collect();
        // What is cold goes with the next tick.
        world.after(0);
        assert_eq!(completed(&mut world, queue), [ids[4], ids[3], ids[2]]);
        // A thousand at once, and more than before.
        let jobs = (0..300).map(|n| (queue, message(&n.to_string()))).collect();
        world.add_all(jobs).unwrap();
        let got = world.lease(queue, 300);
        let done = got.iter().map(|got| (got.handle, Settlement::Complete { result: None })).collect();
        world.settle_all(queue, done).unwrap();
        world.after(0);
        assert_eq!(world.counters(queue), Counters { completed: 3, ..Counters::default() });
        // Fewer from now on.
        world.configure(queue, Config { keep_completed: keep(u64::MAX, 1), ..Config::default() });
        world.after(0);
        assert_eq!(world.counters(queue).completed, 1);
        world.configure(queue, Config { keep_completed: Keep::NONE, ..Config::default() });
        world.after(0);
        world.assert_no_rows_of_jobs();
    }
}

#[test]
fn finished_jobs_go_when_they_are_too_old() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { keep_completed: keep(10_000, 100), ..Config::default() });
        let first = complete_one(&mut world, queue, JobOptions::default());
        world.after(4_000);
        let second = complete_one(&mut world, queue, JobOptions::default());
        world.after(5_999);
        assert_eq!(completed(&mut world, queue), [second, first]);
        world.after(1);
        assert_eq!(completed(&mut world, queue), [second]);
        world.restart();
        world.after(4_000);
        world.assert_no_rows_of_jobs();
    }
}

#[test]
fn a_job_may_be_kept_for_longer_or_shorter_than_others_of_its_queue() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { keep_completed: keep(10_000, 100), ..Config::default() });
        let own = |keep| JobOptions { keep_completed: Some(keep), ..JobOptions::default() };
        let for_ever = complete_one(&mut world, queue, own(Keep::ALL));
        let shorter = complete_one(&mut world, queue, own(keep(1_000, 100)));
        let longer = complete_one(&mut world, queue, own(keep(20_000, 100)));
        let like_all = complete_one(&mut world, queue, JobOptions::default());
        complete_one(&mut world, queue, own(Keep::NONE));
        assert_eq!(completed(&mut world, queue), [like_all, longer, shorter, for_ever]);
        world.after(1_000);
        assert_eq!(completed(&mut world, queue), [like_all, longer, for_ever]);
        world.after(9_000);
        assert_eq!(completed(&mut world, queue), [longer, for_ever]);
        world.restart();
        world.after(10_000);
        assert_eq!(completed(&mut world, queue), [for_ever]);
        world.after(1_000_000_000);
        assert_eq!(completed(&mut world, queue), [for_ever]);
        // The count of the one that finished last decides.
        complete_one(&mut world, queue, own(keep(u64::MAX, 1)));
        world.after(0);
        assert_eq!(completed(&mut world, queue).len(), 1);
    }
}

#[test]
fn retention_takes_what_nobody_began_and_nothing_else() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let config = Config {
            retention_ms: 60_000,
            keep_completed: Keep::ALL,
            visibility_ms: 100_000,
            retry: retry(9, 90_000),
            ..Config::default()
        };
        let queue = world.create("a", config);
        for _ in 0..3 {
            complete_one(&mut world, queue, JobOptions::default());
        }
        world.add_all(["leased", "failed", "waits"].map(|text| (queue, message(text))).to_vec()).unwrap();
        let got = world.lease(queue, 2);
        world.fail(queue, got[1].handle).unwrap();
        let stats = world.ask(Command::QueueStats { queue }).unwrap();
        assert!(matches!(stats, Reply::Stats { oldest: Some(START), .. }), "{stats:?}");
        world.after(59_999);
        assert_eq!(world.counts(queue), [1, 1, 1]);
        world.after(1);
        assert_eq!(world.counts(queue), [0, 1, 1]);
        // A new one has its own time, though others stand before it.
        world.add(queue, message("later")).unwrap();
        world.after(60_000);
        let counters = world.counters(queue);
        assert_eq!((counters.ready, counters.completed), (2, 3));
        let texts: Vec<_> = world.lease(queue, 3).into_iter().map(|got| got.text).collect();
        assert_eq!(texts, ["leased", "failed"]);
    }
}
