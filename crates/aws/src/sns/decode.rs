//! Reading a form as a request: which parameter is which field.

use super::operation::{Operation, UNSERVED};
use super::request::{
    AddPermission, ConfirmSubscription, CreateTopic, List, Message, OnSubscription, OnTopic, Publish, PublishBatch,
    PublishEntry, PutDataProtectionPolicy, RemovePermission, SetAttribute, Subscribe, TagResource, UntagResource,
};
use crate::fault::{Code, Fault};
use crate::query::{Form, Parameters};
use crate::request::{AttributeValue, Pairs};
use crate::text;

/// The version of the API that there is.
pub(super) const VERSION: &str = "2010-03-31";

/// A request of any operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum Request<'a> {
    CreateTopic(CreateTopic<'a>),
    DeleteTopic(OnTopic<'a>),
    GetTopicAttributes(OnTopic<'a>),
    SetTopicAttributes(SetAttribute<'a>),
    ListTopics(List<'a>),
    Subscribe(Subscribe<'a>),
    ConfirmSubscription(ConfirmSubscription<'a>),
    Unsubscribe(OnSubscription<'a>),
    GetSubscriptionAttributes(OnSubscription<'a>),
    SetSubscriptionAttributes(SetAttribute<'a>),
    ListSubscriptions(List<'a>),
    ListSubscriptionsByTopic(List<'a>),
    Publish(Publish<'a>),
    PublishBatch(PublishBatch<'a>),
    TagResource(TagResource<'a>),
    UntagResource(UntagResource<'a>),
    ListTagsForResource(OnTopic<'a>),
    AddPermission(AddPermission<'a>),
    RemovePermission(RemovePermission<'a>),
    GetDataProtectionPolicy(OnTopic<'a>),
    PutDataProtectionPolicy(PutDataProtectionPolicy<'a>),
}

/// Whether a form speaks to this service, and not to another one of the same protocol: by the version that it names, or
/// else by an operation that only this service has.
pub fn is_meant(form: &Form<'_>) -> bool {
    let at = form.parameters();
    match (at.text("Version").as_deref(), at.text("Action").as_deref()) {
        (Some(VERSION), _) => true,
        (Some(version), _) if !version.is_empty() => false,
        // Both services have these.
        (_, Some("AddPermission" | "RemovePermission")) => at.text("TopicArn").is_some(),
        (_, Some(action)) => Operation::from_name(action).is_some() || UNSERVED.contains(&action),
        (_, None) => false,
    }
}

/// The operation that a form names.
///
/// # Errors
/// `MissingAction`, `InvalidAction`, `NoSuchVersion`; `UnsupportedOperation` for mobile push and text messages.
pub fn operation(form: &Form<'_>) -> Result<Operation, Fault> {
    let action = form.action("AmazonSNS", VERSION)?;
    if let Some(operation) = Operation::from_name(&action) {
        return Ok(operation);
    }
    if UNSERVED.contains(&action.as_ref()) {
        return Err(Fault::unsupported(format!(
            "{action} is not supported: this server has topics and subscriptions, and neither mobile push nor text messages."
        )));
    }
    let action = text::quote(&action, 256);
    Err(Fault::new(Code::InvalidAction, format!("The action {action} is not valid for this endpoint.")))
}

/// Reads a form as a request of `operation`.
///
/// # Errors
/// `InvalidParameter` for what is no number or truth value, `MalformedQueryString` for lists and maps that are none.
pub fn decode<'f>(operation: Operation, form: &'f Form<'_>) -> Result<Request<'f>, Fault> {
    let at = form.parameters();
    Ok(match operation {
        Operation::CreateTopic => Request::CreateTopic(CreateTopic {
            name: at.text("Name"),
            attributes: map_of_texts(at, "Attributes")?,
            tags: map_of_texts(at, "Tags")?,
            data_protection_policy: at.text("DataProtectionPolicy"),
        }),
        Operation::DeleteTopic => Request::DeleteTopic(on_topic(at, "TopicArn")),
        Operation::GetTopicAttributes => Request::GetTopicAttributes(on_topic(at, "TopicArn")),
        Operation::GetDataProtectionPolicy => Request::GetDataProtectionPolicy(on_topic(at, "ResourceArn")),
        Operation::ListTagsForResource => Request::ListTagsForResource(on_topic(at, "ResourceArn")),
        Operation::SetTopicAttributes => Request::SetTopicAttributes(set_attribute(at, "TopicArn")),
        Operation::SetSubscriptionAttributes => {
            Request::SetSubscriptionAttributes(set_attribute(at, "SubscriptionArn"))
        }
        Operation::ListTopics => Request::ListTopics(list(at)),
        Operation::ListSubscriptions => Request::ListSubscriptions(list(at)),
        Operation::ListSubscriptionsByTopic => Request::ListSubscriptionsByTopic(list(at)),
        Operation::Subscribe => Request::Subscribe(Subscribe {
            topic_arn: at.text("TopicArn"),
            protocol: at.text("Protocol"),
            endpoint: at.text("Endpoint"),
            attributes: map_of_texts(at, "Attributes")?,
            return_arn: boolean(at, "ReturnSubscriptionArn")?,
        }),
        Operation::ConfirmSubscription => Request::ConfirmSubscription(ConfirmSubscription {
            topic_arn: at.text("TopicArn"),
            token: at.text("Token"),
            authenticate_on_unsubscribe: at.text("AuthenticateOnUnsubscribe"),
        }),
        Operation::Unsubscribe => Request::Unsubscribe(on_subscription(at)),
        Operation::GetSubscriptionAttributes => Request::GetSubscriptionAttributes(on_subscription(at)),
        Operation::Publish => Request::Publish(Publish {
            topic_arn: at.text("TopicArn"),
            target_arn: at.text("TargetArn"),
            phone_number: at.text("PhoneNumber"),
            message: message(at)?,
        }),
        Operation::PublishBatch => {
            let entries = at.list(["PublishBatchRequestEntries"]);
            let entry = |at: Parameters<'f>| Ok(PublishEntry { id: at.text("Id"), message: message(at)? });
            let entries = entries.map(|entries| entries.into_iter().map(entry).collect::<Result<_, Fault>>());
            Request::PublishBatch(PublishBatch { topic_arn: at.text("TopicArn"), entries: entries.transpose()? })
        }
        Operation::TagResource => {
            let tags = map_of_texts(at, "Tags")?;
            Request::TagResource(TagResource { resource_arn: at.text("ResourceArn"), tags })
        }
        Operation::UntagResource => Request::UntagResource(UntagResource {
            resource_arn: at.text("ResourceArn"),
            tag_keys: at.texts(["TagKeys"])?,
        }),
        Operation::AddPermission => Request::AddPermission(AddPermission {
            topic_arn: at.text("TopicArn"),
            label: at.text("Label"),
            account_ids: at.texts(["AWSAccountId"])?,
            actions: at.texts(["ActionName"])?,
        }),
        Operation::RemovePermission => {
            Request::RemovePermission(RemovePermission { topic_arn: at.text("TopicArn"), label: at.text("Label") })
        }
        Operation::PutDataProtectionPolicy => Request::PutDataProtectionPolicy(PutDataProtectionPolicy {
            resource_arn: at.text("ResourceArn"),
            policy: at.text("DataProtectionPolicy"),
        }),
    })
}

fn on_topic<'f>(at: Parameters<'f>, name: &str) -> OnTopic<'f> {
    OnTopic { topic_arn: at.text(name) }
}

fn on_subscription(at: Parameters<'_>) -> OnSubscription<'_> {
    OnSubscription { subscription_arn: at.text("SubscriptionArn") }
}

fn set_attribute<'f>(at: Parameters<'f>, arn: &str) -> SetAttribute<'f> {
    SetAttribute { arn: at.text(arn), name: at.text("AttributeName"), value: at.text("AttributeValue") }
}

fn list(at: Parameters<'_>) -> List<'_> {
    List { topic_arn: at.text("TopicArn"), next_token: at.text("NextToken") }
}

/// A map (`Attributes.entry.1.key`) or the list of pairs that tags are (`Tags.member.1.Key`).
fn map_of_texts<'f>(at: Parameters<'f>, name: &str) -> Result<Option<Pairs<'f, crate::request::Text<'f>>>, Fault> {
    at.text_map([name])
}

fn boolean(at: Parameters<'_>, name: &str) -> Result<bool, Fault> {
    match at.text(name).as_deref() {
        None | Some("") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => {
            Err(super::fault::invalid(name, &format!("{} is neither true nor false", text::quote(other, 64))))
        }
    }
}

fn message(at: Parameters<'_>) -> Result<Message<'_>, Fault> {
    let attributes = at.map(["MessageAttributes"], |at| {
        Ok(AttributeValue {
            data_type: at.text("DataType"),
            string_value: at.text("StringValue"),
            binary_value: at.text("BinaryValue"),
            ..AttributeValue::default()
        })
    })?;
    Ok(Message {
        message: at.text("Message"),
        subject: at.text("Subject"),
        structure: at.text("MessageStructure"),
        attributes,
        deduplication_id: at.text("MessageDeduplicationId"),
        group_id: at.text("MessageGroupId"),
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
