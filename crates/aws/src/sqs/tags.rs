//! Tags of a queue, kept with it until the operations that read them are served.

use weir_core::api::Config;

use super::request::{Pairs, Text};
use super::text;
use crate::fault::{Code, Fault};

/// Most tags of a queue.
const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;
/// What the name of a note starts with that holds a tag.
const PREFIX: &str = "tag:";

/// Keeps `tags` in `config`.
pub fn apply(config: &mut Config, tags: &Pairs<'_, Text<'_>>) -> Result<(), Fault> {
    if tags.0.len() > TAGS_MAX {
        let message = format!("Too many tags: {} of at most {TAGS_MAX}.", tags.0.len());
        return Err(Fault::new(Code::InvalidParameterValue, message));
    }
    for (key, value) in &tags.0 {
        if key.is_empty() || key.chars().count() > KEY_MAX || value.chars().count() > VALUE_MAX {
            let message = format!(
                "The tag \"{}\" is invalid: keys have 1 to {KEY_MAX} characters, values at most {VALUE_MAX}.",
                text::quote(key, 256)
            );
            return Err(Fault::new(Code::InvalidParameterValue, message));
        }
        config.notes.push((format!("{PREFIX}{key}"), value.clone().into_owned()));
    }
    config.notes.sort_unstable();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_bounded() {
        let mut config = Config::default();
        let pair = |key: &str, value: &str| (key.to_owned().into(), value.to_owned().into());
        apply(&mut config, &Pairs(vec![pair("team", "mail"), pair("env", "")])).unwrap();
        let kept = [("tag:env".to_owned(), String::new()), ("tag:team".to_owned(), "mail".to_owned())];
        assert_eq!(config.notes, kept);
        let many = Pairs((0..51).map(|n| pair(&n.to_string(), "")).collect());
        let long = "k".repeat(129);
        for bad in [many, Pairs(vec![pair("", "v")]), Pairs(vec![pair(&long, "v")])] {
            assert_eq!(apply(&mut config, &bad).unwrap_err().code, Code::InvalidParameterValue);
        }
    }
}
