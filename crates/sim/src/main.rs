//! Replays one seed: `weir-sim --seed N [--verbose]`.

use std::io::{self, Write};
use std::process::ExitCode;

use weir_sim::run;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().position(|found| found == name).and_then(|at| arguments.get(at + 1));
    let Some(seed) = after("--seed").and_then(|seed| seed.parse().ok()) else {
        say("usage: weir-sim --seed N [--verbose]");
        return ExitCode::from(2);
    };
    let outcome = if arguments.iter().any(|found| found == "--verbose") {
        run::tell(seed, Box::new(|line| say(&line)))
    } else {
        run::run(seed)
    };
    match outcome {
        Ok(outcome) => {
            say(&format!("seed {seed}: nothing wrong, digest {:016x}\n{}", outcome.digest, outcome.coverage));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(&format!("seed {seed}, step {}: {}", failure.step, failure.wrong));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // A reader that went away is no reason to fail.
    drop(writeln!(io::stdout(), "{line}"));
}
