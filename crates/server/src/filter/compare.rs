//! Whether a relation holds.

use std::cmp::Ordering;

use super::expression::{Literal, Relation};

impl Relation {
    /// Whether it holds between two things that are so ordered.
    pub(super) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Relation::Equal => ordering.is_eq(),
            Relation::Unequal => ordering.is_ne(),
            Relation::Less => ordering.is_lt(),
            Relation::LessOrEqual => ordering.is_le(),
            Relation::Greater => ordering.is_gt(),
            Relation::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Whether a text is so related to a literal. Against a number it counts as the number that it says, if it says one.
pub(super) fn text(found: &str, relation: Relation, literal: &Literal) -> bool {
    match literal {
        Literal::Text(text) => relation.holds(found.cmp(text)),
        Literal::Number(number) => {
            found.trim().parse().ok().is_some_and(|found: f64| self::number(found, relation, *number))
        }
        Literal::Truth(_) | Literal::Null => false,
    }
}

/// Whether a number is so related to another.
pub(super) fn number(found: f64, relation: Relation, literal: f64) -> bool {
    found.partial_cmp(&literal).is_some_and(|ordering| relation.holds(ordering))
}

/// Whether a value of a body is so related to a literal: values of other types than the literal's never are.
pub(super) fn json(found: &serde_json::Value, relation: Relation, literal: &Literal) -> bool {
    use serde_json::Value;
    match (found, literal) {
        (Value::String(found), Literal::Text(text)) => relation.holds(found.as_str().cmp(text)),
        (Value::Number(found), Literal::Number(literal)) => {
            found.as_f64().is_some_and(|found| number(found, relation, *literal))
        }
        (Value::Bool(found), Literal::Truth(literal)) => relation.holds(found.cmp(literal)),
        (Value::Null, Literal::Null) => relation.holds(Ordering::Equal),
        // Whether something is null can be asked of everything.
        (_, Literal::Null) => relation == Relation::Unequal,
        _ => false,
    }
}
