//! The text form of public ids: 8-4-4-4-12 hexadecimal digits.

/// Appends it.
pub(crate) fn push(out: &mut Vec<u8>, uuid: &[u8; 16]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    for (at, &byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
}

/// It, as a text.
pub fn text(uuid: &[u8; 16]) -> String {
    let mut out = Vec::with_capacity(36);
    push(&mut out, uuid);
    String::from_utf8(out).expect("digits and hyphens are ASCII")
}

/// Reads it; `None` where it is none.
pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    let mut groups = text.split('-');
    let lengths = [8, 4, 4, 4, 12].into_iter().all(|len| groups.next().is_some_and(|group| group.len() == len));
    if !lengths || groups.next().is_some() || text.bytes().any(|byte| byte == b'+') {
        return None;
    }
    let digits: String = text.split('-').collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_back_as_it_was_written(uuid: [u8; 16]) {
            let mut out = Vec::new();
            push(&mut out, &uuid);
            prop_assert_eq!(parse(std::str::from_utf8(&out).unwrap()), Some(uuid));
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        for text in ["", "abababab", "+bababab-abab-abab-abab-abababababab", "abababab-abab-abab-abab-abababababab-"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
