//! Copies taken while the shard is served: each is opened as a store of its own and compared with the model as it was at
//! the copy's sequence.

use weir_core::Time;
use weir_core::api::Command;
use weir_store::{Backup, StoreError};

use super::Run;
use crate::coverage::Coverage;
use crate::disk::{Faults, SimDisk};
use crate::model::{Checked, Model};
use crate::mutation::Mutation;
use crate::rng::Rng;

/// How far a copy has come.
#[derive(Debug, Default)]
pub(crate) enum Copying {
    /// Nobody wants one.
    #[default]
    Idle,
    /// One is wanted, with everything up to this sequence.
    Wanted(u64),
    /// One may be written, and what it has to hold.
    Ready(Box<(Backup, Model)>),
}

impl Run {
    /// Copies are asked for, come, and are written somewhat later, while the shard goes on.
    pub(super) fn copy(&mut self) -> Checked {
        let Some(life) = &mut self.life else { return Ok(()) };
        if life.driver.poisoned().is_some() || self.disk.is_dead() {
            return Ok(());
        }
        match std::mem::take(&mut self.copying) {
            Copying::Idle => {
                if self.profile.copy_every > 0 && self.machine.chance(1, self.profile.copy_every) {
                    life.driver.want_backup();
                    self.copying = Copying::Wanted(self.acknowledged);
                    self.say(|| "a copy is asked for".to_owned());
                }
                Ok(())
            }
            Copying::Wanted(least) => {
                let copy = match self.mutation {
                    Some(Mutation::CopyOfTheLastCheckpoint) => Some(life.driver.store().backup()),
                    _ => life.copy.take(),
                };
                let Some(copy) = copy else {
                    self.copying = Copying::Wanted(least);
                    return Ok(());
                };
                let (sequence, durable) = (copy.sequence(), life.driver.synced());
                if sequence < least || sequence > durable {
                    return Err(format!("a copy is at {sequence}; {least} was answered and {durable} is durable"));
                }
                self.say(|| format!("a copy at {sequence} is there"));
                self.copying = Copying::Ready(Box::new((copy, self.model_at(sequence)?)));
                Ok(())
            }
            Copying::Ready(copy) if self.machine.chance(1, 4) => self.write_copy(copy.0, copy.1),
            ready @ Copying::Ready(_) => {
                self.copying = ready;
                Ok(())
            }
        }
    }

    /// The model as it was when the state had this sequence.
    pub(super) fn model_at(&self, sequence: u64) -> Result<Model, String> {
        let mut model = self.base.clone();
        model.settled_until = 0;
        for effect in self.effects.iter().filter(|effect| effect.sequence <= sequence) {
            model.take(effect)?;
        }
        Ok(model)
    }

    fn write_copy(&mut self, copy: Backup, model: Model) -> Checked {
        let sequence = copy.sequence();
        let target = SimDisk::new(Rng::new(self.machine.next(), "copy"));
        let failures = self.failures();
        if self.profile.faults.reads > 0 && self.machine.chance(1, 4) {
            self.disk.set_faults(Faults { reads: 100_000, ..self.profile.faults });
        }
        let copied = copy.run(&target);
        self.disk.set_faults(Faults::default());
        let copied = match copied {
            Ok(copied) => copied,
            // One that was to be written while the tables were opened again after a failure is asked for anew.
            Err(error) if self.failures() > failures || failures > 0 && matches!(error, StoreError::Outdated) => {
                self.say(|| format!("the copy failed as it should: {error}"));
                self.coverage.copies_failed += 1;
                return Ok(());
            }
            Err(error) => return Err(format!("the copy failed: {error}")),
        };
        if copied.sequence != sequence {
            return Err(format!("the copy at {sequence} says that it is at {}", copied.sequence));
        }
        self.coverage.copies += 1;
        // What was said to be copied is on its disk: the machine may lose power at once.
        let disk = target.crash(&mut self.machine);
        let mut other = Run {
            disk,
            machine: Rng::new(self.machine.next(), "machine"),
            power: Rng::new(self.machine.next(), "power"),
            kills: Rng::new(self.machine.next(), "kills"),
            schedule: Rng::new(self.machine.next(), "schedule"),
            step: self.step,
            base: model,
            acknowledged: sequence,
            closed: true,
            trace: self.trace.take(),
            ..Run::new(self.seed, self.mutation, None)
        };
        other.say(|| "the copy is opened and compared".to_owned());
        let compared = other.compare_copy(sequence);
        other.say(|| "this was the copy".to_owned());
        self.trace = other.trace.take();
        let digest = other.digest;
        self.digest(&digest.to_string());
        compared.map_err(|wrong| format!("in the copy at {sequence}: {wrong}"))
    }

    fn compare_copy(&mut self, sequence: u64) -> Checked {
        self.open()?;
        let Some(life) = &mut self.life else { return Ok(()) };
        let found = life.driver.committed();
        if found != sequence {
            return Err(format!("it was opened at {found}"));
        }
        if self.mutation == Some(Mutation::CopyWithoutAQueuesMessages)
            && let Some((queue, _)) = self.model.queues_alive().next()
        {
            self.next_token += 1;
            let token = weir_core::api::Token(self.next_token);
            life.driver.submit(Time(self.now), token, Command::PurgeQueue { queue }, None);
        }
        self.finish()?;
        self.coverage = Coverage::default();
        Ok(())
    }
}
