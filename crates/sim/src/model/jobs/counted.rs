//! Counters of queues of jobs.

use std::collections::BTreeSet;

use weir_core::api::{Counters, QueueId};

use super::super::Model;
use super::{Standing, State};

fn fields(counters: Counters) -> [u64; 6] {
    let Counters { ready, delayed, leased, waiting, completed, failed } = counters;
    [ready, delayed, leased, waiting, completed, failed]
}

fn field(standing: &Standing, queue: QueueId) -> Option<usize> {
    match standing.state {
        _ if standing.queue != queue => None,
        State::Ready => Some(0),
        State::Delayed => Some(1),
        State::Leased => Some(2),
        State::Waiting => Some(3),
        State::Completed => Some(4),
        State::Failed(_) => Some(5),
        State::Removed | State::KeptBack => None,
    }
}

impl Model {
    /// Compares counters with what they can be. Says when the oldest job that is certainly there was sent, and when all
    /// that may be there.
    pub(in crate::model) fn count_jobs(
        &self,
        id: QueueId,
        counters: Counters,
        at: u64,
    ) -> Result<(u64, Vec<(u64, u64)>), String> {
        let (mut least, mut most) = ([0; 6], [0; 6]);
        let (mut there, mut perhaps) = (0, 0);
        let (mut oldest, mut sent) = (u64::MAX, Vec::new());
        for job in self.jobs.all.values().filter(|job| job.may_be_in(id)) {
            let fields: BTreeSet<Option<usize>> = job.may.iter().map(|standing| field(standing, id)).collect();
            for at in fields.iter().flatten() {
                if let (Some(least), Some(most)) = (least.get_mut(*at), most.get_mut(*at)) {
                    *least += u64::from(fields.len() == 1);
                    *most += 1;
                }
            }
            perhaps += u64::from(fields.iter().any(Option::is_some));
            there += u64::from(!fields.contains(&None));
            // Those that have finished are not waited for.
            let waits = |standing: &Standing| standing.queue == id && standing.is_there() && !standing.is_finished();
            let latest = if job.sent_is_known { job.sent } else { at };
            if job.possibly(waits) {
                sent.push((job.sent, latest));
            }
            if job.certainly(waits) {
                oldest = oldest.min(latest);
            }
        }
        let found = fields(counters);
        let total: u64 = found.iter().sum();
        let fits = found.iter().zip(least).zip(most).all(|((found, least), most)| (least..=most).contains(found));
        if !fits || !(there..=perhaps).contains(&total) {
            return Err(format!(
                "queue {} says {counters:?}, which is not between {least:?} and {most:?}, and {there} to {perhaps} in all",
                id.0
            ));
        }
        Ok((oldest, sent))
    }
}
