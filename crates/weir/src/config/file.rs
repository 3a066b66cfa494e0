//! The configuration file: TOML, read key by key, so that every value knows its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::Key;
use super::kind::Kind;
use super::nearest::nearest;
use super::origin::Origin;
use super::problem::Problem;
use super::tree::{SECTIONS, keys};

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// A key, its value as text, and where it stands.
    pub(crate) values: Vec<(&'static Key, String, Origin)>,
    /// The tables that may be there several times: their name, keys, and where each starts.
    pub(crate) repeated: Vec<Repeated>,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// One table of those that may be there several times.
#[derive(Debug)]
pub(crate) struct Repeated {
    /// The table's name.
    pub(crate) table: &'static str,
    /// Where it starts.
    pub(crate) origin: Origin,
    /// Its keys.
    pub(crate) values: Vec<(&'static Key, String, Origin)>,
}

/// Longest file that is read.
pub(crate) const BYTES_MAX: u64 = 1 << 20;

/// Reads the text of a file.
pub(crate) fn parse(path: &Path, text: &str) -> Contents {
    let mut reading = Reading { path, text, contents: Contents::default() };
    match DeTable::parse(text) {
        Ok(table) => reading.table("", table.get_ref()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().to_owned();
            reading.wrong(at, format!("is not TOML: {message}"));
        }
    }
    // The parser hands keys out by their names; people read from the top.
    reading.contents.problems.sort_by_key(|problem| problem.origin.line());
    reading.contents
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    contents: Contents,
}

impl Reading<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = join(prefix, name.get_ref());
            let at = name.span().start;
            if let Some(key) = keys().find(|key| key.path == path) {
                let taken = self.value(key, at, value);
                self.contents.values.extend(taken);
                continue;
            }
            let section = SECTIONS.into_iter().find(|section| !section.table.is_empty() && section.table == path);
            match (section, value.get_ref()) {
                (Some(section), DeValue::Array(tables)) if section.repeats => {
                    for entry in tables {
                        self.repeated(section.table, section.keys, entry);
                    }
                }
                (Some(section), _) if section.repeats => {
                    self.wrong(at, format!("{path}: is written as [[{path}]], once for each"));
                }
                (Some(_), DeValue::Table(inner)) => self.table(&path, inner),
                (Some(_), _) => self.wrong(at, format!("{path}: is a table: write [{path}] above its keys")),
                (None, _) => self.unknown(at, &path, keys().map(|key| key.path)),
            }
        }
    }

    fn repeated(&mut self, table: &'static str, keys: &'static [Key], entry: &Spanned<DeValue<'_>>) {
        let at = entry.span().start;
        let DeValue::Table(found) = entry.get_ref() else {
            self.wrong(at, format!("{table}: each must be a table, written as [[{table}]]"));
            return;
        };
        let mut values = Vec::new();
        for (name, value) in found {
            let path = join(table, name.get_ref());
            let at = name.span().start;
            match keys.iter().find(|key| key.path == path) {
                Some(key) => values.extend(self.value(key, at, value)),
                None => self.unknown(at, &path, keys.iter().map(|key| key.path)),
            }
        }
        let origin = self.origin(at);
        self.contents.repeated.push(Repeated { table, origin, values });
    }

    /// The text of a value, if it is of the key's form and in its range.
    fn value(
        &mut self,
        key: &'static Key,
        at: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<(&'static Key, String, Origin)> {
        let text = match (value.get_ref(), key.kind) {
            (DeValue::Boolean(switch), Kind::Switch) => Ok(switch.to_string()),
            (DeValue::Integer(number), Kind::Number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            (DeValue::String(_), Kind::Switch) => Err("must be true or false, without quotes"),
            (DeValue::String(_), Kind::Number) => Err("must be a whole number, without quotes"),
            (DeValue::String(text), _) => Ok(text.to_string()),
            (_, Kind::Switch) => Err("must be true or false"),
            (_, Kind::Number) => Err("must be a whole number"),
            (_, Kind::Duration) => Err("must be a duration with its unit in quotes, such as \"30s\""),
            (_, Kind::Size) => Err("must be a size with its unit in quotes, such as \"256MiB\""),
            _ => Err("must be a text in quotes"),
        };
        let checked =
            text.map_err(str::to_owned).and_then(|text| (key.check)(&text).map(|()| (key, text, self.origin(at))));
        checked.map_err(|reason| self.wrong(at, format!("{} {reason}", key.path))).ok()
    }

    fn unknown<'k>(&mut self, at: usize, path: &str, known: impl Iterator<Item = &'k str>) {
        let known = known.chain(SECTIONS.into_iter().map(|section| section.table).filter(|table| !table.is_empty()));
        let hint = nearest(path, known).map_or(String::new(), |name| format!("; did you mean {name}?"));
        self.wrong(at, format!("there is no key {path}{hint}"));
    }

    fn wrong(&mut self, at: usize, text: String) {
        let problem = Problem::new(self.origin(at), text);
        self.contents.problems.push(problem);
    }

    fn origin(&self, at: usize) -> Origin {
        let before = self.text.get(..at).unwrap_or(self.text);
        Origin::File { path: self.path.to_owned(), line: before.matches('\n').count() + 1 }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(Path::new("weir.toml"), text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_value_knows_its_line() {
        let contents = parse(Path::new("weir.toml"), "\nmemory = true\n[http]\nheaders_max = 64\n");
        let found: Vec<_> =
            contents.values.iter().map(|(key, text, origin)| format!("{} {text} {origin}", key.path)).collect();
        assert_eq!(found, ["http.headers_max 64 weir.toml:4", "memory true weir.toml:2"]);
        assert_eq!(contents.problems, []);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        assert_eq!(problems("\nlistne = \"x\"\n"), ["weir.toml:2: there is no key listne; did you mean listen?"]);
        assert_eq!(
            problems("[storage]\noverlai = \"1GiB\""),
            ["weir.toml:2: there is no key storage.overlai; did you mean storage.overlay?"]
        );
        assert_eq!(problems("replication = 3"), ["weir.toml:1: there is no key replication"]);
        assert_eq!(problems("[htp]\nx = 1"), ["weir.toml:1: there is no key htp; did you mean http?"]);
    }

    #[test]
    fn a_value_of_the_wrong_form_says_how_to_write_it() {
        assert_eq!(
            problems("[http]\nbody_timeout = 30"),
            ["weir.toml:2: http.body_timeout must be a duration with its unit in quotes, such as \"30s\""]
        );
        assert_eq!(problems("memory = \"yes\""), ["weir.toml:1: memory must be true or false, without quotes"]);
        assert_eq!(
            problems("[storage]\noverlay = \"1MiB\""),
            ["weir.toml:2: storage.overlay must be between 16MiB and 1TiB, found \"1MiB\""]
        );
        assert_eq!(problems("http = 1"), ["weir.toml:1: http: is a table: write [http] above its keys"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        assert_eq!(problems("a = 1\nb = 2\nlisten = \"x\"").len(), 3);
    }

    #[test]
    fn what_is_not_toml_names_the_line() {
        let [problem] = &problems("memory = true\n[")[..] else { panic!("one problem") };
        assert!(problem.starts_with("weir.toml:2: is not TOML: "), "{problem}");
    }
}
