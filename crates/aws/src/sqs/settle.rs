//! What receives, deletes and changes of visibility have in common: batches and times.

use std::collections::HashSet;

use super::limits::{ENTRY_ID_MAX, Limits};
use super::request::Text;
use super::text;
use crate::fault::{Code, Fault};

/// Checks the number and the ids of a batch's entries. `action` is the first part of the entry type's name on AWS.
///
/// # Errors
/// Those of the batch as a whole; an entry's own errors are its own.
pub fn check_batch<'a, T>(entries: Option<&'a Vec<T>>, action: &str, limits: &Limits) -> Result<&'a [T], Fault> {
    let entries = entries.ok_or_else(|| Fault::missing("Entries"))?;
    if entries.is_empty() {
        let message = format!("There should be at least one {action}RequestEntry in the request.");
        return Err(Fault::new(Code::EmptyBatchRequest, message));
    }
    if entries.len() > limits.batch_max {
        let message =
            format!("Maximum number of entries per request are {}. You have sent {}.", limits.batch_max, entries.len());
        return Err(Fault::new(Code::TooManyEntriesInBatchRequest, message));
    }
    Ok(entries)
}

/// Checks that the ids of a batch's entries are there, of the permitted form and distinct.
pub fn batch_ids<'a>(ids: impl Iterator<Item = &'a Option<Text<'a>>>) -> Result<Vec<&'a str>, Fault> {
    let mut checked = Vec::new();
    let mut distinct = HashSet::new();
    for id in ids {
        let id = id.as_deref().ok_or_else(|| Fault::missing("Id"))?;
        if id.is_empty() || id.len() > ENTRY_ID_MAX || !text::is_word(id) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
            return Err(Fault::new(Code::InvalidBatchEntryId, message));
        }
        if !distinct.insert(id) {
            return Err(Fault::new(Code::BatchEntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
        checked.push(id);
    }
    Ok(checked)
}

/// A visibility timeout in milliseconds.
pub fn visibility_ms(seconds: i64, limits: &Limits) -> Result<u64, Fault> {
    bounded_ms("VisibilityTimeout", seconds, limits.visibility_s_max)
}

/// The wait of a receive in milliseconds.
pub fn wait_ms(seconds: i64, limits: &Limits) -> Result<u64, Fault> {
    bounded_ms("WaitTimeSeconds", seconds, limits.wait_s_max)
}

fn bounded_ms(parameter: &str, seconds: i64, max: i64) -> Result<u64, Fault> {
    u64::try_from(seconds)
        .ok()
        .filter(|_| seconds <= max)
        .map(|s| s * 1_000)
        .ok_or_else(|| Fault::invalid(parameter, &seconds, &format!("Must be >= 0 and <= {max}, if provided.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Result<usize, Code> {
        let ids: Vec<Option<Text<'_>>> = ids.iter().map(|&id| Some(id.into())).collect();
        batch_ids(ids.iter()).map(|ids| ids.len()).map_err(|fault| fault.code)
    }

    #[test]
    fn a_batch_has_one_to_ten_entries_on_aws_and_a_thousand_here() {
        let code = |n: usize, limits| check_batch(Some(&vec![(); n]), "X", limits).map(<[()]>::len).map_err(|f| f.code);
        assert_eq!(code(0, &Limits::AWS), Err(Code::EmptyBatchRequest));
        assert_eq!(code(10, &Limits::AWS), Ok(10));
        assert_eq!(code(11, &Limits::AWS), Err(Code::TooManyEntriesInBatchRequest));
        assert_eq!(code(1_000, &Limits::OURS), Ok(1_000));
        assert_eq!(code(1_001, &Limits::OURS), Err(Code::TooManyEntriesInBatchRequest));
        let absent = check_batch::<()>(None, "X", &Limits::OURS).unwrap_err();
        assert_eq!(absent.code, Code::MissingParameter);
    }

    #[test]
    fn ids_are_words_and_distinct() {
        let long = "i".repeat(81);
        assert_eq!(ids(&["a", "b-_9"]), Ok(2));
        assert_eq!(ids(&["a", "a"]), Err(Code::BatchEntryIdsNotDistinct));
        assert_eq!(ids(&["a b"]), Err(Code::InvalidBatchEntryId));
        assert_eq!(ids(&[""]), Err(Code::InvalidBatchEntryId));
        assert_eq!(ids(&[&long]), Err(Code::InvalidBatchEntryId));
        assert_eq!(batch_ids([None].iter()).unwrap_err().code, Code::MissingParameter);
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(visibility_ms(43_200, &Limits::AWS), Ok(43_200_000));
        assert!(visibility_ms(43_201, &Limits::AWS).is_err());
        assert_eq!(visibility_ms(43_201, &Limits::OURS), Ok(43_201_000));
        assert!(visibility_ms(-1, &Limits::OURS).is_err());
        assert!(visibility_ms(i64::MAX, &Limits::OURS).is_err());
        assert!(wait_ms(21, &Limits::AWS).is_err());
        assert_eq!(wait_ms(60, &Limits::OURS), Ok(60_000));
    }
}
