//! Files of the repository that are made from the code, and kept current by these tests. `WEIR_WRITE=1` writes them.

use std::path::Path;

use clap::CommandFactory;

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
fn the_manual_pages_are_current() {
    let mut root = crate::Arguments::command();
    root.build();
    pages("weir", &root);
}

/// A page for a command, and one for each of its subcommands.
fn pages(name: &str, command: &clap::Command) {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().display_name(name.to_owned())).title(name).render(&mut page).unwrap();
    check(&format!("man/{name}.1"), std::str::from_utf8(&page).unwrap());
    for subcommand in
        command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help" && !subcommand.is_hide_set())
    {
        pages(&format!("{name}-{}", subcommand.get_name()), subcommand);
    }
}

#[test]
fn the_page_about_the_command_line_is_current() {
    check("docs/command-line.md", &command_line::page());
}
