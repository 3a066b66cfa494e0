//! Which paths a set of runs went through.

use std::fmt;

use weir_core::api::Error;
use weir_core::api::job::{Child, JobState, NewJob, Parent, Settled, Settlement};

use crate::model::Duplicates;

macro_rules! coverage {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often each path was taken.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Coverage {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Coverage {
            /// Adds what another run went through.
            pub fn add(&mut self, other: &Coverage) {
                $(self.$name += other.$name;)*
            }

            /// The paths that were never taken.
            pub fn missing(&self) -> Vec<&'static str> {
                [$((stringify!($name), self.$name)),*].into_iter().filter(|(_, n)| *n == 0).map(|(name, _)| name).collect()
            }
        }

        impl fmt::Display for Coverage {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>12} {}", self.$name, stringify!($name).replace('_', " "))?;)*
                Ok(())
            }
        }
    };
}

coverage! {
    /// Commands that took effect.
    effects,
    /// Answers that clients had.
    answers,
    /// Losses of power.
    crashes,
    /// Losses of power in the middle of a call to the disk.
    crashes_inside_calls,
    /// Losses of power while the shard was being opened.
    crashes_while_opening,
    /// Kills of the process.
    kills,
    /// Syncs of what was acknowledged before.
    syncs,
    /// Losses of power when something was acknowledged and not synced.
    acknowledged_and_not_synced,
    /// Commands that took effect and were undone by a loss of power.
    undone,
    /// Clean ends.
    closes,
    /// Checkpoints.
    checkpoints,
    /// Segments recycled.
    segments_recycled,
    /// Bodies written to blob segments.
    blobs_written,
    /// Blob segments removed.
    blob_segments_removed,
    /// Bodies moved out of blob segments that were mostly dead.
    blobs_compacted,
    /// Groups replayed.
    groups_replayed,
    /// Torn groups cut off.
    torn_tails,
    /// Rows that went to the tables.
    rows_spilled,
    /// Windows loaded again.
    windows_refilled,
    /// Windows dropped for want of room.
    windows_evicted,
    /// Commands that waited for rows.
    commands_parked,
    /// Payloads read from the disk.
    bodies_loaded,
    /// Producers refused because the disk was full.
    refused_disk_full,
    /// Producers refused because checkpoints lagged behind.
    refused_overloaded,
    /// Shards stopped by a failed write or sync.
    poisonings,
    /// Shards stopped after a read had failed.
    poisonings_by_reads,
    /// Checkpoints that could not read what they had to, and were tried again.
    checkpoints_unread,
    /// Writes and syncs that were made to fail.
    failed_calls,
    /// Unsynced writes torn by a loss of power.
    writes_torn,
    /// Messages dropped as duplicates.
    duplicates,
    /// Messages delivered as dead letters.
    dead_letters,
    /// Messages delivered again after a lease had ended.
    redeliveries,
    /// Receives that waited and got something.
    long_polls_served,
    /// Receives made again under their attempt's id that brought the same.
    attempts_repeated,
    /// Sends for an old configuration.
    stale_sends,
    /// Purges.
    purges,
    /// Queues deleted.
    queues_deleted,
    /// Leases changed.
    visibility_changes,
    /// Deletions by a handle that was not the newest or not one at all.
    odd_deletes,
    /// Reads that were made to fail.
    failed_reads,
    /// Times when the wall clock was set forward.
    clock_set_forward,
    /// Times when the wall clock was set back.
    clock_set_back,
    /// Readings of an engine time that drifts towards wall time, or has.
    readings_slewed,
    /// Shards opened when wall time was before the latest time stored.
    openings_behind_the_log,
    /// Copies made while serving, each compared in full.
    copies,
    /// Copies given up because the disk failed.
    copies_failed,
    /// Jobs added.
    jobs_added,
    /// Jobs kept away by another one of their id.
    jobs_duplicate,
    /// Jobs dropped since another one has their deduplication id.
    duplicates_dropped,
    /// Jobs dropped since one that has finished has their deduplication id for some time.
    duplicates_dropped_for_finished,
    /// Jobs that started the time anew for which their deduplication id counts.
    duplicates_extended,
    /// Jobs that took the place of another one of their deduplication id.
    duplicates_replaced,
    /// Jobs that gave their time to another one of their deduplication id.
    duplicates_rescheduled,
    /// Jobs kept back until another one of their deduplication id had ended.
    duplicates_kept_back,
    /// Such jobs that came.
    kept_back_that_came,
    /// Jobs that keep others away again, since they are tried again.
    deduplicating_again,
    /// Deduplication ids made free.
    deduplication_ids_freed,
    /// Duplicates in FIFO queues that did something to the first one, or were kept back.
    ordered_duplicates,
    /// Additions that were made before under their idempotency keys.
    additions_repeated,
    /// Jobs reported on.
    jobs_reported,
    /// Jobs leased.
    jobs_leased,
    /// Jobs completed.
    jobs_completed,
    /// Attempts that failed and are followed by another one.
    jobs_tried_again,
    /// Jobs that their workers gave up.
    jobs_failed,
    /// Jobs leased after a worker was lost.
    jobs_stalled,
    /// Jobs leased after an attempt took too long, or failed.
    jobs_failed_before,
    /// Jobs leased as dead letters.
    dead_jobs_leased,
    /// Jobs moved to another queue by hand.
    jobs_moved_by_hand,
    /// Work given back.
    jobs_released,
    /// Heartbeats.
    jobs_extended,
    /// Settlements of leases that were lost.
    stale_settlements,
    /// Jobs told of, with all that belongs to them.
    jobs_described,
    /// Jobs that were waited for until their end.
    ends_awaited,
    /// Jobs changed by hand.
    jobs_changed,
    /// Jobs whose waiting was explained with a time.
    jobs_explained,
    /// Jobs leased from FIFO queues.
    ordered_jobs_leased,
    /// Leases from FIFO queues while groups waited for one of theirs that had failed.
    groups_held,
    /// Jobs that were explained by their group.
    jobs_explained_by_their_group,
    /// Jobs put back with a pause of a limiter's keys.
    keys_left_alone,
    /// Jobs put back with a pause of their queue.
    queues_left_alone,
    /// Batches that were full before they had waited for as long as they might.
    batches_filled,
    /// Batches that had waited for long enough.
    batches_over,
    /// Batches of several jobs, all of one group.
    batches_of_one_group,
    /// Listings of jobs that went over several pages to their end.
    listings_to_the_end,
    /// Jobs that such listings had to have, and had once.
    jobs_listed_once,
    /// Lines read of the logs of jobs.
    log_lines_read,
    /// Permits taken back whose clients were gone.
    permits_returned,
    /// Leases taken back whose workers were gone.
    leases_returned,
    /// Losses of power when something of jobs was acknowledged and not synced.
    jobs_acknowledged_and_not_synced,
    /// Starts under limiters that left and that a loss of power undid.
    starts_forgotten,
    /// Trees of jobs added by one command.
    trees_added,
    /// Children added to jobs that were there.
    children_added_late,
    /// Children refused, since the job does not wait.
    children_refused,
    /// Work that waits for children added meanwhile.
    waits_for_children,
    /// Parents leased when their children had ended.
    parents_leased,
    /// Parents leased from FIFO queues.
    ordered_parents_leased,
    /// Parents leased before all of their children had, since one failed.
    parents_leased_early,
    /// Parents that failed with a child.
    parents_failed,
    /// Children told of as done, with what came of them.
    results_of_children,
    /// Children told of as failed.
    failures_of_children,
    /// Children that their parents forgot when they failed.
    children_forgotten,
    /// Children that went with their parents.
    children_removed,
    /// Children that left their parents.
    children_that_left,
    /// Parents removed without their children.
    parents_removed_alone,
    /// Jobs whose waiting for children was explained.
    parents_explained,
    /// Shards opened when parents were still to be told of what had happened.
    openings_with_ends_untold,
    /// Limiters created or changed.
    limiters_put,
    /// Permits granted, at once or later.
    permits_granted,
    /// Permits that were not granted.
    permits_refused,
    /// Keys paused.
    keys_paused,
    /// Starts that left under limiters.
    limited_starts,
    /// Queues paused.
    pauses,
    /// Full comparisons with the model.
    comparisons,
}

