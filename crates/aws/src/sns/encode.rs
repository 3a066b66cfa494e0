//! Writing the body of an answer.

use super::fault::wire;
use super::operation::Operation;
use crate::fault::Fault;
use crate::query::{Element, document};
use crate::sqs::received::sequence_number;
use crate::uuid;

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// A message that was published, as its publisher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its public id.
    pub uuid: [u8; 16],
    /// Its sequence number; of FIFO topics.
    pub sequence: Option<u64>,
}

/// A subscription in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its ARN, or that it waits to be confirmed.
    pub arn: String,
    /// Who subscribed.
    pub owner: String,
    /// How it is delivered to.
    pub protocol: &'static str,
    /// Where.
    pub endpoint: String,
    /// The ARN of its topic.
    pub topic_arn: String,
}

/// The answer of an operation that succeeded.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// That it succeeded.
    Done,
    /// `CreateTopic`: its ARN.
    Topic(&'a str),
    /// `ListTopics`: their ARNs, and the token of the next page.
    Topics(&'a [String], Option<&'a str>),
    /// `Subscribe`, `ConfirmSubscription`: its ARN.
    Subscription(&'a str),
    /// `ListSubscriptions`, `ListSubscriptionsByTopic`, and the token of the next page.
    Subscriptions(&'a [Listed], Option<&'a str>),
    /// `GetTopicAttributes`, `GetSubscriptionAttributes`
    Attributes(&'a [(&'static str, String)]),
    /// `ListTagsForResource`
    Tags(&'a weir_core::api::Tags),
    /// `Publish`
    Published(Published),
    /// `PublishBatch`: what became of each entry, by its id.
    PublishedBatch(&'a [(&'a str, Result<Published, Fault>)]),
    /// `GetDataProtectionPolicy`
    DataProtectionPolicy(&'a str),
}

/// The body of the answer of `operation`.
pub fn answer(operation: Operation, answer: &Answer<'_>, request_id: &str) -> Vec<u8> {
    let name = operation.name();
    // Some operations without a result have an empty element for one all the same.
    let has_result =
        !matches!(answer, Answer::Done) || matches!(operation, Operation::TagResource | Operation::UntagResource);
    document(&format!("{name}Response"), NAMESPACE, capacity(answer), |response| {
        if has_result {
            response.element(&format!("{name}Result"), |result| write_result(result, answer));
        }
        response.element("ResponseMetadata", |metadata| metadata.text("RequestId", request_id));
    })
}

/// The body of an error.
pub fn error(fault: &Fault, request_id: &str) -> Vec<u8> {
    let (code, status) = wire(fault.code);
    document("ErrorResponse", NAMESPACE, 256 + fault.message.len(), |response| {
        response.element("Error", |error| {
            error.plain("Type", if status < 500 { "Sender" } else { "Receiver" });
            error.plain("Code", code);
            error.text("Message", &fault.message);
        });
        response.text("RequestId", request_id);
    })
}

fn capacity(answer: &Answer<'_>) -> usize {
    match answer {
        Answer::Topics(topics, _) => 256 * topics.len() + 256,
        Answer::Subscriptions(subscriptions, _) => 512 * subscriptions.len() + 256,
        Answer::PublishedBatch(entries) => 256 * entries.len() + 256,
        _ => 1_024,
    }
}

fn write_result(result: &mut Element<'_>, answer: &Answer<'_>) {
    match *answer {
        Answer::Done => {}
        Answer::Topic(arn) => result.text("TopicArn", arn),
        Answer::Subscription(arn) => result.text("SubscriptionArn", arn),
        Answer::DataProtectionPolicy(policy) => result.text("DataProtectionPolicy", policy),
        Answer::Topics(arns, token) => {
            result.element("Topics", |list| {
                for arn in arns {
                    list.element("member", |member| member.text("TopicArn", arn));
                }
            });
            next_token(result, token);
        }
        Answer::Subscriptions(subscriptions, token) => {
            result.element("Subscriptions", |list| {
                for listed in subscriptions {
                    list.element("member", |member| subscription(member, listed));
                }
            });
            next_token(result, token);
        }
        Answer::Attributes(attributes) => result.element("Attributes", |map| {
            for (name, value) in attributes {
                map.element("entry", |entry| {
                    entry.text("key", name);
                    entry.text("value", value);
                });
            }
        }),
        Answer::Tags(tags) => result.element("Tags", |list| {
            for (key, value) in tags {
                list.element("member", |member| {
                    member.text("Key", key);
                    member.text("Value", value);
                });
            }
        }),
        Answer::Published(message) => published(result, &message),
        Answer::PublishedBatch(entries) => {
            result.element("Successful", |list| {
                for (id, message) in entries {
                    let Ok(message) = message else { continue };
                    list.element("member", |member| {
                        member.text("Id", id);
                        published(member, message);
                    });
                }
            });
            result.element("Failed", |list| {
                for (id, message) in entries {
                    let Err(fault) = message else { continue };
                    let (code, status) = wire(fault.code);
                    list.element("member", |member| {
                        member.text("Id", id);
                        member.plain("Code", code);
                        member.text("Message", &fault.message);
                        member.plain("SenderFault", if status < 500 { "true" } else { "false" });
                    });
                }
            });
        }
    }
}

fn published(element: &mut Element<'_>, message: &Published) {
    element.plain("MessageId", &uuid::text(&message.uuid));
    if let Some(sequence) = message.sequence {
        element.plain("SequenceNumber", &sequence_number(sequence));
    }
}

fn subscription(element: &mut Element<'_>, listed: &Listed) {
    element.text("SubscriptionArn", &listed.arn);
    element.text("Owner", &listed.owner);
    element.text("Protocol", listed.protocol);
    element.text("Endpoint", &listed.endpoint);
    element.text("TopicArn", &listed.topic_arn);
}

fn next_token(element: &mut Element<'_>, token: Option<&str>) {
    if let Some(token) = token {
        element.text("NextToken", token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn answers_have_the_form_of_the_service() {
        let created = text(answer(Operation::CreateTopic, &Answer::Topic("arn"), "r"));
        assert_eq!(
            created,
            "<?xml version=\"1.0\"?><CreateTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><CreateTopicResult><TopicArn>arn</TopicArn></CreateTopicResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></CreateTopicResponse>"
        );
        let deleted = text(answer(Operation::DeleteTopic, &Answer::Done, "r"));
        assert!(!deleted.contains("Result"), "{deleted}");
        let tagged = text(answer(Operation::TagResource, &Answer::Done, "r"));
        assert!(tagged.contains("<TagResourceResult></TagResourceResult>"), "{tagged}");
        let entries = [
            ("a", Ok(Published { uuid: [0; 16], sequence: Some(7) })),
            ("b", Err(Fault::new(Code::InvalidParameterValue, "why <not>"))),
        ];
        let batch = text(answer(Operation::PublishBatch, &Answer::PublishedBatch(&entries), "r"));
        assert!(batch.contains("<SequenceNumber>00000000000000000007</SequenceNumber>"), "{batch}");
        assert!(batch.contains("<Code>ParameterValueInvalid</Code><Message>why &lt;not&gt;</Message>"), "{batch}");
    }

    #[test]
    fn errors_have_the_codes_of_the_service() {
        let body = text(error(&super::super::fault::no_topic(), "r"));
        assert!(
            body.contains("<Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message>"),
            "{body}"
        );
        let body = text(error(&Fault::internal(), "r"));
        assert!(body.contains("<Type>Receiver</Type><Code>InternalError</Code>"), "{body}");
    }
}
