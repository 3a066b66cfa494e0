//! Duplicates that move jobs of a FIFO queue: what one command takes out of a group, brings into it, or takes through it.
//!
//! Whoever stands behind a job that leaves its group may lead it then. A command with one job finds that one where any
//! change of a job does; of several the next may leave, too, or have come by the very command that moves it on.

use std::collections::BTreeSet;

use super::{Engine, Stop, lanes, prepare_each};
use crate::api::job::JobDedup;
use crate::api::{Kind, NewMessage, QueueId};
use crate::head::Head;
use crate::kv::View;

impl JobDedup {
    /// Whether it may change when, or where, another job stands.
    fn moves(&self) -> bool {
        self.replace || self.reschedule
    }
}

impl Engine {
    /// Reads what duplicates among the new jobs of a command read of the groups that they touch. What each of them reads
    /// alone has been read.
    pub(super) fn prepare_duplicates<'a, S: View>(
        &self,
        state: &S,
        jobs: &(impl ExactSizeIterator<Item = (QueueId, &'a NewMessage)> + Clone),
    ) -> Result<(), Stop> {
        if jobs.len() < 2 {
            return Ok(());
        }
        let dedup = |message: &NewMessage| message.options.as_ref().and_then(|options| options.dedup);
        let moving = jobs.clone().filter(|(_, message)| dedup(message).is_some_and(|dedup| dedup.moves()));
        let queues: BTreeSet<QueueId> = moving.clone().map(|(id, _)| id).collect();
        for id in queues {
            let Some(queue) = self.queues.get(&id).filter(|queue| queue.public.kind == Kind::Fifo) else { continue };
            let of_queue = |job: &(QueueId, &NewMessage)| job.0 == id;
            let mut touched = BTreeSet::new();
            for (_, message) in jobs.clone().filter(of_queue) {
                touched.extend(queue.limits_of(message.lane, message.limits.as_deref()).0);
            }
            // Of those that come by this command none is before that.
            let (mut first, mut count) = (self.last_id + 1, 0);
            prepare_each(moving.clone().filter(of_queue), |(_, message)| {
                count += 1;
                let Some(dedup) = dedup(message) else { return Ok(()) };
                let Some(job) = self.dedup_job(state, queue, dedup.hash)? else { return Ok(()) };
                let head = state.get(&queue.space.message(job), 0)?.map(Head::read).transpose()?;
                if let Some(lane) = head.and_then(|head| head.lane) {
                    touched.insert(lane);
                    first = first.min(job);
                }
                Ok(())
            })?;
            prepare_each(touched.into_iter(), |lane| lanes::prepare_leaving(state, queue.space, lane, first, count))?;
        }
        Ok(())
    }
}
