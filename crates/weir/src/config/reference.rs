//! The reference page of the configuration.

use std::fmt::Write as _;

use super::key::{Key, Section, paragraph};
use super::tree::SECTIONS;

const OPENING: &str = "\
# Configuration

<!-- Made from the types in crates/weir/src/config/tree.rs; `WEIR_WRITE=1 cargo test -p weir` writes it anew. -->

Every setting has a key in a TOML file, a flag and a variable of the environment. Flags win over the environment, the
environment over the file, the file over defaults. The file is the one that `--config` or `WEIR_CONFIG` names, or
`weir.toml` in the working folder if it is there. Paths are relative to the working folder.

- `weir config check` says everything that is wrong, with file and line; an unknown key is an error.
- `weir config show` shows every value that holds and where it comes from; `--json` is for programs.
- `weir config sample` prints a file with every setting ([weir.sample.toml](weir.sample.toml)), `weir config schema` a
  JSON schema for editors ([weir.schema.json](weir.schema.json)).

Durations are written with a unit, `ms`, `s`, `m`, `h` or `d`: `30s`, `1h30m`. Sizes too: `B`, `KiB`, `MiB`, `GiB`,
`TiB`, and `kB`, `MB`, `GB` for powers of ten. In the file both stand in quotes.
";

/// The page, as Markdown.
pub(crate) fn reference() -> String {
    let mut page = OPENING.to_owned();
    for section in SECTIONS {
        let title = match (section.table, section.repeats) {
            ("", _) => "Outside of any table".to_owned(),
            (table, false) => format!("`[{table}]`"),
            (table, true) => format!("`[[{table}]]`"),
        };
        let _ = write!(page, "\n## {title}\n\n{}\n", paragraph(section.about));
        for key in section.keys {
            entry(&mut page, section, key);
        }
    }
    page
}

fn entry(page: &mut String, section: &Section, key: &Key) {
    let _ = write!(page, "\n### `{}`\n\n{}\n\n", key.path, key.paragraph());
    if key.default.is_empty() {
        page.push_str("- Default: none\n");
    } else {
        let _ = writeln!(page, "- Default: `{}`", key.default);
    }
    let _ = writeln!(page, "- Range: {}", key.range());
    if !section.repeats {
        let _ = writeln!(page, "- Flag: `--{}`", key.flag());
        let _ = writeln!(page, "- Environment: `{}`", key.variable());
    }
    let _ = writeln!(page, "- Since: {}", key.since);
}
