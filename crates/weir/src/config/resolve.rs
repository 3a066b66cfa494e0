//! From flags, environment, file and defaults to the settings that hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::access;
use super::environment::Environment;
use super::file::{self, Repeated};
use super::flags::Flags;
use super::key::{Key, Range};
use super::kind::{self, Setting};
use super::origin::Origin;
use super::problem::{Problem, Problems};
use super::secret::MASK;
use super::tree::{Settings, keys};

/// The file that is read when none is named.
pub(crate) const FILE: &str = "weir.toml";

/// A value and where it comes from.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) key: &'static Key,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.key.kind == kind::Kind::Secret { MASK } else { &self.text };
        f.debug_struct("Value").field("key", &self.key.path).field("text", &text).field("origin", &self.origin).finish()
    }
}

/// The value of every key of a table, or of all tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// The defaults of `keys`.
    pub(crate) fn defaults(keys: impl Iterator<Item = &'static Key>) -> Self {
        let value = |key: &'static Key| Value { key, text: key.default.to_owned(), origin: Origin::Default };
        Self(keys.map(|key| (key.path, value(key))).collect())
    }

    /// Replaces a value.
    pub(crate) fn set(&mut self, key: &'static Key, text: String, origin: Origin) {
        self.0.insert(key.path, Value { key, text, origin });
    }

    /// Reads the value of a key.
    pub(crate) fn read<T: Setting>(&self, path: &str, range: &Range) -> Result<T, Problem> {
        let (text, origin) =
            self.0.get(path).map_or(("", Origin::Default), |value| (value.text.as_str(), value.origin.clone()));
        kind::read(text, range).map_err(|reason| Problem::new(origin, format!("{path} {reason}")))
    }

    /// The value of a key.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        self.0.get(path)
    }
}

/// The configuration that holds.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Its settings.
    pub(crate) settings: Settings,
    /// Every value with its origin.
    pub(crate) values: Values,
    /// The tables that may be there several times.
    pub(crate) repeated: Vec<Values>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// What is probably not meant so.
    pub(crate) warnings: Vec<String>,
}

