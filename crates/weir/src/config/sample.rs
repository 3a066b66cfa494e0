//! A configuration file with every setting at its default.

use std::fmt::Write as _;

use super::key::{Key, paragraph};
use super::kind::Kind;
use super::tree::SECTIONS;

const WIDTH: usize = 117;

/// The file: every key is there as a comment, so that the file as it stands changes nothing.
pub(crate) fn sample() -> String {
    let mut text = "# Every setting of Weir at its default. Remove the # before a key to set it.\n".to_owned();
    for section in SECTIONS {
        let _ = writeln!(text);
        comment(&mut text, &paragraph(section.about));
        match (section.table, section.repeats) {
            ("", _) => {}
            (table, false) => {
                let _ = writeln!(text, "[{table}]");
            }
            (table, true) => {
                let _ = writeln!(text, "#[[{table}]]");
            }
        }
        for key in section.keys {
            let _ = writeln!(text);
            comment(&mut text, &key.paragraph());
            comment(&mut text, &format!("Range: {}. Since {}.", key.range(), key.since));
            let _ = writeln!(text, "#{} = {}", key.name(), literal(key));
        }
    }
    text
}

/// What stands for keys that have no default and must be given.
const EXAMPLES: [(&str, &str); 3] =
    [("keys.id", "mail"), ("keys.secret_file", "/run/secrets/weir-mail"), ("keys.role", "write")];

fn literal(key: &Key) -> String {
    let example = EXAMPLES.into_iter().find(|(path, _)| *path == key.path).map(|(_, example)| example);
    match key.kind {
        Kind::Switch | Kind::Number => key.default.to_owned(),
        _ => format!("{:?}", example.unwrap_or(key.default)),
    }
}

/// Writes a paragraph as comment lines.
fn comment(out: &mut String, paragraph: &str) {
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(out, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "# {line}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file;
    use crate::config::tree::keys;

    #[test]
    fn the_sample_sets_nothing_as_it_stands() {
        let contents = file::parse(Path::new("sample"), &sample());
        assert!(contents.values.is_empty() && contents.problems.is_empty(), "{contents:?}");
    }

    #[test]
    fn every_key_of_the_sample_may_be_set_to_what_stands_there() {
        let uncommented = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        };
        let text: Vec<String> = sample().lines().map(uncommented).collect();
        let contents = file::parse(Path::new("sample"), &text.join("\n"));
        assert_eq!(contents.problems, []);
        assert_eq!(contents.values.len(), keys().count());
        assert_eq!(contents.repeated.len(), SECTIONS.iter().filter(|section| section.repeats).count());
    }
}
