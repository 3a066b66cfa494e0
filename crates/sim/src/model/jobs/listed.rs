//! Jobs listed page by page, and lines of their logs.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::api::job::{JobPage, JobRef, JobState, PageMark};
use weir_core::api::{Error, Lane, Listed, QueueId, Reply};

use super::super::{Checked, Model};
use super::{Job, Place, Standing};

/// What is known of a job that stays where it is.
type Stay = (Place, u64, u32);

/// Pages that follow each other.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// The jobs that were there all the time, unchanged.
    stable: BTreeMap<u64, Stay>,
    /// The jobs that were listed.
    seen: BTreeSet<u64>,
    /// How many pages there were.
    pages: u64,
}

/// What listings came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pages {
    /// Listings that went over several pages to their end.
    pub walks: u64,
    /// Jobs that such a listing had to have, and had.
    pub stayed: u64,
}

/// One page, as it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The queue.
    pub queue: QueueId,
    /// The state.
    pub state: JobState,
    /// After which mark.
    pub after: Option<&'a PageMark>,
    /// How many at most.
    pub max: u32,
    /// How many bytes at most.
    pub bytes_max: Option<u64>,
}

impl Model {
    /// A page holds jobs of its state in the order of that. Pages that follow each other, to the end, hold each job once
    /// that stayed where it was.
    pub(in crate::model) fn listed(&mut self, asked: Asked<'_>, reply: &Result<Reply, Error>) -> Checked {
        let Ok(Reply::Jobs(JobPage { jobs, next, .. })) = reply else {
            return Err(format!("a listing was answered with {reply:?}"));
        };
        self.check_page(asked, jobs)?;
        let key = |mark: &PageMark| (asked.queue, asked.state, mark.clone());
        let stable = self.staying(asked.queue, asked.state);
        let mut walk = match asked.after {
            None => Walk { stable, ..Walk::default() },
            Some(mark) => match self.jobs.walks.remove(&key(mark)) {
                Some(walk) => walk,
                // Nobody knows any more what came before.
                None => return Ok(()),
            },
        };
        let now = self.staying(asked.queue, asked.state);
        walk.stable.retain(|id, stay| now.get(id) == Some(stay));
        walk.pages += 1;
        for job in jobs {
            if !walk.seen.insert(job.id) && walk.stable.contains_key(&job.id) {
                return Err(format!("job {} was listed twice", job.id));
            }
        }
        let Some(next) = next else {
            if let Some(missed) = walk.stable.keys().find(|id| !walk.seen.contains(id)) {
                return Err(format!("job {missed} was there and was not listed"));
            }
            if walk.pages > 1 {
                self.jobs.pages.walks += 1;
                self.jobs.pages.stayed += walk.stable.len() as u64;
            }
            return Ok(());
        };
        self.jobs.walks.insert(key(next), walk);
        Ok(())
    }

    /// The jobs that are in a state beyond doubt, each with where it is.
    fn staying(&self, queue: QueueId, state: JobState) -> BTreeMap<u64, Stay> {
        let there = self.jobs.all.iter().filter(|(_, job)| job.may_be_in(queue));
        let stay = |job: &Job| match job.may.as_slice() {
            [standing] if standing.queue == queue && standing.is_told(state) => {
                Some((job.place, standing.due.from, standing.grants))
            }
            _ => None,
        };
        there.filter_map(|(id, job)| Some((*id, stay(job)?))).collect()
    }

    fn check_page(&mut self, asked: Asked<'_>, jobs: &[Listed]) -> Checked {
        if jobs.len() > asked.max as usize {
            return Err(format!("{} jobs came on a page of {}", jobs.len(), asked.max));
        }
        let bytes: u64 = jobs.iter().map(|job| job.bytes).sum();
        if jobs.len() > 1 && asked.bytes_max.is_some_and(|max| max < bytes) {
            return Err(format!("{bytes} bytes came on a page of {:?}", asked.bytes_max));
        }
        let fifo = self.is_fifo(asked.queue);
        let limited = !self.job_queue(asked.queue)?.config().limiters.is_empty();
        let mut dues = Vec::new();
        let mut lanes = BTreeMap::<Option<Lane>, Vec<(Place, u64)>>::new();
        for listed in jobs {
            let job = self.job(listed.id)?;
            job.see_in(asked.queue)?;
            let due = listed.due.map(|due| due.0);
            job.see(&format!("is listed as {listed:?}"), |standing: &Standing| {
                standing.is_told(asked.state)
                    && standing.receives == listed.receives
                    && (asked.state == JobState::Waiting || due.is_none_or(|due| standing.due.includes(due)))
            })?;
            let lane = if limited || job.has_moved() { job.lane } else { listed.lane };
            let told = (listed.bytes, listed.priority, lane);
            let sent = job.was_sent(listed.sent_at.0, u64::MAX);
            if !sent || told != (job.bytes, job.place.priority(), job.lane) {
                return Err(format!("job {} is listed as {listed:?}", job.number));
            }
            dues.extend(due);
            // Under limiters groups are apart by their keys.
            if !limited || fifo {
                lanes.entry(job.lane).or_default().push((job.place, listed.id));
            }
        }
        let in_order = match asked.state {
            JobState::Ready if fifo => lanes.values().all(|lane| lane.is_sorted_by_key(|(_, id)| *id)),
            JobState::Ready => lanes.values().all(|lane| lane.is_sorted()),
            JobState::Delayed | JobState::Leased => dues.is_sorted(),
            JobState::Completed | JobState::Failed => dues.is_sorted_by(|a, b| a >= b),
            JobState::Waiting | JobState::Removed => true,
        };
        if in_order { Ok(()) } else { Err(format!("the page is not in the order of {:?}", asked.state)) }
    }

    /// Lines of a log: those that are kept, from the one on that was asked for.
    pub(in crate::model) fn logs_read(
        &mut self,
        (queue, reference): (QueueId, JobRef),
        (from, max): (u64, u32),
        reply: &Result<Reply, Error>,
    ) -> Checked {
        let found = self.find_job(queue, reference);
        match (reply, found) {
            (Err(Error::JobNotFound), None) => Ok(()),
            (Err(Error::JobNotFound), Some(found)) => {
                self.job(found)?.see("was not found", |standing| standing.queue != queue || !standing.is_there())
            }
            (Ok(Reply::Logs { from: first, lines, total }), Some(found)) => {
                let job = self.job(found)?;
                job.see_in(queue)?;
                job.see("has a log", Standing::is_there)?;
                let (kept, all) = (job.logs_from, job.logs.len() as u64);
                let expected = from.clamp(kept, all);
                let count = u64::from(max.max(1)).min(all - expected);
                if (*first, lines.len() as u64, *total) != (expected, count, all) {
                    return Err(format!(
                        "of the log of job {} came {reply:?}, not {count} from {expected}",
                        job.number
                    ));
                }
                Ok(())
            }
            (reply, _) => Err(format!("asking for a log was answered with {reply:?}")),
        }
    }

    /// The lines that come along with an answer.
    pub fn log_lines(&self, queue: QueueId, reference: JobRef, from: u64, lines: usize) -> Vec<Vec<u8>> {
        let job = self.find_job(queue, reference).and_then(|id| self.jobs.all.get(&id));
        let logs = job.map(|job| job.logs.as_slice()).unwrap_or_default();
        logs.iter().skip(from as usize).take(lines).cloned().collect()
    }
}
