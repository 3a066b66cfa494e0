//! Where in a document something is: `Entries[3].DelaySeconds`.

use std::fmt::Write;

/// Deepest place that is named: what lies deeper is named by what holds it.
const DEPTH_MAX: usize = 8;
/// Longest key that is named.
const KEY_MAX: usize = 64;

enum Level {
    Object { key: String, awaits_key: bool },
    List { index: usize },
}

/// Names what `body` holds at `line` and `column` (counted from 1, as a parser reports them); empty at the top.
pub(super) fn at(body: &[u8], line: usize, column: usize) -> String {
    let mut lines = body.split_inclusive(|&byte| byte == b'\n');
    let before: usize = lines.by_ref().take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let end = before.saturating_add(column.saturating_sub(1)).min(body.len());
    let mut levels: Vec<Level> = Vec::new();
    let mut deeper = 0_usize;
    let mut bytes = body.get(..end).unwrap_or_default().iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' if levels.len() == DEPTH_MAX => deeper += 1,
            b'}' | b']' if deeper > 0 => deeper -= 1,
            b'{' => levels.push(Level::Object { key: String::new(), awaits_key: true }),
            b'[' => levels.push(Level::List { index: 0 }),
            b'}' | b']' => drop(levels.pop()),
            b',' if deeper == 0 => match levels.last_mut() {
                Some(Level::Object { awaits_key, .. }) => *awaits_key = true,
                Some(Level::List { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                let text = string(&mut bytes);
                if let (0, Some(Level::Object { key, awaits_key })) = (deeper, levels.last_mut())
                    && *awaits_key
                {
                    *key = text;
                    *awaits_key = false;
                }
            }
            _ => {}
        }
    }
    name(&levels)
}

/// Takes the rest of a string, up to its closing quote, and returns its beginning.
fn string(bytes: &mut impl Iterator<Item = u8>) -> String {
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => drop(bytes.next()),
            _ if text.len() < KEY_MAX => text.push(byte),
            _ => {}
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn name(levels: &[Level]) -> String {
    let mut name = String::new();
    for level in levels {
        match level {
            Level::Object { key, .. } if key.is_empty() => {}
            Level::Object { key, .. } => {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(key);
            }
            Level::List { index } => {
                let _ = write!(name, "[{index}]");
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_keys_and_indexes() {
        let body = br#"{"a": 1, "Entries": [{"Id": "x"}, {"Id": "y,\"z", "DelaySeconds": true}]}"#;
        let column = |text: &str| std::str::from_utf8(body).unwrap().find(text).unwrap() + 2;
        assert_eq!(at(body, 1, column("1,")), "a");
        assert_eq!(at(body, 1, column("\"x\"")), "Entries[0].Id");
        assert_eq!(at(body, 1, column("true")), "Entries[1].DelaySeconds");
        assert_eq!(at(body, 1, 0), "");
        assert_eq!(at(body, 9, 9), "");
    }

    #[test]
    fn depth_costs_nothing() {
        let body = vec![b'['; 200_000];
        assert_eq!(at(&body, 1, 200_001), "[0]".repeat(DEPTH_MAX));
    }
}
