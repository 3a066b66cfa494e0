//! Reading a policy.

use serde_json::{Map, Value};

use crate::decimal::Decimal;
use crate::error::PolicyError;
use crate::fold::fold;
use crate::limits::{CONDITIONS_MAX, DEPTH_MAX};
use crate::matcher::{End, Matcher, Net, Pattern, Range};
use crate::policy::{Group, Scope, Test};
use crate::wildcard::{Unusable, Wildcard};

/// The names that have a meaning in the place of a condition.
const OPERATORS: [&str; 8] =
    ["anything-but", "prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "exists", "cidr"];

pub(crate) fn policy(json: &str, scope: Scope) -> Result<Group, PolicyError> {
    let value: Value = serde_json::from_str(json).map_err(|error| PolicyError::NoJson(error.to_string()))?;
    let Value::Object(object) = &value else { return Err(PolicyError::NoObject) };
    Parser { scope, conditions: 0 }.group(object, "", 1)
}

struct Parser {
    scope: Scope,
    conditions: usize,
}

impl Parser {
    fn group(&mut self, object: &Map<String, Value>, path: &str, depth: usize) -> Result<Group, PolicyError> {
        if depth > DEPTH_MAX {
            return Err(PolicyError::TooDeep { max: DEPTH_MAX });
        }
        let mut group = Group::default();
        for (name, value) in object {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value {
                Value::Array(items) if name == "$or" && is_choice(items) => {
                    let objects = items.iter().filter_map(Value::as_object);
                    let alternatives = objects.map(|object| match object.len() {
                        0 => Err(PolicyError::EmptyObject(path.clone())),
                        _ => self.group(object, path.strip_suffix(".$or").unwrap_or(""), depth + 1),
                    });
                    group.choices.push(alternatives.collect::<Result<_, _>>()?);
                }
                Value::Array(items) if items.is_empty() => return Err(PolicyError::EmptyList(path)),
                Value::Array(items) => {
                    self.conditions += items.len();
                    if self.conditions > CONDITIONS_MAX {
                        return Err(PolicyError::TooManyConditions { max: CONDITIONS_MAX });
                    }
                    let matchers = items.iter().map(|item| self.matcher(item, &path)).collect::<Result<_, _>>()?;
                    group.fields.push((name.clone(), Test::OneOf(matchers)));
                }
                Value::Object(_) if self.scope == Scope::Attributes => return Err(PolicyError::Nested(path)),
                Value::Object(object) if object.is_empty() => return Err(PolicyError::EmptyObject(path)),
                Value::Object(object) => {
                    let nested = self.group(object, &path, depth + 1)?;
                    group.fields.push((name.clone(), Test::Nested(nested)));
                }
                _ => return Err(PolicyError::Field(path)),
            }
        }
        Ok(group)
    }

    fn matcher(&mut self, value: &Value, field: &str) -> Result<Matcher, PolicyError> {
        let object = match value {
            Value::Array(_) => return Err(PolicyError::Value(field.to_owned())),
            Value::Object(object) => object,
            plain => return Ok(Matcher::Fits(exact(plain, field)?)),
        };
        let (operator, operand) = only(object, field)?;
        match operator {
            "exists" => match operand {
                Value::Bool(true) => Ok(Matcher::Exists),
                Value::Bool(false) => Ok(Matcher::Absent),
                found => Err(operand_error(field, "exists", "either true or false", found)),
            },
            "numeric" => Ok(Matcher::Fits(numeric(operand, field)?)),
            "cidr" => {
                let net = operand.as_str().and_then(Net::parse);
                let expected = "an address and a length, as 10.0.0.0/24";
                net.map(|net| Matcher::Fits(Pattern::Net(net)))
                    .ok_or_else(|| operand_error(field, "cidr", expected, operand))
            }
            "anything-but" => self.anything_but(operand, field),
            text => Ok(Matcher::Fits(of_text(text, operand, field)?)),
        }
    }

    fn anything_but(&mut self, operand: &Value, field: &str) -> Result<Matcher, PolicyError> {
        let refuse = |expected| operand_error(field, "anything-but", expected, operand);
        let patterns: Result<Vec<Pattern>, _> = match operand {
            Value::Array(items) if items.is_empty() => return Err(PolicyError::EmptyList(field.to_owned())),
            Value::Array(items) => {
                self.count(items.len())?;
                if !items.iter().all(Value::is_string) && !items.iter().all(Value::is_number) {
                    return Err(refuse("all strings or all numbers"));
                }
                items.iter().map(|item| exact(item, field)).collect()
            }
            Value::Object(object) => {
                let (operator, operand) = only(object, field)?;
                if !matches!(operator, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
                    return Err(unknown(field, &format!("anything-but {operator}")));
                }
                match operand {
                    Value::Array(items) if items.is_empty() => return Err(PolicyError::EmptyList(field.to_owned())),
                    Value::Array(items) => {
                        self.count(items.len())?;
                        items.iter().map(|item| of_text(operator, item, field)).collect()
                    }
                    one => of_text(operator, one, field).map(|pattern| vec![pattern]),
                }
            }
            Value::String(_) | Value::Number(_) => exact(operand, field).map(|pattern| vec![pattern]),
            _ => return Err(refuse("a string, a number, a list of one of these, or an operator on texts")),
        };
        patterns.map(Matcher::AnythingBut)
    }

    fn count(&mut self, conditions: usize) -> Result<(), PolicyError> {
        self.conditions += conditions;
        if self.conditions > CONDITIONS_MAX {
            return Err(PolicyError::TooManyConditions { max: CONDITIONS_MAX });
        }
        Ok(())
    }
}

/// Whether the value of `$or` makes it the operator and not a field of that name, as AWS tells them apart.
fn is_choice(items: &[Value]) -> bool {
    let is_group = |item: &Value| {
        item.as_object().is_some_and(|object| !object.keys().any(|name| OPERATORS.contains(&name.as_str())))
    };
    items.len() >= 2 && items.iter().all(is_group)
}

/// The only entry of an object.
fn only<'a>(object: &'a Map<String, Value>, field: &str) -> Result<(&'a str, &'a Value), PolicyError> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(PolicyError::OneOperator { field: field.to_owned(), found: object.len() }),
    }
}

