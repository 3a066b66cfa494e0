//! Simulation of Weir: the shipped engine and the shipped store over simulated files and a simulated clock, all drawn
//! from one seed.

pub mod disk;
pub mod rng;
