//! The policy of a queue: who else may do what. It is kept and returned; keys and their roles decide what is allowed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use weir_core::api::Config;

use super::limits::{
    CONDITIONS_MAX, LABEL_MAX, NOTE_BYTES_MAX, PERMISSION_ACTIONS_MAX, PRINCIPALS_MAX, STATEMENTS_MAX,
};
use super::operation::Operation;
use super::request::{AddPermission, RemovePermission, Text};
use super::text;
use crate::fault::{Code, Fault};

/// Name of the attribute, and of the note that keeps it.
const POLICY: &str = "Policy";
/// The version that AWS writes.
const VERSION: &str = "2008-10-17";

#[derive(Serialize, Deserialize)]
struct Document<'a> {
    #[serde(rename = "Version", borrow, default, skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, str>>,
    #[serde(rename = "Id", borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    /// A statement or a list of them.
    #[serde(rename = "Statement", borrow, default, skip_serializing_if = "Option::is_none")]
    statement: Option<&'a RawValue>,
}

/// A statement as `AddPermission` writes it.
#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "Sid")]
    label: &'a str,
    #[serde(rename = "Effect")]
    effect: &'static str,
    #[serde(rename = "Principal")]
    principal: Principal,
    #[serde(rename = "Action")]
    action: OneOrMany,
    #[serde(rename = "Resource")]
    resource: &'a str,
}

#[derive(Serialize)]
struct Principal {
    #[serde(rename = "AWS")]
    aws: OneOrMany,
}

/// AWS writes a list of one as that one.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn new(mut values: Vec<String>) -> Self {
        match values.pop() {
            Some(only) if values.is_empty() => OneOrMany::One(only),
            last => {
                values.extend(last);
                OneOrMany::Many(values)
            }
        }
    }
}

/// Adds the permission that `request` describes to the policy in `config`.
///
/// # Errors
/// `MissingParameter`, `InvalidParameterValue` (also for a label that is there already), `OverLimit`.
pub fn add(config: &mut Config, queue_arn: &str, request: &AddPermission<'_>) -> Result<(), Fault> {
    let label = label(request.label.as_deref())?;
    let (accounts, actions) = parties(request.account_ids.as_deref(), request.actions.as_deref())?;
    actions.iter().try_for_each(|action| check_action(action))?;
    let permission = Permission {
        label,
        accounts,
        actions: actions.iter().map(|action| format!("SQS:{action}")).collect(),
        resource: queue_arn,
    };
    let policy = with(kept(config), &permission, &format!("{queue_arn}/SQSDefaultPolicy"))?;
    write(config, policy)
}

/// Takes the permission of this label out of the policy in `config`; without statements there is no policy.
///
/// # Errors
/// `MissingParameter`, `InvalidParameterValue` for a label that is not there.
pub fn remove(config: &mut Config, request: &RemovePermission<'_>) -> Result<(), Fault> {
    let label = label(request.label.as_deref())?;
    let policy = without(kept(config), label)?;
    write(config, policy)
}

/// A permission to be written as a statement.
pub(crate) struct Permission<'a> {
    pub(crate) label: &'a str,
    pub(crate) accounts: &'a [Text<'a>],
    pub(crate) actions: Vec<String>,
    pub(crate) resource: &'a str,
}

/// The accounts and the actions of a permission, checked as far as they are alike everywhere.
pub(crate) fn parties<'a>(
    accounts: Option<&'a [Text<'a>]>,
    actions: Option<&'a [Text<'a>]>,
) -> Result<(&'a [Text<'a>], &'a [Text<'a>]), Fault> {
    let accounts = accounts.filter(|accounts| !accounts.is_empty());
    let accounts = accounts.ok_or_else(|| Fault::missing("AWSAccountIds"))?;
    let actions = actions.filter(|actions| !actions.is_empty());
    let actions = actions.ok_or_else(|| Fault::missing("Actions"))?;
    if actions.len() > PERMISSION_ACTIONS_MAX {
        let found = actions.len();
        return Err(over(&format!("{found} Actions in one permission, of at most {PERMISSION_ACTIONS_MAX}")));
    }
    for account in accounts {
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            let quoted = format!("[{}]", text::quote(account, 64));
            return Err(Fault::invalid("PrincipalId", &quoted, "Unable to verify."));
        }
    }
    Ok((accounts, actions))
}

/// A policy with one more permission.
pub(crate) fn with(kept: Option<&str>, permission: &Permission<'_>, default_id: &str) -> Result<String, Fault> {
    let statement = Statement {
        label: permission.label,
        effect: "Allow",
        principal: Principal {
            aws: OneOrMany::new(
                permission.accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect(),
            ),
        },
        action: OneOrMany::new(permission.actions.clone()),
        resource: permission.resource,
    };
    let mut document = parse(kept.unwrap_or("{}"))?;
    let mut statements = statements(&document)?;
    if statements.iter().any(|statement| sid(statement).as_deref() == Some(permission.label)) {
        return Err(Fault::invalid("Label", &permission.label, "Already exists."));
    }
    let added = serde_json::value::to_raw_value(&statement).map_err(|_| Fault::internal())?;
    statements.push(&added);
    document.version.get_or_insert(VERSION.into());
    document.id.get_or_insert(default_id.into());
    render(&document, &statements)
}