fn exact(value: &Value, field: &str) -> Result<Pattern, PolicyError> {
    match value {
        Value::Null => Ok(Pattern::Null),
        Value::Bool(value) => Ok(Pattern::Bool(*value)),
        Value::String(text) => Ok(Pattern::Text(text.clone())),
        Value::Number(_) => decimal(value).map(Pattern::Number).ok_or_else(|| PolicyError::Value(field.to_owned())),
        Value::Array(_) | Value::Object(_) => Err(PolicyError::Value(field.to_owned())),
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => Decimal::parse(&number.to_string()),
        _ => None,
    }
}

/// Makes a pattern of a text.
type OfText = fn(String) -> Pattern;

/// The pattern of an operator on texts.
fn of_text(operator: &str, operand: &Value, field: &str) -> Result<Pattern, PolicyError> {
    let (known, plain, folded): (&'static str, OfText, Option<OfText>) = match operator {
        "prefix" => ("prefix", Pattern::Prefix, Some(Pattern::FoldedPrefix)),
        "suffix" => ("suffix", Pattern::Suffix, Some(Pattern::FoldedSuffix)),
        "equals-ignore-case" => ("equals-ignore-case", |text| Pattern::Folded(fold(&text)), None),
        "wildcard" => {
            let text = text(operand, field, "wildcard")?;
            let wildcard = Wildcard::parse(text).map_err(|unusable| {
                let expected = match unusable {
                    Unusable::Consecutive => "without consecutive wildcard characters",
                    Unusable::Escape => "without a backslash before anything but * and \\",
                };
                operand_error(field, "wildcard", expected, operand)
            })?;
            return Ok(if wildcard.is_plain() {
                Pattern::Text(wildcard.start().to_owned())
            } else {
                Pattern::Wildcard(wildcard)
            });
        }
        _ => return Err(unknown(field, operator)),
    };
    match (operand, folded) {
        (Value::Object(object), Some(of_folded)) => match only(object, field)? {
            ("equals-ignore-case", operand) => Ok(of_folded(fold(text(operand, field, known)?))),
            (inner, _) => Err(unknown(field, &format!("{known} {inner}"))),
        },
        _ => Ok(plain(text(operand, field, known)?.to_owned())),
    }
}

fn text<'a>(operand: &'a Value, field: &str, operator: &'static str) -> Result<&'a str, PolicyError> {
    match operand.as_str() {
        Some("") if operator != "equals-ignore-case" => {
            Err(operand_error(field, operator, "a string that is not empty", operand))
        }
        Some(text) => Ok(text),
        None => Err(operand_error(field, operator, "a string", operand)),
    }
}

fn numeric(operand: &Value, field: &str) -> Result<Pattern, PolicyError> {
    let error = |reason: String| PolicyError::Numeric { field: field.to_owned(), reason };
    let Value::Array(items) = operand else { return Err(error("Value of numeric must be an array".to_owned())) };
    let mut range = Range { low: None, high: None };
    let pairs = items.chunks(2);
    if !(1..=2).contains(&pairs.len()) {
        let reason = if items.is_empty() {
            "Invalid member in numeric match: ]"
        } else {
            "Too many elements in numeric expression"
        };
        return Err(error(reason.to_owned()));
    }
    for (at, pair) in pairs.enumerate() {
        let (operator, number) = match pair {
            [operator, number] => (operator, Some(number)),
            [operator] => (operator, None),
            _ => continue,
        };
        let operator =
            operator.as_str().ok_or_else(|| error(format!("Invalid member in numeric match: {}", start(operator))))?;
        let number =
            number.and_then(decimal).ok_or_else(|| error(format!("Value of {} must be numeric", quote(operator))))?;
        let end = |inclusive| Some(End { number, inclusive });
        match operator {
            "=" if items.len() == 2 => return Ok(Pattern::Number(number)),
            ">" | ">=" if at == 0 => range.low = end(operator == ">="),
            "<" | "<=" if range.high.is_none() && (at == 0) == (items.len() == 2) => range.high = end(operator == "<="),
            "=" | "<" | "<=" | ">" | ">=" => return Err(error("Too many elements in numeric expression".to_owned())),
            _ => return Err(error(format!("Unrecognized numeric range operator: {}", quote(operator)))),
        }
    }
    if let Range { low: Some(low), high: Some(high) } = range
        && low.number >= high.number
    {
        return Err(error("Bottom must be less than top".to_owned()));
    }
    Ok(Pattern::Range(range))
}

fn unknown(field: &str, operator: &str) -> PolicyError {
    PolicyError::Operator { field: field.to_owned(), operator: quote(operator) }
}

fn operand_error(field: &str, operator: &'static str, expected: &'static str, found: &Value) -> PolicyError {
    PolicyError::Operand { field: field.to_owned(), operator, expected, found: start(found) }
}

/// The beginning of a value, for who reads the error.
fn start(value: &Value) -> String {
    quote(&value.to_string())
}

fn quote(text: &str) -> String {
    text.chars().take(64).collect()
}
