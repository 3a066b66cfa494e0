//! Tables for people: aligned columns without lines.

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::colored;

/// Between two columns.
const GAP: &str = "  ";

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    right: Vec<usize>,
    rows: Vec<Vec<String>>,
}

/// A table of what is known of one thing.
pub(crate) fn fields<N: Into<String>>(rows: impl IntoIterator<Item = (N, String)>) -> String {
    let mut table = Table::new(&["FIELD", "VALUE"]);
    for (name, value) in rows {
        table.row([name.into(), value]);
    }
    table.render()
}

impl Table {
    /// A table with a heading.
    pub(crate) fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), right: Vec::new(), rows: Vec::new() }
    }

    /// Aligns columns at their right, as numbers are.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| super::clean(&cell)).collect());
    }

    /// The table as standard output shows it best: as wide as the terminal, in bold where it has colors.
    pub(crate) fn render(&self) -> String {
        let stdout = std::io::stdout();
        let width = if stdout.is_terminal() {
            rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0)
        } else {
            None
        };
        self.layout(width, colored())
    }

    fn layout(&self, width: Option<usize>, bold: bool) -> String {
        let heading: Vec<String> = self.heading.iter().map(|&name| name.to_owned()).collect();
        let mut widths: Vec<usize> = heading.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut text = String::new();
        let heading = self.line(&heading, &widths, width);
        if bold {
            text.push_str("\u{1b}[1m");
            text.push_str(&heading);
            text.push_str("\u{1b}[0m\n");
        } else {
            text.push_str(&heading);
            text.push('\n');
        }
        for row in &self.rows {
            text.push_str(&self.line(row, &widths, width));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize], max: Option<usize>) -> String {
        let mut line = String::new();
        for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            if at > 0 {
                line.push_str(GAP);
            }
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            if self.right.contains(&at) {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
        }
        cut(line.trim_end(), max)
    }
}

/// The start of a line that is wider than permitted, with a sign that there was more.
fn cut(line: &str, max: Option<usize>) -> String {
    let Some(max) = max.filter(|&max| line.width() > max) else { return line.to_owned() };
    let mut kept = String::new();
    let mut width = 0;
    for c in line.chars() {
        width += c.width().unwrap_or_default();
        if width >= max {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "READY"]).right(&[1]);
        table.row(["mail".to_owned(), "3".to_owned()]);
        table.row(["表".to_owned(), "12000".to_owned()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_the_eye_sees() {
        assert_eq!(table().layout(None, false), "NAME  READY\nmail      3\n表    12000\n");
    }

    #[test]
    fn a_line_is_cut_at_the_width_of_the_terminal() {
        assert_eq!(table().layout(Some(7), false), "NAME  …\nmail  …\n表    …\n");
    }

    #[test]
    fn the_heading_is_bold_where_colors_are_wanted() {
        assert!(table().layout(None, true).starts_with("\u{1b}[1mNAME  READY\u{1b}[0m\n"));
    }
}
