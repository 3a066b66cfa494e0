//! Access keys: from the tables of the file to what the server takes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use weir_core::api::Namespace;
use weir_server::AccessKey;

use super::kind::{Kind, Setting};
use super::origin::Origin;
use super::problem::Problem;
use super::resolve::Values;
use super::secret::Secret;
use super::tree::{KeySettings, Role};

/// Shortest secret: long enough that it cannot be found by trying.
pub(crate) const SECRET_MIN: usize = 16;
/// Longest secret.
const SECRET_MAX: usize = 256;

/// The public part of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) String);

impl Setting for KeyId {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain && (1..=128).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err("must be 1 to 128 letters, digits and _".to_owned())
    }
}

/// A namespace: the account id of ARNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account(pub(crate) Namespace);

impl Setting for Account {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        weir_aws::account_id(text).map(Self).ok_or_else(|| "must be an account id of 12 digits".to_owned())
    }
}

/// Reads the tables of keys, and the files of their secrets.
pub(super) fn read(tables: &[Values]) -> Result<Vec<AccessKey>, Vec<Problem>> {
    let mut keys: Vec<AccessKey> = Vec::new();
    let mut problems = Vec::new();
    for values in tables {
        match read_one(values) {
            Ok(key) if keys.iter().any(|other| other.id == key.id) => {
                problems.push(Problem::new(origin(values, "keys.id"), format!("keys.id {:?} is there twice", key.id)));
            }
            Ok(key) => keys.push(key),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(keys) } else { Err(problems) }
}

fn read_one(values: &Values) -> Result<AccessKey, Problem> {
    let settings = KeySettings::read(values)?;
    let (secret, path) = match (settings.secret, settings.secret_file) {
        (Some(secret), None) => (secret, "keys.secret"),
        (None, Some(path)) => {
            let secret = read_secret(&path).map_err(|reason| {
                let text = format!("keys.secret_file: cannot read {}: {reason}", path.display());
                Problem::new(origin(values, "keys.secret_file"), text)
            })?;
            (secret, "keys.secret_file")
        }
        _ => {
            let text = "keys: each needs either secret or secret_file";
            return Err(Problem::new(origin(values, "keys.id"), text));
        }
    };
    if !(SECRET_MIN..=SECRET_MAX).contains(&secret.0.len()) {
        let text = format!("{path}: a secret must have {SECRET_MIN} to {SECRET_MAX} characters");
        return Err(Problem::new(origin(values, path), text));
    }
    Ok(AccessKey {
        id: settings.id.0,
        secret: secret.0,
        namespace: settings.namespace.0,
        role: match settings.role {
            Role::Read => weir_server::Role::Read,
            Role::Write => weir_server::Role::Write,
            Role::Admin => weir_server::Role::Admin,
        },
    })
}

/// What a file holds, without the line's end that editors leave.
fn read_secret(path: &Path) -> std::io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(SECRET_MAX as u64 + 3).read_to_string(&mut text)?;
    Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn origin(values: &Values, path: &str) -> Origin {
    values.get(path).map_or(Origin::Default, |value| value.origin.clone())
}
