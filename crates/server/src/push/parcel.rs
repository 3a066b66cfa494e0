//! Which leased messages go in which request.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_aws::sqs::payload::{Payload, Value};
use weir_aws::sqs::receipt;
use weir_core::api::{Delivery, QueueId};
use weir_push::message::{Attribute, Message, Value as Pushed};

use crate::native::{CUSTOM_ID, NAME, own, push_data};

/// A message under a lease, with what it carries.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) delivery: Delivery,
    pub(crate) payload: Bytes,
}

/// Messages that are sent by one task.
#[derive(Debug)]
pub(super) enum Parcel {
    /// In one request.
    Together(Vec<Leased>),
    /// In one request each, one after the other, because their order counts.
    InTurn(Vec<Leased>),
}

impl Parcel {
    pub(super) fn messages(&self) -> &[Leased] {
        match self {
            Parcel::Together(messages) | Parcel::InTurn(messages) => messages,
        }
    }
}

/// Each message in a request of its own.
pub(super) fn singly(leased: Vec<Leased>) -> Vec<Parcel> {
    leased.into_iter().map(|leased| Parcel::Together(vec![leased])).collect()
}

/// Batches of so many messages and bytes, in order; one message at least.
pub(super) fn in_batches(leased: Vec<Leased>, max: usize, bytes_max: u64) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for leased in leased {
        let more = leased.payload.len() as u64;
        if !batch.is_empty() && (batch.len() >= max || bytes + more > bytes_max) {
            parcels.push(Parcel::Together(std::mem::take(&mut batch)));
            bytes = 0;
        }
        bytes += more;
        batch.push(leased);
    }
    if !batch.is_empty() {
        parcels.push(Parcel::Together(batch));
    }
    parcels
}

/// The messages of each group in turn.
pub(super) fn by_group(leased: Vec<Leased>) -> Vec<Parcel> {
    let mut groups: BTreeMap<String, Vec<Leased>> = BTreeMap::new();
    for leased in leased {
        let group = Payload::decode(&leased.payload).ok().and_then(|payload| payload.group_id.map(str::to_owned));
        groups.entry(group.unwrap_or_default()).or_default().push(leased);
    }
    groups.into_values().map(Parcel::InTurn).collect()
}

/// A message as it is pushed.
///
/// # Errors
/// When what is stored cannot be read.
pub(crate) fn message(queue: QueueId, leased: &Leased) -> Result<Message<'_>, String> {
    let payload =
        Payload::decode(&leased.payload).map_err(|error| format!("the stored message cannot be read: {error}"))?;
    let mut data = Vec::with_capacity(payload.body.len() + 2);
    push_data(&mut data, &payload);
    let data = String::from_utf8(data).map_err(|_| "the stored message is not UTF-8".to_owned())?;
    let shown = payload.attributes.iter().filter(|attribute| !attribute.name.starts_with("weir."));
    let attributes = shown.map(|attribute| Attribute {
        name: attribute.name,
        data_type: attribute.data_type,
        value: match &attribute.value {
            Value::Text(text) => Pushed::Text(text),
            Value::Binary(bytes) => Pushed::Binary(bytes.clone()),
        },
    });
    let Delivery { handle, .. } = &leased.delivery;
    Ok(Message {
        id: handle.message,
        uuid: payload.uuid,
        name: own(&payload.attributes, NAME),
        custom_id: own(&payload.attributes, CUSTOM_ID),
        group: payload.group_id,
        deduplication_id: payload.deduplication_id().map(|id| id.into_owned().into()),
        trace_header: payload.trace_header,
        body: payload.body,
        data: data.into(),
        attributes: attributes.collect(),
        attempt: leased.delivery.failures.saturating_add(1),
        leases: leased.delivery.grants,
        sent_at_ms: leased.delivery.sent_at.0,
        first_leased_at_ms: leased.delivery.first_received_at.0,
        priority: leased.delivery.priority,
        token: receipt::encode(queue, handle),
    })
}