/// Finds out what holds. Reads the file and the files of secrets, and nothing else from outside.
pub(crate) fn resolve(flags: &Flags, environment: &Environment) -> Result<Resolved, Problems> {
    let mut problems = Vec::new();
    let mut values = Values::defaults(keys());
    let mut repeated = Vec::new();
    let file = find_file(flags, environment);
    if let Some((path, origin)) = &file {
        match read_file(path) {
            Ok(text) => {
                let contents = file::parse(path, &text);
                problems.extend(contents.problems);
                for (key, text, origin) in contents.values {
                    values.set(key, text, origin);
                }
                repeated.extend(contents.repeated.into_iter().map(complete));
            }
            Err(reason) => problems.push(Problem::new(origin.clone(), reason)),
        }
    }
    for (key, text, origin) in environment.values().chain(flags.values()) {
        match (key.check)(&text) {
            Ok(()) => values.set(key, text, origin),
            Err(reason) => problems.push(Problem::new(origin, format!("{} {reason}", key.path))),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let mut settings = Settings::read(&values).map_err(|problem| Problems(vec![problem]))?;
    settings.keys = access::read(&repeated).map_err(Problems)?;
    let file = file.map(|(path, _)| path);
    Ok(Resolved { settings, values, repeated, file, warnings: environment.warnings() })
}

/// A table with the defaults of the keys that it does not name.
fn complete(found: Repeated) -> Values {
    let section = super::tree::SECTIONS.into_iter().find(|section| section.table == found.table);
    let mut values = Values::defaults(section.into_iter().flat_map(|section| section.keys));
    for value in values.0.values_mut() {
        // What must be given is missed where the table starts.
        if value.text.is_empty() {
            value.origin = found.origin.clone();
        }
    }
    for (key, text, origin) in found.values {
        values.set(key, text, origin);
    }
    values
}

fn find_file(flags: &Flags, environment: &Environment) -> Option<(PathBuf, Origin)> {
    if let Some(path) = &flags.file {
        return Some((path.clone(), Origin::Flag("--config".to_owned())));
    }
    if let Some(path) = environment.file() {
        return Some((path, Origin::Environment("WEIR_CONFIG".to_owned())));
    }
    Path::new(FILE).is_file().then(|| (PathBuf::from(FILE), Origin::Default))
}

fn read_file(path: &Path) -> Result<String, String> {
    let cannot = |reason: &dyn std::fmt::Display| format!("cannot read {}: {reason}", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(|error| cannot(&error))?;
    file.take(file::BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| cannot(&error))?;
    if text.len() as u64 > file::BYTES_MAX {
        return Err(cannot(&format!("it is longer than {} bytes", file::BYTES_MAX)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::show;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file_and_that_over_defaults() {
        let (_folder, path) = file("region = \"file\"\n[http]\nbody_timeout = \"1s\"\nstop_timeout = \"1s\"\n");
        let flags = Flags::of(Some(path), &[("http.body_timeout", "3s")]);
        let environment = environment(&[("WEIR_HTTP_BODY_TIMEOUT", "2s"), ("WEIR_HTTP_STOP_TIMEOUT", "2s")]);
        let resolved = resolve(&flags, &environment).unwrap();
        let http = &resolved.settings.http;
        assert_eq!(http.body_timeout, Duration::from_secs(3));
        assert_eq!(http.stop_timeout, Duration::from_secs(2));
        assert_eq!(resolved.settings.general.region, "file");
        assert_eq!(http.header_timeout, Duration::from_mins(1));
        let origin = |path: &str| resolved.values.get(path).unwrap().origin.to_string();
        assert_eq!(origin("http.body_timeout"), "--http-body-timeout");
        assert_eq!(origin("http.stop_timeout"), "WEIR_HTTP_STOP_TIMEOUT");
        assert!(origin("region").ends_with("weir.toml:1"));
        assert_eq!(origin("http.header_timeout"), "default");
    }

    #[test]
    fn a_certificate_and_its_key_need_each_other() {
        for (set, text) in [
            (("WEIR_TLS_CERTIFICATE", "a.pem"), "WEIR_TLS_CERTIFICATE: tls.certificate needs tls.key beside it"),
            (("WEIR_TLS_KEY", "b.pem"), "WEIR_TLS_KEY: tls.key needs tls.certificate beside it"),
        ] {
            let error = resolve(&Flags::of(None, &[]), &environment(&[set])).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        let both = environment(&[("WEIR_TLS_CERTIFICATE", "a.pem"), ("WEIR_TLS_KEY", "b.pem")]);
        let tls = resolve(&Flags::of(None, &[]), &both).unwrap().settings.tls;
        assert_eq!(tls.key, Some(PathBuf::from("b.pem")));
    }

    #[test]
    fn a_wrong_value_is_refused_where_it_stands() {
        let error = resolve(&Flags::of(None, &[]), &environment(&[("WEIR_STORAGE_OVERLAY", "lots")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "WEIR_STORAGE_OVERLAY: storage.overlay must be a size such as 256MiB, found \"lots\""
        );
    }

    fn keys_of(text: &str) -> Result<Vec<weir_server::AccessKey>, String> {
        let (_folder, path) = file(text);
        let resolved = resolve(&Flags::of(Some(path.clone()), &[]), &environment(&[]));
        resolved
            .map(|resolved| resolved.settings.keys)
            .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "weir.toml"))
    }

    #[test]
    fn keys_are_read_with_their_secrets_from_the_file_or_files_of_their_own() {
        let (_folder, secret) = file("0123456789abcdef\n");
        let text = format!(
            "[[keys]]\nid = \"mail\"\nsecret = \"fedcba9876543210\"\nrole = \"write\"\nnamespace = \"000000000007\"\n\
             [[keys]]\nid = \"ops\"\nsecret_file = {secret:?}\nrole = \"admin\"\n"
        );
        let keys = keys_of(&text).unwrap();
        let told: Vec<_> =
            keys.iter().map(|key| (key.id.as_str(), key.secret.as_str(), key.namespace.0, key.role)).collect();
        assert_eq!(
            told,
            [
                ("mail", "fedcba9876543210", 7, weir_server::Role::Write),
                ("ops", "0123456789abcdef", 0, weir_server::Role::Admin)
            ]
        );
    }

    #[test]
    fn a_key_that_lacks_something_is_named_with_its_line() {
        let key = |id: &str, rest: &str| format!("\n[[keys]]\nid = \"{id}\"\n{rest}");
        for (text, problem) in [
            ("[[keys]]\n".to_owned(), "weir.toml:1: keys.id must be 1 to 128 letters, digits and _, found \"\""),
            (
                key("a", "secret = \"0123456789abcdef\"\n"),
                "weir.toml:2: keys.role must be one of read, write, admin, found \"\"",
            ),
            (key("a", "role = \"read\""), "weir.toml:3: keys: each needs either secret or secret_file"),
            (
                key("a", "role = \"read\"\nsecret = \"short\""),
                "weir.toml:5: keys.secret: a secret must have 16 to 256 characters",
            ),
            (key("a", "rle = \"read\""), "weir.toml:4: there is no key keys.rle; did you mean keys.role?"),
            (key("a", "role = \"root\""), "weir.toml:4: keys.role must be one of read, write, admin, found \"root\""),
            ("[keys]\nid = \"a\"".to_owned(), "weir.toml:1: keys: is written as [[keys]], once for each"),
        ] {
            assert_eq!(keys_of(&text).unwrap_err(), problem, "{text}");
        }
        let whole = key("a", "role = \"read\"\nsecret = \"0123456789abcdef\"\n");
        assert_eq!(keys_of(&format!("{whole}{whole}")).unwrap_err(), "weir.toml:8: keys.id \"a\" is there twice");
        let lost = keys_of(&key("a", "role = \"read\"\nsecret_file = \"/nowhere\"")).unwrap_err();
        assert!(lost.starts_with("weir.toml:5: keys.secret_file: cannot read /nowhere: "), "{lost}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let (_folder, path) = file("[[keys]]\nid = \"mail\"\nsecret = \"fedcba9876543210\"\nrole = \"write\"\n");
        let resolved = resolve(&Flags::of(Some(path), &[]), &environment(&[])).unwrap();
        for shown in [show::table(&resolved), show::json(&resolved), format!("{resolved:?}")] {
            assert!(shown.contains("mail") && !shown.contains("fedcba9876543210"), "{shown}");
        }
    }

    #[test]
    fn a_named_file_must_be_there() {
        let error = resolve(&Flags::of(Some("/nowhere/weir.toml".into()), &[]), &environment(&[])).unwrap_err();
        assert!(error.to_string().starts_with("--config: cannot read /nowhere/weir.toml: "), "{error}");
    }

    #[test]
    fn a_variable_that_is_nearly_a_setting_is_warned_of() {
        let environment = environment(&[("WEIR_LISTNE", "x"), ("WEIR_BIN", "x"), ("WEIR_URL", "x"), ("HOME", "x")]);
        let resolved = resolve(&Flags::of(None, &[]), &environment).unwrap();
        assert_eq!(resolved.warnings, ["WEIR_LISTNE is not a setting; did you mean WEIR_LISTEN?"]);
    }
}
