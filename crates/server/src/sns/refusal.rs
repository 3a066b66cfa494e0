//! Refusals of the engine in the words of SNS.

use weir_aws::sns::fault::{invalid, no_subscription, no_topic};
use weir_aws::sns::{subscription, topic};
use weir_aws::{Code, Fault};
use weir_core::api::Error;
use weir_shard::Refused;

use crate::sqs::Refusal;

/// The refusal of a command as a whole.
pub(super) fn of(refused: Refused) -> Refusal {
    match refused {
        Refused::Engine(error) => engine_fault(&error).into(),
        other => Refusal::of(other),
    }
}

/// An error of the engine.
pub(super) fn engine_fault(error: &Error) -> Fault {
    match error {
        Error::TopicNotFound => no_topic(),
        Error::SubscriptionNotFound => no_subscription(),
        Error::TopicExists { field } => topic::exists(field),
        Error::SubscriptionExists { field, .. } => {
            invalid("Attributes", &format!("Subscription already exists with different attributes: {field}"))
        }
        Error::SubscriptionKindDiffers => {
            let message = "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics";
            Fault::new(Code::InvalidParameter, message)
        }
        Error::TokenInvalid => Fault::new(Code::InvalidParameter, "Invalid parameter: Token"),
        Error::LaneRequired => {
            let message = "Invalid parameter: The MessageGroupId parameter is required for FIFO topics";
            Fault::new(Code::InvalidParameter, message)
        }
        Error::LimitExceeded { what, .. } => {
            let code = match *what {
                "subscriptions of a topic" => Code::SubscriptionLimitExceeded,
                "topics of a shard" => Code::TopicLimitExceeded,
                _ => Code::InvalidParameter,
            };
            Fault::new(code, format!("{error}."))
        }
        Error::RedriveNotAllowed { target, source_queue } => {
            let reason = format!("the queue {target} does not take the dead letters of {source_queue}");
            invalid("RedrivePolicy", &reason)
        }
        Error::NoArchive | Error::ReplayActive { .. } => subscription::refused_replay(&error.to_string()),
        Error::Invalid { .. } => Fault::new(Code::InvalidParameter, format!("Invalid parameter: {error}")),
        Error::TopicStale { .. } | Error::Stale { .. } => Fault::new(
            Code::ServiceUnavailable,
            "The topic was changed again and again while the request ran; try again.",
        ),
        _ => {
            tracing::error!(%error, "the engine refused a command for a reason that the door does not expect");
            Fault::internal()
        }
    }
}
