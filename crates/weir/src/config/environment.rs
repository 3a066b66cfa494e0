//! What the environment says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::key::Key;
use super::nearest::nearest;
use super::origin::Origin;
use super::tree::keys;

/// Variables that other commands read.
const OTHERS: [&str; 6] =
    ["WEIR_CONFIG", "WEIR_URL", "WEIR_CA_FILE", "WEIR_ACCESS_KEY_ID", "WEIR_SECRET_ACCESS_KEY", "WEIR_BIN"];

/// The variables of the environment whose names start with `WEIR_`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the variables that are ours.
    pub(crate) fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        Self(variables.filter(|(name, _)| name.starts_with("WEIR_")).collect())
    }

    /// The process's own.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self::new(std::env::vars_os().filter_map(text))
    }

    /// The configuration file that it names.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.0.get("WEIR_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// What it sets.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static Key, String, Origin)> {
        keys().filter_map(|key| {
            let variable = key.variable();
            let text = self.0.get(&variable)?.clone();
            Some((key, text, Origin::Environment(variable)))
        })
    }

    /// Variables that look like a setting and are none.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let known: Vec<String> = keys().map(Key::variable).collect();
        let is_known = |name: &str| known.iter().any(|known| known == name) || OTHERS.contains(&name);
        let unknown = self.0.keys().filter(|name| !is_known(name));
        unknown
            .filter_map(|name| {
                let stem = |name: &str| name.trim_start_matches("WEIR_").to_lowercase();
                let stems: Vec<String> = known.iter().map(|name| stem(name)).collect();
                let near = nearest(&stem(name), stems.iter().map(String::as_str))?.to_uppercase();
                Some(format!("{name} is not a setting; did you mean WEIR_{near}?"))
            })
            .collect()
    }
}
