//! Requests as the operations take them.
//!
//! Nothing is checked here beyond the types: what is absent is `None`.

use crate::request::{AttributeValue, Pairs, Text};

/// `CreateTopic`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopic<'a> {
    /// `Name`
    pub name: Option<Text<'a>>,
    /// `Attributes`
    pub attributes: Option<Pairs<'a, Text<'a>>>,
    /// `Tags`
    pub tags: Option<Pairs<'a, Text<'a>>>,
    /// `DataProtectionPolicy`
    pub data_protection_policy: Option<Text<'a>>,
}

/// A request about a topic, and nothing else: `DeleteTopic`, `GetTopicAttributes`, and, by `ResourceArn`,
/// `GetDataProtectionPolicy` and `ListTagsForResource`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnTopic<'a> {
    /// `TopicArn` or `ResourceArn`
    pub topic_arn: Option<Text<'a>>,
}

/// A request about a subscription, and nothing else: `GetSubscriptionAttributes`, `Unsubscribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnSubscription<'a> {
    /// `SubscriptionArn`
    pub subscription_arn: Option<Text<'a>>,
}

/// `SetTopicAttributes`, `SetSubscriptionAttributes`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetAttribute<'a> {
    /// `TopicArn` or `SubscriptionArn`
    pub arn: Option<Text<'a>>,
    /// `AttributeName`
    pub name: Option<Text<'a>>,
    /// `AttributeValue`
    pub value: Option<Text<'a>>,
}

/// `ListTopics`, `ListSubscriptions`, `ListSubscriptionsByTopic`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<'a> {
    /// `TopicArn`, of `ListSubscriptionsByTopic`.
    pub topic_arn: Option<Text<'a>>,
    /// `NextToken`
    pub next_token: Option<Text<'a>>,
}

/// `Subscribe`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// `TopicArn`
    pub topic_arn: Option<Text<'a>>,
    /// `Protocol`
    pub protocol: Option<Text<'a>>,
    /// `Endpoint`
    pub endpoint: Option<Text<'a>>,
    /// `Attributes`
    pub attributes: Option<Pairs<'a, Text<'a>>>,
    /// `ReturnSubscriptionArn`
    pub return_arn: bool,
}

/// `ConfirmSubscription`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfirmSubscription<'a> {
    /// `TopicArn`
    pub topic_arn: Option<Text<'a>>,
    /// `Token`
    pub token: Option<Text<'a>>,
    /// `AuthenticateOnUnsubscribe`
    pub authenticate_on_unsubscribe: Option<Text<'a>>,
}

/// A message to publish: what `Publish` and an entry of `PublishBatch` have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// `Message`
    pub message: Option<Text<'a>>,
    /// `Subject`
    pub subject: Option<Text<'a>>,
    /// `MessageStructure`
    pub structure: Option<Text<'a>>,
    /// `MessageAttributes`
    pub attributes: Option<Pairs<'a, AttributeValue<'a>>>,
    /// `MessageDeduplicationId`
    pub deduplication_id: Option<Text<'a>>,
    /// `MessageGroupId`
    pub group_id: Option<Text<'a>>,
}

/// `Publish`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish<'a> {
    /// `TopicArn`
    pub topic_arn: Option<Text<'a>>,
    /// `TargetArn`
    pub target_arn: Option<Text<'a>>,
    /// `PhoneNumber`
    pub phone_number: Option<Text<'a>>,
    /// The message.
    pub message: Message<'a>,
}

/// An entry of [`PublishBatch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishEntry<'a> {
    /// `Id`
    pub id: Option<Text<'a>>,
    /// The message.
    pub message: Message<'a>,
}

/// `PublishBatch`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishBatch<'a> {
    /// `TopicArn`
    pub topic_arn: Option<Text<'a>>,
    /// `PublishBatchRequestEntries`
    pub entries: Option<Vec<PublishEntry<'a>>>,
}

/// `TagResource`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagResource<'a> {
    /// `ResourceArn`
    pub resource_arn: Option<Text<'a>>,
    /// `Tags`
    pub tags: Option<Pairs<'a, Text<'a>>>,
}

/// `UntagResource`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UntagResource<'a> {
    /// `ResourceArn`
    pub resource_arn: Option<Text<'a>>,
    /// `TagKeys`
    pub tag_keys: Option<Vec<Text<'a>>>,
}

/// `AddPermission`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddPermission<'a> {
    /// `TopicArn`
    pub topic_arn: Option<Text<'a>>,
    /// `Label`
    pub label: Option<Text<'a>>,
    /// `AWSAccountId`
    pub account_ids: Option<Vec<Text<'a>>>,
    /// `ActionName`
    pub actions: Option<Vec<Text<'a>>>,
}

/// `RemovePermission`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovePermission<'a> {
    /// `TopicArn`
    pub topic_arn: Option<Text<'a>>,
    /// `Label`
    pub label: Option<Text<'a>>,
}

/// `PutDataProtectionPolicy`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutDataProtectionPolicy<'a> {
    /// `ResourceArn`
    pub resource_arn: Option<Text<'a>>,
    /// `DataProtectionPolicy`
    pub policy: Option<Text<'a>>,
}
