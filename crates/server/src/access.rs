//! Who may do what: access keys, and what their holders may.

use std::collections::HashMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use weir_aws::sigv4::{Payload, Request, Verifier};
use weir_aws::sqs::Operation;
use weir_aws::{Code, Fault};
use weir_core::api::Namespace;

/// What the holder of a key may do in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See queues, their attributes and counters.
    Read,
    /// The same; and send, receive and settle messages.
    Write,
    /// Everything: also create, change, purge and delete queues, move dead letters, and copy the server's data.
    Admin,
}

/// A key that requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its public part. 1 to 128 letters, digits and `_`.
    pub id: String,
    /// Its secret part.
    pub secret: String,
    /// The namespace that its holder works in: the account of queue URLs and ARNs.
    pub namespace: Namespace,
    /// What its holder may do there.
    pub role: Role,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, secret: _, namespace, role } = self;
        f.debug_struct("AccessKey").field("id", id).field("namespace", namespace).field("role", role).finish()
    }
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The namespace of queues that are named without one.
    pub(crate) namespace: Namespace,
    pub(crate) role: Role,
    /// Whether other namespaces are out of reach.
    pub(crate) confined: bool,
}

/// The keys that there are, and the signatures made with them.
#[derive(Debug)]
pub(crate) struct Access {
    keys: HashMap<String, AccessKey>,
    verifier: Verifier,
    /// Where requests without a key work, while there are no keys.
    namespace: Namespace,
}

/// What signatures are made for: the services of AWS whose protocols are spoken, and our own.
const SERVICES: [&str; 4] = ["lambda", "sns", "sqs", "weir"];

impl Access {
    pub(crate) fn new(keys: &[AccessKey], namespace: Namespace) -> Self {
        let keys = keys.iter().map(|key| (key.id.clone(), key.clone())).collect();
        Self { keys, verifier: Verifier::new(), namespace }
    }

    /// Who asks for what anybody may see.
    pub(crate) fn anybody(&self) -> Caller {
        Caller { namespace: self.namespace, role: Role::Read, confined: true }
    }

    /// Finds out whose request it is. Without keys everybody may do everything.
    pub(crate) fn caller(&self, head: &Parts, body: &[u8]) -> Result<Caller, Fault> {
        if self.keys.is_empty() {
            return Ok(Caller { namespace: self.namespace, role: Role::Admin, confined: false });
        }
        let mut headers: Vec<(&str, &[u8])> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        // HTTP/2 names the host beside the headers.
        if !head.headers.contains_key(HOST)
            && let Some(authority) = head.uri.authority().map(Authority::as_str)
        {
            headers.push(("host", authority.as_bytes()));
        }
        let request = Request {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
            payload: Payload::Bytes(body),
        };
        // A clock before the epoch verifies nothing, and says so as a skewed one.
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let secret = |id: &str| self.keys.get(id).map(|key| key.secret.as_str());
        let verified = self.verifier.verify(&request, &SERVICES, secret, now_s)?;
        let key = self.keys.get(&verified.access_key_id).ok_or_else(Fault::internal)?;
        Ok(Caller { namespace: key.namespace, role: key.role, confined: true })
    }
}

impl Caller {
    /// Refuses who may not carry out `operation`.
    pub(crate) fn check(self, operation: Operation) -> Result<(), Fault> {
        if self.role >= needed(operation) { Ok(()) } else { Err(denied(operation.name(), needed(operation))) }
    }

    /// Refuses whose role is less than `role`.
    pub(crate) fn check_role(self, what: &str, role: Role) -> Result<(), Fault> {
        if self.role >= role { Ok(()) } else { Err(denied(what, role)) }
    }

    /// Refuses who is not an administrator.
    pub(crate) fn check_admin(self, what: &str) -> Result<(), Fault> {
        self.check_role(what, Role::Admin)
    }

    /// Refuses a namespace that is not the caller's.
    pub(crate) fn check_namespace(self, namespace: Namespace) -> Result<(), Fault> {
        if !self.confined || namespace == self.namespace {
            return Ok(());
        }
        let message = format!(
            "Access to the resource is denied: the access key works in account {:012}, and not in {:012}.",
            self.namespace.0, namespace.0
        );
        Err(Fault::new(Code::AccessDenied, message))
    }
}

fn denied(what: &str, needed: Role) -> Fault {
    let needed = match needed {
        Role::Read => "read",
        Role::Write => "write",
        Role::Admin => "admin",
    };
    Fault::new(
        Code::AccessDenied,
        format!("The access key is not authorized to perform {what}: its role must be {needed}."),
    )
}

/// The least role that may carry out an operation.
pub(crate) fn needed(operation: Operation) -> Role {
    match operation {
        Operation::GetQueueUrl
        | Operation::ListQueues
        | Operation::GetQueueAttributes
        | Operation::ListQueueTags
        | Operation::ListDeadLetterSourceQueues
        | Operation::ListMessageMoveTasks => Role::Read,
        Operation::SendMessage
        | Operation::SendMessageBatch
        | Operation::ReceiveMessage
        | Operation::DeleteMessage
        | Operation::DeleteMessageBatch
        | Operation::ChangeMessageVisibility
        | Operation::ChangeMessageVisibilityBatch => Role::Write,
        Operation::CreateQueue
        | Operation::DeleteQueue
        | Operation::SetQueueAttributes
        | Operation::PurgeQueue
        | Operation::AddPermission
        | Operation::RemovePermission
        | Operation::TagQueue
        | Operation::UntagQueue
        | Operation::StartMessageMoveTask
        | Operation::CancelMessageMoveTask => Role::Admin,
    }
}