impl Coverage {
    /// Duplicates came by their deduplication ids: so many more than before.
    pub(crate) fn deduplicated(&mut self, before: Duplicates, now: Duplicates) {
        self.duplicates_dropped += now.dropped - before.dropped;
        self.duplicates_dropped_for_finished += now.dropped_for_finished - before.dropped_for_finished;
        self.duplicates_extended += now.extended - before.extended;
        self.duplicates_replaced += now.replaced - before.replaced;
        self.duplicates_rescheduled += now.rescheduled - before.rescheduled;
        self.duplicates_kept_back += now.kept_back - before.kept_back;
        self.kept_back_that_came += now.came - before.came;
        self.deduplicating_again += now.again - before.again;
        self.deduplication_ids_freed += now.freed - before.freed;
        self.ordered_duplicates += now.in_order - before.in_order;
    }

    /// Jobs were added, perhaps some that wait for others.
    pub(crate) fn flow_added(&mut self, jobs: &[NewJob]) {
        let parents = jobs.iter().filter_map(|job| job.message.options.as_ref()?.parent);
        let late = parents.filter(|parent| matches!(parent, Parent::Existing { .. })).count() as u64;
        self.children_added_late += late;
        let within = |job: &NewJob| {
            job.message.options.as_ref().is_some_and(|options| matches!(options.parent, Some(Parent::Added(_))))
        };
        self.trees_added += u64::from(jobs.iter().any(within));
    }

    /// The children of a job were told.
    pub(crate) fn children_told(&mut self, children: &[Child]) {
        for child in children {
            match (child.state, &child.result) {
                (JobState::Completed, Some(_)) => self.results_of_children += 1,
                (JobState::Failed, Some(_)) => self.failures_of_children += 1,
                _ => {}
            }
        }
    }

    /// A lease was settled, or not.
    pub(crate) fn settled(&mut self, settlement: &Settlement, settled: &Result<Settled, Error>) {
        let path = match (settlement, settled.as_ref().map(|settled| settled.state)) {
            (_, Err(_)) => &mut self.stale_settlements,
            (Settlement::Complete { .. }, _) => &mut self.jobs_completed,
            (Settlement::Fail { .. }, Ok(JobState::Failed)) => &mut self.jobs_failed,
            (Settlement::Fail { .. }, _) => &mut self.jobs_tried_again,
            (Settlement::Release { .. }, _) => &mut self.jobs_released,
            (Settlement::WaitForChildren, Ok(JobState::Waiting)) => &mut self.waits_for_children,
            (Settlement::Extend { .. } | Settlement::WaitForChildren, _) => &mut self.jobs_extended,
        };
        *path += 1;
    }
}
