//! Messages that came by a subscription, as they are given out: in their envelope, signed, or as they are.

use bytes::Bytes;
use weir_aws::Fault;
use weir_aws::sns::arn::{SubscriptionArn, TopicArn};
use weir_aws::sns::envelope::{self, Links, Signature, signed_text};
use weir_aws::sqs::payload::Payload;
use weir_core::api::Delivery;
use weir_core::api::topic::Origin;

use crate::app::App;
use crate::engine::Engine;

/// The envelopes of messages for subscriptions of `protocol`; `None` for those that have none.
pub(crate) async fn envelopes<E: Engine>(
    app: &App<E>,
    host: Option<&str>,
    protocol: &str,
    deliveries: &[Delivery],
    payloads: &[Bytes],
) -> Result<Vec<Option<String>>, Fault> {
    let mut all = Vec::with_capacity(deliveries.len());
    for (delivery, payload) in deliveries.iter().zip(payloads) {
        all.push(match delivery.origin {
            Some(origin) if !origin.raw => match Payload::decode(payload) {
                Ok(payload) => notification(app, &app.base_url(host), protocol, origin, &payload).await?,
                // One that cannot be read is found, and told of, where it is given out.
                Err(_) => None,
            },
            _ => None,
        });
    }
    Ok(all)
}

/// The envelope of a message for subscriptions of `protocol`, with links to this server at `base`; `None` for what was not
/// published.
pub(crate) async fn notification<E: Engine>(
    app: &App<E>,
    base: &str,
    protocol: &str,
    origin: Origin,
    payload: &Payload<'_>,
) -> Result<Option<String>, Fault> {
    let (signature, links) = signed(app, base, protocol, origin, payload).await?;
    // On a FIFO topic each message is told from its duplicates, and has a sequence number.
    let sequence = payload.deduplication.map(|_| origin.publication);
    Ok(envelope::notification(payload, protocol, sequence, signature.as_ref(), &links))
}

/// The event of a message for the function of the subscription of this ARN; `None` for what was not published.
pub(crate) async fn function_event<E: Engine>(
    app: &App<E>,
    base: &str,
    subscription_arn: &str,
    origin: Origin,
    payload: &Payload<'_>,
) -> Result<Option<String>, Fault> {
    let (signature, links) = signed(app, base, "lambda", origin, payload).await?;
    Ok(envelope::function_event(payload, subscription_arn, signature.as_ref(), &links))
}

/// The signature of a message for subscriptions of `protocol`, where its topic signs, and the links that go with it.
async fn signed<E: Engine>(
    app: &App<E>,
    base: &str,
    protocol: &str,
    origin: Origin,
    payload: &Payload<'_>,
) -> Result<(Option<Signature>, Links), Fault> {
    let mut links = Links { certificate: String::new(), unsubscribe: unsubscribe_url(app, base, origin) };
    let mut signature = None;
    if let Some((version, text)) = signed_text(payload, protocol) {
        let keys = app.signer.keys().await?;
        links.certificate = format!("{base}{}", keys.path());
        signature = Some(Signature { version, base64: app.signer.sign(&keys, version, &text)? });
    }
    Ok((signature, links))
}

fn unsubscribe_url<E: Engine>(app: &App<E>, base: &str, origin: Origin) -> Option<String> {
    let directory = app.engine.directory();
    let subscription = directory.subscription(origin.subscription)?;
    let topic = directory.topic_by_id(subscription.topic)?;
    let topic = TopicArn { region: &app.config.region, namespace: topic.namespace, name: &topic.name };
    let arn = SubscriptionArn { topic, uuid: subscription.uuid };
    Some(format!("{base}/?Action=Unsubscribe&SubscriptionArn={arn}"))
}
