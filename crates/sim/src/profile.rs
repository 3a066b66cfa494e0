//! What kind of a run a seed is: sizes, weights and faults.

use std::time::Duration;

use weir_store::{Durability, Options};

use crate::disk::Faults;
use crate::rng::Rng;

/// The settings of one run.
#[expect(clippy::struct_excessive_bools, reason = "each turns something on that a run plays")]
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) steps: u64,
    pub(crate) options: Options,
    /// Faults of the disk while they are switched on.
    pub(crate) faults: Faults,
    /// Once in how many steps the machine loses power; 0 for never.
    pub(crate) crash_every: u64,
    /// Once in how many steps the process is killed; 0 for never.
    pub(crate) kill_every: u64,
    /// Once in how many steps the disk fills up; 0 for never.
    pub(crate) full_every: u64,
    /// Bytes of the largest payload.
    pub(crate) payload_max: u64,
    /// Out of ten: how often a piece of work that waits is done in a step.
    pub(crate) eagerness: u64,
    /// Weights of the commands, in the order of `workload::draw`.
    pub(crate) weights: [u64; 12],
    /// Out of ten commands, how many are about jobs: none in every other run.
    pub(crate) jobs: u64,
    /// Weights of these, in the order of `workload::jobs::draw_job`.
    pub(crate) job_weights: [u64; 12],
    /// Whether jobs also come in batches, and are put back with a pause, and whether less time passes between steps.
    pub(crate) varied: bool,
    /// Whether jobs also stand in groups that keep their order.
    pub(crate) ordered: bool,
    /// Out of ten commands about jobs, how many are about those that wait for others: none in most runs.
    pub(crate) flows: u64,
    /// Whether jobs that fail for good go to other queues.
    pub(crate) dead_letters: bool,
    /// Whether jobs keep others away by deduplication ids.
    pub(crate) dedups: bool,
    /// Whether retention is short enough to matter.
    pub(crate) short_retention: bool,
    /// Most messages or handles of a command.
    pub(crate) batch_max: u64,
    /// Distinct message groups.
    pub(crate) lanes: u64,
    /// Once in how many steps somebody sets the wall clock; 0 for never.
    pub(crate) set_clock_every: u64,
    /// Once in how many steps a copy is asked for; 0 for never.
    pub(crate) copy_every: u64,
}

