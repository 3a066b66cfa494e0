//! Tags of a queue: kept among its notes.

use weir_core::api::Config;

use super::limits::{TAG_KEY_MAX, TAG_VALUE_MAX, TAGS_MAX};
use super::request::{Pairs, Text};
use super::text;
use crate::fault::{Code, Fault};

/// What the name of a note starts with that holds a tag.
const PREFIX: &str = "tag:";

/// Adds `tags` to those in `config`; a key that is there takes the new value.
///
/// # Errors
/// `InvalidParameterValue` for more tags than a queue can have, or keys and values that cannot be.
pub fn apply(config: &mut Config, tags: &Pairs<'_, Text<'_>>) -> Result<(), Fault> {
    for (key, value) in &tags.0 {
        check(key, value)?;
        let name = format!("{PREFIX}{key}");
        config.notes.retain(|(kept, _)| *kept != name);
        config.notes.push((name, value.clone().into_owned()));
        // Here and not behind the loop: what a hostile request costs is bounded by what a queue can have.
        let count = list(config).count();
        if count > TAGS_MAX {
            let message = format!("Too many tags: a queue has at most {TAGS_MAX}, and would have {count}.");
            return Err(Fault::new(Code::InvalidParameterValue, message));
        }
    }
    config.notes.sort_unstable();
    Ok(())
}

/// Takes the tags with these keys out of `config`; keys that are not there are passed over, as on AWS.
pub fn remove(config: &mut Config, keys: &[Text<'_>]) -> Result<(), Fault> {
    for key in keys {
        check(key, "")?;
        config.notes.retain(|(name, _)| name.strip_prefix(PREFIX) != Some(key));
    }
    Ok(())
}

/// Key and value of each tag in `config`, in the order of the keys.
pub fn list(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    config.notes.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())))
}

/// Whether a note holds a tag.
pub(super) fn is_tag(note: &str) -> bool {
    note.starts_with(PREFIX)
}

fn check(key: &str, value: &str) -> Result<(), Fault> {
    let invalid = |reason: &str| {
        let key = text::quote(key, 256);
        Err(Fault::new(Code::InvalidParameterValue, format!("The tag \"{key}\" is invalid: {reason}.")))
    };
    let (key_characters, value_characters) = (key.chars().count(), value.chars().count());
    if key_characters == 0 || key_characters > TAG_KEY_MAX {
        return invalid(&format!("keys have 1 to {TAG_KEY_MAX} characters, and this one {key_characters}"));
    }
    if value_characters > TAG_VALUE_MAX {
        return invalid(&format!("values have at most {TAG_VALUE_MAX} characters, and its own {value_characters}"));
    }
    if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        return invalid("keys that start with aws: are AWS's own");
    }
    if !text::is_tag(key) || !text::is_tag(value) {
        return invalid("only letters, digits, spaces and _ . : / = + - @ are allowed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(tags: &[(&str, &str)]) -> Pairs<'static, Text<'static>> {
        Pairs(tags.iter().map(|&(key, value)| (key.to_owned().into(), value.to_owned().into())).collect())
    }

    fn listed(config: &Config) -> Vec<(&str, &str)> {
        list(config).collect()
    }

    #[test]
    fn tags_are_added_replaced_and_removed_by_key() {
        let mut config = Config::default();
        config.notes.push(("Policy".to_owned(), "{}".to_owned()));
        apply(&mut config, &pairs(&[("team", "mail"), ("env", "")])).unwrap();
        apply(&mut config, &pairs(&[("team", "post")])).unwrap();
        assert_eq!(listed(&config), [("env", ""), ("team", "post")]);
        remove(&mut config, &["team".into(), "nobody's".into()]).unwrap_err();
        remove(&mut config, &["team".into(), "absent".into()]).unwrap();
        assert_eq!(listed(&config), [("env", "")]);
        assert_eq!(config.notes.len(), 2);
    }

    #[test]
    fn tags_are_bounded() {
        let long = "k".repeat(129);
        let longer = "v".repeat(257);
        for bad in
            [("", "v"), (&long, "v"), ("k", &longer), ("aws:k", "v"), ("AWS:k", "v"), ("a*b", ""), ("a", "\u{7}")]
        {
            let fault = apply(&mut Config::default(), &pairs(&[bad])).unwrap_err();
            assert_eq!(fault.code, Code::InvalidParameterValue, "{bad:?}");
        }
        let fine = [("Ünicode ключ", "a b/c=d+e-f@g.h:i_j"), (&long[1..], &longer[1..])];
        apply(&mut Config::default(), &pairs(&fine)).unwrap();
    }

    #[test]
    fn a_queue_has_at_most_fifty_tags() {
        let mut config = Config::default();
        for n in 0..50 {
            apply(&mut config, &pairs(&[(&n.to_string(), "")])).unwrap();
        }
        apply(&mut config.clone(), &pairs(&[("0", "replaced")])).unwrap();
        let fault = apply(&mut config, &pairs(&[("50", "")])).unwrap_err();
        assert!(fault.message.contains("50") && fault.message.contains("51"), "{}", fault.message);
    }
}
