//! Jobs that have to be started in time.

use crate::support::*;
use weir_core::Time;
use weir_core::api::job::*;
use weir_core::api::*;

fn stale(text: &str, after_ms: u64) -> NewMessage {
    let expires_at = Some(Time(START.0 + after_ms));
    job(text, JobOptions { expires_at, ..JobOptions::default() })
}

#[test]
fn a_job_that_is_not_started_in_time_fails_wherever_it_stands() {
    for name in ["a", "a.fifo"] {
        let mut world = World::cold();
        let queue = world.create(name, Config::default());
        let lane = Some(Lane([1; 16]));
        world.add(queue, NewMessage { lane, ..stale("ready", 1_000) }).unwrap();
        world.add(queue, NewMessage { lane, delay_ms: Some(5_000), ..stale("delayed", 1_000) }).unwrap();
        world.add(queue, NewMessage { lane, ..message("lasting") }).unwrap();
        world.restart();
        world.after(999);
        assert_eq!(world.counters(queue), Counters { ready: 2, delayed: 1, ..Counters::default() });
        world.after(1);
        assert_eq!(world.counters(queue), Counters { ready: 1, failed: 2, ..Counters::default() });
        assert_eq!(world.lease_one(queue).text, "lasting");
    }
}

#[test]
fn a_job_whose_time_is_over_is_never_handed_out_even_before_the_timer_runs() {
    for lane in [None, Some(Lane([1; 16]))] {
        let mut world = World::newborn();
        let queue = world.create("a", Config::default());
        for text in ["1", "2"] {
            world.add(queue, NewMessage { lane, ..stale(text, 1_000) }).unwrap();
        }
        world.add(queue, NewMessage { lane, ..message("lasting") }).unwrap();
        world.now = Time(START.0 + 1_000);
        assert_eq!(world.lease_one(queue).text, "lasting");
        assert_eq!(world.counters(queue), Counters { leased: 1, failed: 2, ..Counters::default() });
        world.after(0);
        assert_eq!(world.counters(queue), Counters { leased: 1, failed: 2, ..Counters::default() });
    }
}

#[test]
fn a_job_that_was_started_in_time_does_not_expire() {
    let mut world = World::cold();
    let queue = world.create("a", Config { retry: retry(3, 5_000), ..Config::default() });
    world.add(queue, stale("1", 1_000)).unwrap();
    let got = world.lease_one(queue);
    world.fail(queue, got.handle).unwrap();
    world.after(5_000);
    assert_eq!(world.lease_one(queue).text, "1");
}
