//! Batches that fill are not kept waiting for longer than they were to.

use std::collections::BTreeMap;

use weir_core::api::{Command, Token};

use crate::model::{Checked, Offer};
use crate::run::Run;

/// What each batch that fills could have had all the time, and since when.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    since: BTreeMap<(Token, u64), (Offer, u64)>,
    /// When everything due had been dealt with first while each of those who wait was there, and first after its wait was
    /// over.
    first_seen: BTreeMap<Token, (u64, Option<u64>)>,
}

impl Run {
    /// Once everything due was dealt with, nobody waits for longer than he was to.
    pub(super) fn check_waits(&mut self) -> Checked {
        let before = std::mem::take(&mut self.filling.first_seen);
        for (token, pending) in &self.pending {
            let (Command::Receive { .. } | Command::Lease { .. }, None) = (&pending.command, &pending.made) else {
                continue;
            };
            let (wait_ms, linger_ms) = match pending.command {
                Command::Receive { wait_ms, .. } => (wait_ms, 0),
                Command::Lease { wait_ms, linger_ms, .. } => (wait_ms, linger_ms),
                _ => continue,
            };
            // One that had to wait for rows begins to wait when they are there.
            let (since, mut over) = before.get(token).copied().unwrap_or((self.now, None));
            if since + wait_ms < self.now {
                // A batch may have begun to fill until that was noticed.
                let over = *over.get_or_insert(self.now);
                if !pending.canceled && (linger_ms == 0 || over + linger_ms < self.now) {
                    return Err(format!("{} waits although its {wait_ms} ms are over", token.0));
                }
            }
            self.filling.first_seen.insert(*token, (since, over));
        }
        Ok(())
    }

    /// Once everything due was dealt with, no batch waits that is full, or that began to fill long enough ago.
    pub(super) fn check_batches(&mut self) -> Checked {
        let mut before = std::mem::take(&mut self.filling.since);
        for (token, pending) in &self.pending {
            let Command::Lease { queue, max, bytes_max, linger_ms, one_lane, .. } = pending.command else { continue };
            if linger_ms == 0 || pending.made.is_some() || pending.canceled {
                continue;
            }
            if !one_lane && self.model.fills(queue, max, bytes_max) {
                return Err(format!("lease {} waits although its batch is full", token.0));
            }
            for (job, offer) in self.model.offers(queue, self.now) {
                let kept = before.remove(&(*token, job)).filter(|(known, _)| *known == offer);
                let since = kept.map_or(self.now, |(_, since)| since);
                if since + linger_ms <= self.now {
                    return Err(format!("lease {} waits for its batch although {linger_ms} ms are over", token.0));
                }
                self.filling.since.insert((*token, job), (offer, since));
            }
        }
        Ok(())
    }
}
