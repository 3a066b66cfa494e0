//! Files of the repository that are made from the code, and kept current by these tests. `WEIR_WRITE=1` writes them.

use std::path::Path;

use crate::command_line;
use crate::config::generated as config;

fn check(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("WEIR_WRITE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is not what the code says; `WEIR_WRITE=1 cargo test -p weir` writes it anew");
}

#[test]
fn the_reference_page_of_the_configuration_is_current() {
    check("docs/configuration.md", &config::reference());
}

#[test]
fn the_sample_file_is_current() {
    check("docs/weir.sample.toml", &config::sample());
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    check("docs/weir.schema.json", &config::schema());
}

#[test]
fn the_page_about_the_command_line_is_current() {
    check("docs/command-line.md", &command_line::page());
}
