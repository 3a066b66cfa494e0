//! Commands that list what has a name.

use serde_json::Value;

use crate::client::{Request, ServerArguments, text};
use crate::output::{self, Table};

/// Arguments of such a command.
#[derive(clap::Args, Debug)]
pub(crate) struct Listing {
    /// Only those whose names start with this.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Only the names, one a line.
    #[arg(long, conflicts_with = "json")]
    names: bool,
    /// Prints an array of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Where entries are found.
pub(crate) struct Place {
    /// The address below `/v1`.
    pub(crate) path: &'static str,
    /// The member of an answer that has them.
    pub(crate) member: &'static str,
    /// The member of each that is its name.
    pub(crate) name: &'static str,
}

impl Listing {
    /// Prints all entries: as JSON, by their names, or each as a row of the table.
    pub(crate) fn show<const N: usize>(
        &self,
        Place { path, member, name }: &Place,
        mut table: Table,
        row: impl Fn(&Value) -> [String; N],
    ) -> anyhow::Result<()> {
        let request = || Request::get(&[path]).with("prefix", self.prefix.as_ref());
        let entries = self.server.client()?.all(request, member)?;
        if self.json {
            return output::say(&format!("{:#}\n", Value::Array(entries)));
        }
        if self.names {
            return output::say(&names(&entries, name));
        }
        for entry in &entries {
            table.row(row(entry));
        }
        output::say(&table.render())
    }
}

/// The names of entries, one a line.
pub(crate) fn names(entries: &[Value], member: &str) -> String {
    entries.iter().map(|entry| output::clean(text(entry, member).unwrap_or_default()) + "\n").collect()
}
