//! A filter as a tree.

/// A filter that was parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(pub(super) Expression);

/// A part of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Subject, Comparison),
}

/// What of a message is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    Attribute(String),
    Body,
    Json(Vec<String>),
    Group,
    Receives,
    Sent,
}

/// What must hold of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Comparison {
    Is(Relation, Literal),
    Contains(String),
    Exists,
    Before(i64),
    After(i64),
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
    Truth(bool),
    Null,
}
