//! Simulation of Weir: the shipped engine and the shipped store over simulated files and a simulated clock, all drawn
//! from one seed.
//!
//! [`run::run`] plays one seed: clients send commands, disks fail, the machine loses power, the clock jumps. After each
//! step [`model::Model`] says whether what was answered could be; at the end everything is drained and compared.
//! Nothing here is a second implementation of what it checks, and nothing of it is shipped.

pub mod coverage;
pub mod disk;
pub mod model;
pub mod mutation;
pub mod rng;
pub mod run;

mod clocks;
mod inbox;
mod profile;
mod quiet;
mod workload;
