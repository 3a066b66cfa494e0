//! Templates of headers and bodies.
//!
//! They are written in the language of Jinja. Names that do not stand for anything are errors, when a message is rendered:
//! nothing is sent that its author did not mean. What a rendering may cost is bounded.

use std::fmt;
use std::io::{self, Write};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

/// Steps that a rendering may take.
const FUEL: u64 = 200_000;
/// Longest text that may come out.
const RENDERED_BYTES_MAX: usize = 16 << 20;

/// Templates of one target.
pub(crate) struct Templates(Environment<'static>);

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // What is to be JSON says so with `tojson`.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        Self(environment)
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// Reads a template. The error says what is wrong with it.
    pub(crate) fn add(&mut self, name: &str, source: &str) -> Result<(), String> {
        self.0
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| format!("the template: {}", told(&error)))
    }

    /// Renders one that was added.
    pub(crate) fn render(&self, name: &str, context: Value) -> Result<String, String> {
        let failed = |error: &minijinja::Error| format!("the template of {name}: {}", told(error));
        let template = self.0.get_template(name).map_err(|error| failed(&error))?;
        let mut out = Bounded(Vec::new());
        template.render_captured_to(context, &mut out).map_err(|error| failed(&error))?;
        String::from_utf8(out.0).map_err(|_| format!("the template of {name}: what it gives is not UTF-8"))
    }
}

/// The error with its line.
fn told(error: &minijinja::Error) -> String {
    let mut text = error.kind().to_string();
    if let Some(detail) = error.detail() {
        text = format!("{text}: {detail}");
    }
    match error.line() {
        Some(line) => format!("{text} (line {line})"),
        None => text,
    }
}

/// Text that does not grow without end.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDERED_BYTES_MAX {
            return Err(io::Error::other("what it gives is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let mut templates = Templates::default();
        templates.add("body", source)?;
        templates.render("body", context! { job => context! { name => "a\"b", data => vec![1, 2] } })
    }

    #[test]
    fn templates_are_rendered_and_nothing_is_escaped_unasked() {
        assert_eq!(render("{{ job.name }}!").unwrap(), "a\"b!");
        assert_eq!(
            render("{\"to\": {{ job.name | tojson }}, \"n\": {{ job.data | tojson }}}").unwrap(),
            r#"{"to": "a\"b", "n": [1, 2]}"#
        );
        assert_eq!(render("{% for n in job.data %}<{{ n }}>{% endfor %}").unwrap(), "<1><2>");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let error = render("\n{{ job.name").unwrap_err();
        assert!(error.starts_with("the template: syntax error") && error.ends_with("(line 2)"), "{error}");
        let error = render("{{ job.nothing.here }}").unwrap_err();
        assert!(error.starts_with("the template of body: undefined value"), "{error}");
    }

    #[test]
    fn a_rendering_that_takes_too_long_ends() {
        let error =
            render("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}").unwrap_err();
        assert!(error.contains("fuel"), "{error}");
    }
}
