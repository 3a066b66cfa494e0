//! One step: requests go out, time passes, work is done, and what came of it is checked.

use weir_core::Time;
use weir_core::api::{Command, Token};

use super::{Pending, Run};
use crate::inbox::Note;
use crate::model::{Checked, Effect};

impl Run {
    pub(super) fn one_step(&mut self) -> Checked {
        if self.disk.is_dead() {
            return self.die();
        }
        self.draw_faults();
        for _ in 0..self.workload.below(3) {
            self.clients.now = self.now;
            let command = if self.workload.chance(self.profile.jobs, 10) {
                self.clients.draw_job(&mut self.workload, &self.profile)
            } else {
                self.clients.draw(&mut self.workload, &self.profile)
            };
            if self.workload.chance(1, 12) {
                self.network.push(self.clients.repeat(&command));
            }
            self.network.push(command);
        }
        self.deliver()?;
        self.pass_time()?;
        if self.schedule.chance(7, 10) {
            self.tick()?;
        }
        self.work()?;
        self.copy()?;
        if self.disk.is_dead() {
            return self.die();
        }
        self.check_state()?;
        if self.life.as_ref().is_some_and(|life| life.driver.poisoned().is_some()) {
            return self.after_poison();
        }
        if self.profile.crash_every > 0 && self.power.chance(1, self.profile.crash_every) {
            return self.crash();
        }
        if self.profile.kill_every > 0 && self.kills.chance(1, self.profile.kill_every) {
            return self.kill();
        }
        if self.schedule.chance(1, 150) {
            return self.close();
        }
        if self.schedule.chance(1, 40) {
            return self.settle();
        }
        Ok(())
    }

    /// Some of the requests under way arrive, in any order.
    fn deliver(&mut self) -> Checked {
        while !self.network.is_empty() && self.workload.chance(3, 4) {
            let at = self.workload.index(self.network.len());
            let command = self.network.swap_remove(at);
            self.submit(command)?;
        }
        Ok(())
    }

    pub(crate) fn submit(&mut self, mut command: Command) -> Checked {
        let Some(life) = &mut self.life else { return Ok(()) };
        self.next_token += 1;
        let token = Token(self.next_token);
        let told = format!("{} {command:?}", token.0);
        if let Command::Cancel { receive } = &command
            && let Some(pending) = self.pending.get_mut(receive)
        {
            pending.canceled = true;
        }
        let answered = !matches!(
            command,
            Command::Cancel { .. }
                | Command::Return { .. }
                | Command::Released { .. }
                | Command::PermitReleased { .. }
                | Command::PermitReturned { .. }
        );
        if answered {
            let pending = Pending { command: command.clone(), submitted: self.now, made: None, canceled: false };
            self.pending.insert(token, pending);
            if matches!(
                command,
                Command::Receive { .. } | Command::Lease { .. } | Command::DescribeJob { .. } | Command::Acquire { .. }
            ) {
                self.clients.receives.push(token);
            }
        }
        let original = command.clone();
        if let Some(mutation) = self.mutation {
            mutation.alter_command(&mut command, &self.coverage);
        }
        let parked = life.driver.figures().parked;
        let written = life.driver.store().unsealed_bytes();
        let responder = answered.then(|| self.inbox.responder(token));
        let poisoned = life.driver.poisoned().is_some();
        life.driver.submit(Time(self.now), token, command, responder);
        if life.driver.figures().parked > parked && life.driver.store().unsealed_bytes() != written {
            return Err(format!("a command wrote something and then had to wait for rows: {told}"));
        }
        if let Command::Released { .. } | Command::PermitReleased { .. } = &original {
            self.model.released(life.driver.figures().parked > parked, self.now);
        }
        if let (Command::Return { .. } | Command::PermitReturned { .. }, false) = (&original, poisoned) {
            let effect = Effect {
                token,
                submitted: self.now,
                at: self.now,
                sequence: life.driver.store().sequence(),
                reply: None,
                canceled: life.driver.figures().parked > parked,
                command: original,
            };
            self.model.take(&effect)?;
            self.effects.push(effect);
        }
        self.say(|| told);
        self.listen()
    }

    fn pass_time(&mut self) -> Checked {
        let passed = match self.schedule.below(20) {
            0..=7 => 0,
            8..=13 => self.schedule.below(50),
            14..=17 => self.schedule.below(3_000),
            18 => self.schedule.below(40_000),
            _ if self.schedule.chance(1, 4) => self.schedule.below(400_000),
            _ => self.schedule.below(10_000),
        };
        // Where more is done before leases end.
        self.pass(if self.profile.varied && self.seed.is_multiple_of(3) { passed / 8 } else { passed })
    }

    /// Milliseconds pass on the monotonic clock.
    pub(crate) fn pass(&mut self, passed: u64) -> Checked {
        self.clocks.pass(passed);
        self.clocks.check()?;
        self.coverage.readings_slewed += u64::from(self.clocks.is_slewed());
        self.now = self.clocks.now();
        Ok(())
    }

    pub(crate) fn tick(&mut self) -> Checked {
        let Some(life) = &mut self.life else { return Ok(()) };
        let now = Time(self.now);
        for _ in 0..100 {
            life.driver.tick(now);
            if life.driver.next_deadline() > now {
                break;
            }
        }
        let settled = life.loads == 0 && life.driver.next_deadline() > now && life.driver.poisoned().is_none();
        life.gather(self.now);
        let settled = settled && life.loads == 0;
        self.listen()?;
        if settled {
            self.model.settled_until = self.now;
            self.model.releases_settled(self.now);
            self.model.pass(self.now);
            self.rest();
            self.check_waiting()?;
        }
        Ok(())
    }

    /// Some of the work is done, and some of its results arrive.
    fn work(&mut self) -> Checked {
        for _ in 0..6 {
            let Some(life) = &mut self.life else { return Ok(()) };
            life.gather(self.now);
            let worked = self.schedule.chance(self.profile.eagerness, 10) && life.work(&mut self.schedule);
            let told = self.schedule.chance(self.profile.eagerness, 10) && life.tell(self.now, &mut self.schedule);
            if !worked && !told {
                break;
            }
            self.listen()?;
        }
        Ok(())
    }

    /// Does all the work that there is, and tells all results.
    pub(crate) fn work_off(&mut self) -> Checked {
        for _ in 0..10_000 {
            let Some(life) = &mut self.life else { return Ok(()) };
            life.gather(self.now);
            let worked = life.work(&mut self.schedule);
            let told = life.tell(self.now, &mut self.schedule);
            self.listen()?;
            if !worked && !told {
                return Ok(());
            }
        }
        Err("the work has no end".to_owned())
    }

    /// Takes in what the shard said.
    pub(crate) fn listen(&mut self) -> Checked {
        for note in self.inbox.take() {
            match note {
                Note::Made { token, sequence, reply } => self.made(token, sequence, reply)?,
                Note::Answered { token, answer } => self.answered(token, answer)?,
            }
        }
        Ok(())
    }
}