/// A policy without the permission of this label; empty where no other is left.
pub(crate) fn without(kept: Option<&str>, label: &str) -> Result<String, Fault> {
    let document = parse(kept.unwrap_or("{}"))?;
    let mut statements = statements(&document)?;
    let before = statements.len();
    statements.retain(|statement| sid(statement).as_deref() != Some(label));
    if statements.len() == before {
        return Err(Fault::invalid("Label", &label, "can't find label on existing policy."));
    }
    render(&document, &statements)
}

/// Checks a policy that is to be kept: a JSON object within the bounds of AWS.
pub(super) fn check(policy: &str) -> Result<(), String> {
    check_within(policy, NOTE_BYTES_MAX)
}

/// Checks a policy of at most `bytes_max` bytes.
pub(crate) fn check_within(policy: &str, bytes_max: usize) -> Result<(), String> {
    if policy.len() > bytes_max {
        return Err(format!("it has {} bytes of at most {bytes_max}", policy.len()));
    }
    if !policy.trim_start().starts_with('{') {
        // The parser would take a list for the members in their order.
        return Err("it is no JSON object".to_owned());
    }
    let document: Document<'_> = serde_json::from_str(policy).map_err(|error| error.to_string())?;
    let statements = split(&document).map_err(|error| error.to_string())?;
    let values: Result<Vec<Value>, _> = statements.iter().map(|raw| serde_json::from_str(raw.get())).collect();
    let values = values.map_err(|error| error.to_string())?;
    let principals = values.iter().filter_map(|value| value.get("Principal")).map(leaves).sum();
    let conditions = values.iter().filter_map(|value| value.get("Condition")).map(conditions).sum();
    for (what, found, max) in [
        ("statements", values.len(), STATEMENTS_MAX),
        ("principals", principals, PRINCIPALS_MAX),
        ("conditions", conditions, CONDITIONS_MAX),
    ] {
        if found > max {
            return Err(format!("it has {found} {what} of at most {max}"));
        }
    }
    Ok(())
}

/// How many plain values `value` holds.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(leaves).sum(),
        Value::Object(values) => values.values().map(leaves).sum(),
        _ => 1,
    }
}

/// How many conditions there are under all operators.
fn conditions(condition: &Value) -> usize {
    let operators = condition.as_object().into_iter().flat_map(|operators| operators.values());
    operators.map(|keys| keys.as_object().map_or(1, serde_json::Map::len)).sum()
}

pub(crate) fn label(label: Option<&str>) -> Result<&str, Fault> {
    let label = label.filter(|label| !label.is_empty()).ok_or_else(|| Fault::missing("Label"))?;
    if label.len() > LABEL_MAX || !text::is_word(label) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.";
        return Err(Fault::invalid("Label", &text::quote(label, 128), reason));
    }
    Ok(label)
}

fn check_action(action: &str) -> Result<(), Fault> {
    use Operation as O;
    let reason = match Operation::from_name(action.as_bytes()) {
        _ if action == "*" => return Ok(()),
        None => "Please refer to the appropriate WSDL for a list of valid actions.",
        Some(
            O::AddPermission
            | O::RemovePermission
            | O::CreateQueue
            | O::DeleteQueue
            | O::ListQueues
            | O::SetQueueAttributes
            | O::TagQueue
            | O::UntagQueue
            | O::ListQueueTags
            | O::StartMessageMoveTask
            | O::CancelMessageMoveTask
            | O::ListMessageMoveTasks,
        ) => "Only the queue owner is allowed to invoke this action.",
        Some(_) => return Ok(()),
    };
    Err(Fault::invalid("ActionName", &format!("SQS:{}", text::quote(action, 128)), reason))
}

fn kept(config: &Config) -> Option<&str> {
    config.notes.iter().find(|(name, _)| name == POLICY).map(|(_, policy)| policy.as_str())
}

/// Reads a policy that was kept, and so was checked.
fn parse(policy: &str) -> Result<Document<'_>, Fault> {
    serde_json::from_str(policy).map_err(|_| Fault::internal())
}

fn statements<'a>(document: &Document<'a>) -> Result<Vec<&'a RawValue>, Fault> {
    split(document).map_err(|_| Fault::internal())
}

fn split<'a>(document: &Document<'a>) -> serde_json::Result<Vec<&'a RawValue>> {
    match document.statement {
        None => Ok(Vec::new()),
        Some(one) if one.get().starts_with('{') => Ok(vec![one]),
        Some(many) => serde_json::from_str(many.get()),
    }
}

fn sid(statement: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Sid {
        #[serde(rename = "Sid")]
        sid: Option<String>,
    }
    serde_json::from_str::<Sid>(statement.get()).ok()?.sid
}

/// A policy of these statements; empty without any.
fn render(document: &Document<'_>, statements: &[&RawValue]) -> Result<String, Fault> {
    if statements.is_empty() {
        return Ok(String::new());
    }
    let list = serde_json::value::to_raw_value(statements).map_err(|_| Fault::internal())?;
    let Document { version, id, .. } = document;
    let written = Document { version: version.clone(), id: id.clone(), statement: Some(&list) };
    serde_json::to_string(&written).map_err(|_| Fault::internal())
}

fn write(config: &mut Config, policy: String) -> Result<(), Fault> {
    if !policy.is_empty() {
        check(&policy).map_err(|reason| over(&format!("the policy would be too large: {reason}")))?;
    }
    config.notes.retain(|(name, _)| name != POLICY);
    if !policy.is_empty() {
        config.notes.push((POLICY.to_owned(), policy));
        config.notes.sort_unstable();
    }
    Ok(())
}

fn over(what: &str) -> Fault {
    Fault::new(Code::OverLimit, format!("The limit of permissions is exceeded: {what}."))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
