//! What is wrong with a policy.

use thiserror::Error;

/// Why a text is no filter policy, in AWS's words where it has some. Fields are named by their path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// `filter.no_json`
    #[error("failed to parse JSON. {0}")]
    NoJson(String),
    /// `filter.no_object`: it is JSON, but no object.
    #[error("Filter is not an object")]
    NoObject,
    /// `filter.field`: a field is neither a list of conditions nor an object.
    #[error("\"{0}\" must be an object or an array")]
    Field(String),
    /// `filter.nested`: a field of a policy on attributes has fields of its own.
    #[error("Filter policy scope MessageAttributes does not support nested filter policy: \"{0}\"")]
    Nested(String),
    /// `filter.empty_object`: an object without fields below the top.
    #[error("Empty objects are not allowed: \"{0}\"")]
    EmptyObject(String),
    /// `filter.empty_list`: no conditions.
    #[error("Empty arrays are not allowed: \"{0}\"")]
    EmptyList(String),
    /// `filter.value`: a condition is a list.
    #[error("Match value must be String, number, true, false, or null: \"{0}\"")]
    Value(String),
    /// `filter.one_operator`: an object in the place of a condition does not have one name.
    #[error("Only one key allowed in match expression: \"{field}\" has {found}")]
    OneOperator {
        /// The field.
        field: String,
        /// How many names there are.
        found: usize,
    },
    /// `filter.operator`: there is no such operator.
    #[error("Unrecognized match type {operator}: \"{field}\"")]
    Operator {
        /// The field.
        field: String,
        /// What stands for an operator.
        operator: String,
    },
    /// `filter.operand`: an operator has an operand that it cannot have.
    #[error("{operator} match pattern must be {expected}: \"{field}\" has {found}")]
    Operand {
        /// The field.
        field: String,
        /// The operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
        /// The beginning of what it was given.
        found: String,
    },
    /// `filter.numeric`: the list of a `numeric` is none of the forms that it has.
    #[error("{reason}: numeric of \"{field}\"")]
    Numeric {
        /// The field.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// `filter.too_deep`: objects in objects.
    #[error("Filter policy is too complex: it is nested deeper than {max} levels")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// `filter.too_many_conditions`
    #[error("Filter policy is too complex: it has more than {max} conditions")]
    TooManyConditions {
        /// The bound.
        max: usize,
    },
    /// `filter.too_long`
    #[error("Filter policy is too long: it has {bytes} bytes of at most {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// `filter.too_many_keys`
    #[error("Filter policy can not have more than {max} keys: it has {keys}")]
    TooManyKeys {
        /// How many it has.
        keys: usize,
        /// The bound.
        max: usize,
    },
    /// `filter.too_complex`
    #[error("Filter policy is too complex: it has {combinations} combinations of at most {max}")]
    TooComplex {
        /// How many it has.
        combinations: u64,
        /// The bound.
        max: u64,
    },
}