impl Profile {
    pub(crate) fn draw(rng: &mut Rng, salt: u64) -> Self {
        let segment_bytes = *rng.pick(&[16 << 10, 32 << 10, 128 << 10]).unwrap_or(&(32 << 10));
        let small = rng.chance(2, 3);
        let batches_small = rng.chance(1, 2);
        let options = Options {
            segment_bytes,
            reserve_segments: rng.between(1, 2) as usize,
            overlay_bytes_max: if rng.chance(1, 5) { 32 << 10 } else { 4 << 20 },
            table_cache_bytes: 256 << 10,
            body_cache_bytes: if small { rng.between(0, 4 << 10) as usize } else { 1 << 20 },
            checkpoint_log_bytes: rng.between(4, 64) << 10,
            checkpoint_overlay_bytes: (rng.between(4, 64) << 10) as usize,
            // Rows come and go all the time; yet those that one command needs must fit.
            window_bytes_max: match (small, batches_small) {
                (true, true) => rng.between(1, 8) << 10,
                (true, false) => rng.between(24, 48) << 10,
                (false, _) => 1 << 20,
            } as usize,
            reserve_bytes: 256 << 10,
            salt,
            ..Options::default()
        };
        let mut machine = Rng::new(salt, "settings of the machine");
        let mut kills = Rng::new(salt, "settings of kills");
        let mut faults = match rng.below(4) {
            0 => Faults { writes: rng.between(200, 5_000), ..Faults::default() },
            1 => Faults { syncs: rng.between(200, 10_000), ..Faults::default() },
            _ => Faults::default(),
        };
        if machine.chance(1, 3) {
            faults.reads = machine.between(500, 50_000);
        }
        let mut weights = [30, 26, 18, 8, 3, 1, 1, 2, 3, 3, 2, 6];
        // Each run prefers some commands and neglects others, so that queues get long in some and stay empty in others.
        for weight in &mut weights {
            *weight *= rng.between(1, 6);
        }
        let mut profile = Self {
            steps: rng.between(150, 700),
            options,
            faults,
            crash_every: *rng.pick(&[0, 30, 60, 120]).unwrap_or(&60),
            kill_every: *kills.pick(&[0, 60, 150]).unwrap_or(&60),
            full_every: *rng.pick(&[0, 0, 80]).unwrap_or(&0),
            payload_max: *rng.pick(&[16, 200, 900, 3_000]).unwrap_or(&200),
            eagerness: rng.between(1, 9),
            weights,
            jobs: 0,
            job_weights: [30, 26, 30, 8, 3, 2, 3, 6, 4, 20, 10, 8],
            varied: false,
            ordered: false,
            flows: 0,
            dead_letters: false,
            dedups: false,
            short_retention: rng.chance(1, 3),
            batch_max: if batches_small { 3 } else { 35 },
            lanes: rng.between(1, 6),
            set_clock_every: *machine.pick(&[0, 0, 40, 150]).unwrap_or(&40),
            copy_every: *machine.pick(&[0, 0, 0, 100]).unwrap_or(&100),
        };
        if salt % 2 == 1 {
            let mut rng = Rng::new(salt, "settings of jobs");
            profile.jobs = rng.between(5, 9);
            for weight in &mut profile.job_weights {
                *weight *= rng.between(1, 5);
            }
            if rng.chance(1, 2) {
                profile.job_weights[9] = 0;
            } else {
                // What left and was forgotten, as a loss of power may have it, cannot be counted.
                profile.options.durability = Durability::Fsync;
            }
            profile.steps = rng.between(100, 500);
            profile.varied = !Rng::new(salt, "settings of groups").chance(1, 2);
            profile.ordered = profile.varied;
        }
        // A seed that found something, or plays something else, keeps to that.
        if matches!(salt % 8, 3 | 5) && !profile.varied {
            let mut rng = Rng::new(salt, "settings of flows");
            profile.flows = rng.between(2, 6);
            profile.ordered = salt % 128 >= 64;
            // What waits for rows may be many things at once: in few runs it does so for long.
            profile.eagerness = if rng.chance(1, 6) { profile.eagerness } else { rng.between(8, 9) };
            profile.steps = rng.between(100, 300);
            profile.job_weights = [8, 40, 40, 4, 3, 1, 1, 2, 2, profile.job_weights[9].min(8), 4, 4];
        }
        if matches!(salt % 32, 5 | 11 | 21 | 27) {
            profile.dead_letters = true;
            if salt % 64 < 32 {
                profile.flows = 0;
            }
        }
        if matches!(salt % 32, 7 | 15 | 17) {
            profile.dedups = true;
            profile.varied = false;
            profile.ordered = salt % 64 >= 32;
            // What a duplicate does is known where it is known which jobs are under a lease, and which are delayed.
            (profile.job_weights[8], profile.job_weights[9]) = (0, 0);
        }
        let mut of_jobs = Rng::new(salt, "durability of jobs");
        let relaxed = if profile.varied { of_jobs.chance(1, 3) } else { profile.jobs == 0 && kills.chance(1, 2) };
        if relaxed && profile.varied {
            // A log that is lost as a whole knows no time either, and jobs would be older than queues keep them.
            profile.set_clock_every = 0;
        }
        if relaxed {
            let interval = *kills.pick(&[1, 100, 1_000, 10_000]).unwrap_or(&100);
            profile.options.durability = Durability::Interval(Duration::from_millis(interval));
        }
        profile.options.blob_bytes_min = *machine.pick(&[100, 200, 1_000, 64 << 10]).unwrap_or(&200);
        profile.options.blob_segment_bytes = machine.between(1, 12) << 10;
        profile
    }
}
