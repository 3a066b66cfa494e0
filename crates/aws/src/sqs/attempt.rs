//! `ReceiveRequestAttemptId`: by which a receive that failed on its way is tried again and gets the same messages.

use weir_core::api::{Kind, Queue};

use super::group::attempt_hash;
use super::message::check_id;
use super::request::ReceiveMessage;
use super::text;
use crate::fault::Fault;

/// The hash of the attempt that `request` names.
///
/// # Errors
/// `InvalidParameterValue` for an id that is none, and on a standard queue.
pub fn attempt(request: &ReceiveMessage<'_>, queue: &Queue) -> Result<Option<[u8; 16]>, Fault> {
    let parameter = "ReceiveRequestAttemptId";
    match (request.attempt_id.as_deref(), queue.kind) {
        (None, _) => Ok(None),
        (Some(id), Kind::Fifo) => check_id(parameter, id).map(|id| Some(attempt_hash(id))),
        (Some(id), Kind::Standard) => {
            let reason = "The request include parameter that is not valid for this queue type.";
            Err(Fault::invalid(parameter, &text::quote(id, 128), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_core::Time;
    use weir_core::api::{Config, Namespace, QueueId};

    use super::*;

    #[test]
    fn an_attempt_has_an_id_on_fifo_queues_only() {
        let queue = |kind| Queue {
            id: QueueId(1),
            namespace: Namespace(0),
            name: "q".to_owned(),
            kind,
            config: Config::default(),
            version: 1,
            created_at: Time(0),
            modified_at: Time(0),
            tags: weir_core::api::Tags::new(),
            paused_until: None,
            subscription: None,
        };
        let of = |id: Option<&str>, kind| {
            let request = ReceiveMessage { attempt_id: id.map(|id| id.to_owned().into()), ..Default::default() };
            attempt(&request, &queue(kind)).map_err(|fault| fault.message)
        };
        assert_eq!(of(None, Kind::Standard), Ok(None));
        assert_eq!(of(Some("a"), Kind::Fifo), Ok(Some(attempt_hash("a"))));
        for (id, kind) in [("a", Kind::Standard), ("", Kind::Fifo), ("a b", Kind::Fifo), (&"a".repeat(129), Kind::Fifo)]
        {
            assert!(of(Some(id), kind).unwrap_err().contains("ReceiveRequestAttemptId"), "{id}");
        }
    }
}
