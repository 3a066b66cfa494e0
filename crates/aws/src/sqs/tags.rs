//! Tags of a queue: checked, and as the engine keeps them.

use weir_core::api::Tags;

use super::limits::{TAG_KEY_MAX, TAG_VALUE_MAX};
use super::request::{Pairs, Text};
use super::text;
use crate::fault::{Code, Fault};

pub use super::limits::TAGS_MAX;

/// The tags that a request names.
///
/// # Errors
/// `InvalidParameterValue` for more tags than a queue can have, or keys and values that cannot be.
pub fn of(tags: &Pairs<'_, Text<'_>>) -> Result<Tags, Fault> {
    let found = tags.0.len();
    if found > TAGS_MAX {
        return Err(too_many(found as u64));
    }
    let tags = tags.0.iter().map(|(key, value)| {
        check(key, value)?;
        Ok((key.clone().into_owned(), value.clone().into_owned()))
    });
    tags.collect()
}

/// The keys of tags to be taken away; those that are not there are passed over, as on AWS.
///
/// # Errors
/// As [`of`].
pub fn keys(keys: &[Text<'_>]) -> Result<Vec<String>, Fault> {
    if keys.len() > TAGS_MAX {
        return Err(too_many(keys.len() as u64));
    }
    keys.iter().map(|key| check(key, "").map(|()| key.clone().into_owned())).collect()
}

/// The refusal of more tags than a queue can have.
pub fn too_many(found: u64) -> Fault {
    let message = format!("Too many tags: a queue has at most {TAGS_MAX}, and this would be {found}.");
    Fault::new(Code::InvalidParameterValue, message)
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

    #[test]
    fn tags_are_keys_with_values() {
        let read = of(&pairs(&[("team", "mail"), ("env", "")])).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(read, [("env", ""), ("team", "mail")]);
        assert_eq!(keys(&["team".into(), "absent".into()]), Ok(vec!["team".to_owned(), "absent".to_owned()]));
    }

    #[test]
    fn tags_are_bounded() {
        let long = "k".repeat(129);
        let longer = "v".repeat(257);
        for bad in
            [("", "v"), (&long, "v"), ("k", &longer), ("aws:k", "v"), ("AWS:k", "v"), ("a*b", ""), ("a", "\u{7}")]
        {
            assert_eq!(of(&pairs(&[bad])).unwrap_err().code, Code::InvalidParameterValue, "{bad:?}");
        }
        let fine = [("Ünicode ключ", "a b/c=d+e-f@g.h:i_j"), (&long[1..], &longer[1..])];
        of(&pairs(&fine)).unwrap();
        assert!(keys(&["nobody's".into()]).is_err());
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(of(&pairs(&many[..50])).unwrap().len(), 50);
        let fault = of(&pairs(&many)).unwrap_err();
        assert!(fault.message.contains("50") && fault.message.contains("51"), "{}", fault.message);
    }
}
