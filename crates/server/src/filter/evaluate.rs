//! Whether a filter holds for a message.

use std::cell::OnceCell;

use serde_json::Value;

use super::compare;
use super::expression::{Comparison, Expression, Filter, Subject};

/// What a filter sees of a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// The body.
    pub body: &'a str,
    /// Names and values of its attributes; binary ones as base64.
    pub attributes: &'a [(&'a str, &'a str)],
    /// The message group.
    pub group: Option<&'a str>,
    /// How often it was received.
    pub receives: u64,
    /// When it was sent, in milliseconds since the epoch.
    pub sent_ms: i64,
}

impl Filter {
    /// Whether it holds for `message`. Never fails: what a message lacks does not hold.
    pub fn matches(&self, message: &Message<'_>) -> bool {
        Evaluation { message, json: OnceCell::new() }.holds(&self.0)
    }
}

struct Evaluation<'a> {
    message: &'a Message<'a>,
    /// The body as JSON, once it was asked for; `None` if it is none.
    json: OnceCell<Option<Value>>,
}

impl Evaluation<'_> {
    fn holds(&self, expression: &Expression) -> bool {
        match expression {
            Expression::And(parts) => parts.iter().all(|part| self.holds(part)),
            Expression::Or(parts) => parts.iter().any(|part| self.holds(part)),
            Expression::Not(inner) => !self.holds(inner),
            Expression::Compare(subject, comparison) => self.compare(subject, comparison),
        }
    }

    fn compare(&self, subject: &Subject, comparison: &Comparison) -> bool {
        match subject {
            Subject::Attribute(name) => text(self.attribute(name), comparison),
            Subject::Body => text(Some(self.message.body), comparison),
            Subject::Group => text(self.message.group, comparison),
            Subject::Json(path) => json(self.json(path), comparison),
            Subject::Receives => match comparison {
                Comparison::Is(relation, super::expression::Literal::Number(literal)) =>
                {
                    #[expect(clippy::cast_precision_loss, reason = "nobody receives a message so often")]
                    compare::number(self.message.receives as f64, *relation, *literal)
                }
                _ => false,
            },
            Subject::Sent => match comparison {
                Comparison::Before(ms) => self.message.sent_ms < *ms,
                Comparison::After(ms) => self.message.sent_ms > *ms,
                _ => false,
            },
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.message.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn json(&self, path: &[String]) -> Option<&Value> {
        let body = self.json.get_or_init(|| serde_json::from_str(self.message.body).ok()).as_ref()?;
        path.iter().try_fold(body, |value, name| match value {
            Value::Object(object) => object.get(name),
            Value::Array(array) => array.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

fn text(found: Option<&str>, comparison: &Comparison) -> bool {
    let Some(found) = found else { return false };
    match comparison {
        Comparison::Is(relation, literal) => compare::text(found, *relation, literal),
        Comparison::Contains(part) => found.contains(part.as_str()),
        Comparison::Exists => true,
        Comparison::Before(_) | Comparison::After(_) => false,
    }
}

fn json(found: Option<&Value>, comparison: &Comparison) -> bool {
    let Some(found) = found else { return false };
    match comparison {
        Comparison::Is(relation, literal) => compare::json(found, *relation, literal),
        Comparison::Contains(part) => match found {
            Value::String(text) => text.contains(part.as_str()),
            Value::Array(values) => values.iter().any(|value| value.as_str() == Some(part)),
            _ => false,
        },
        Comparison::Exists => true,
        Comparison::Before(_) | Comparison::After(_) => false,
    }
}
