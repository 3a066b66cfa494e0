//! Flags: one for every key.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::key::{Key, Section};
use super::kind::Kind;
use super::origin::Origin;
use super::tree::{SECTIONS, keys};

/// What the command line says of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// The configuration file that it names.
    pub(crate) file: Option<PathBuf>,
    set: Vec<(&'static Key, String)>,
}

impl Flags {
    /// What it sets.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static Key, String, Origin)> {
        self.set.iter().map(|(key, text)| (*key, text.clone(), Origin::Flag(format!("--{}", key.flag()))))
    }

    #[cfg(test)]
    pub(crate) fn of(file: Option<PathBuf>, set: &[(&str, &str)]) -> Self {
        let key = |path: &str| keys().find(|key| key.path == path).expect("a key that exists");
        Self { file, set: set.iter().map(|(path, text)| (key(path), (*text).to_owned())).collect() }
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let set = keys().filter_map(|key| Some((key, matches.get_one::<String>(key.path)?.clone())));
        Ok(Self { file: matches.get_one::<PathBuf>("config").cloned(), set: set.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Reads the configuration from this file [env: WEIR_CONFIG] [default: weir.toml, if it is there]");
        let sections = SECTIONS.into_iter().filter(|section| !section.repeats);
        command.arg(file).args(sections.flat_map(|section| section.keys.iter().map(move |key| flag(section, key))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(section: &Section, key: &'static Key) -> Arg {
    let mut notes = format!("[env: {}]", key.variable());
    if !key.default.is_empty() {
        notes = format!("{notes} [default: {}]", key.default);
    }
    let arg = Arg::new(key.path)
        .long(key.flag())
        .value_name(key.kind.placeholder())
        .action(ArgAction::Set)
        .help(format!("{} {notes}", key.paragraph().replace('`', "")))
        .hide_short_help(!section.table.is_empty() && section.table != "compat")
        .help_heading(match section.table {
            "" => "Server".to_owned(),
            table => format!("[{table}] {}", super::key::paragraph(section.about)),
        });
    match key.kind {
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::OneOf(words) => arg.value_parser(clap::builder::PossibleValuesParser::new(words)),
        _ => arg,
    }
}
