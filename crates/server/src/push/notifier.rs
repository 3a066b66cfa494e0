//! Deliveries of a subscription of a URL that was made over SNS: what is posted, and when it is tried again.
//!
//! All else is as with any push target. So is the delivery policy read anew with each change of the topic or the
//! subscription, and in force for what is tried again next.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use percent_encoding::percent_decode_str;
use serde_json::json;
use weir_aws::sns::arn::{SubscriptionArn, TopicArn};
use weir_aws::sns::delivery_policy::{Retries, SubscriptionPolicy};
use weir_aws::sns::subscription::{self, Protocol};
use weir_aws::sqs::payload::Payload;
use weir_core::api::Delivery;
use weir_core::api::job::{Again, Settlement};
use weir_core::api::topic::{Subscription, SubscriptionId, Topic};
use weir_push::request::Request;
use weir_push::{Invalid, Settings};

use super::parcel::Leased;
use crate::app::App;
use crate::engine::Engine;
use crate::sns::{Asking, notification};

/// How long SNS waits for an answer.
const TIMEOUT_MS: u64 = 15_000;
/// What SNS calls itself; there are receivers that look at it.
const AGENT: HeaderValue = HeaderValue::from_static("Amazon Simple Notification Service Agent");
/// What a notification is where its policy says nothing.
const MEDIA: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// What is said to the endpoint of a subscription, and when it is said again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notifier {
    subscription: SubscriptionId,
    arn: String,
    topic_arn: String,
    protocol: Protocol,
    url: String,
    /// The address by which links lead to this server.
    base: String,
    policy: SubscriptionPolicy,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum Unsent {
    /// There never will be one.
    Never(String),
    /// There may be one later.
    Now(String),
    /// Nobody wants it any more.
    NotWanted,
}

impl Notifier {
    /// What holds for a subscription of a topic now.
    pub(super) fn new(base: String, region: &str, subscription: &Subscription, topic: &Topic) -> Self {
        let topic_arn = TopicArn { region, namespace: topic.namespace, name: &topic.name };
        Self {
            subscription: subscription.id,
            topic_arn: topic_arn.to_string(),
            arn: SubscriptionArn { topic: topic_arn, uuid: subscription.uuid }.to_string(),
            protocol: Protocol::of(&subscription.endpoint),
            url: subscription.endpoint.text().to_owned(),
            base,
            policy: subscription::effective_delivery_policy(&topic.config, &subscription.config),
        }
    }

    /// The push target that this is. A user and a password in the URL are sent with each request.
    ///
    /// # Errors
    /// When the URL cannot be called.
    pub(crate) fn settings(url: &str) -> Result<Settings, Invalid> {
        let (plain, _) = without_user(url);
        let timeouts = json!({ "connect_ms": 5_000, "first_byte_ms": TIMEOUT_MS, "total_ms": TIMEOUT_MS });
        let settings = json!({ "url": plain, "timeouts": timeouts });
        serde_json::from_value(settings).map_err(|error| Invalid { field: "url".to_owned(), text: error.to_string() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How many deliveries may start in a second.
    pub(super) fn per_second(&self) -> Option<u32> {
        self.policy.throttle_policy.map(|throttle| throttle.max_receives_per_second)
    }

    pub(super) fn retries(&self) -> Retries {
        self.policy.healthy_retry_policy.unwrap_or_default()
    }

    /// The request for a message.
    pub(super) async fn request<E: Engine>(&self, app: &App<E>, leased: &Leased) -> Result<Request, Unsent> {
        let payload = Payload::decode(&leased.payload)
            .map_err(|error| Unsent::Never(format!("the stored message cannot be read: {error}")))?;
        let Some(origin) = leased.delivery.origin else { return self.asking(app, &payload) };
        let raw = || {
            payload.publication.as_deref().map_or(payload.body, |of| of.body_for(self.protocol.name(), payload.body))
        };
        let body = if origin.raw {
            raw().to_owned()
        } else {
            let made = notification(app, &self.base, self.protocol.name(), origin, &payload).await;
            let made = made.map_err(|fault| Unsent::Now(format!("cannot be signed: {}", fault.message)))?;
            made.unwrap_or_else(|| raw().to_owned())
        };
        let mut headers = self.headers("Notification", &payload.uuid, true);
        if origin.raw {
            headers.insert(HeaderName::from_static("x-amz-sns-rawdelivery"), HeaderValue::from_static("true"));
        }
        Ok(Request { headers, body: body.into_bytes() })
    }

    /// The request that asks whether deliveries are wanted: not any more where somebody has said so.
    fn asking<E: Engine>(&self, app: &App<E>, payload: &Payload<'_>) -> Result<Request, Unsent> {
        let subscription = app.engine.directory().subscription(self.subscription);
        if subscription.is_none_or(|subscription| subscription.pending_until.is_none()) {
            return Err(Unsent::NotWanted);
        }
        let headers = self.headers("SubscriptionConfirmation", &payload.uuid, false);
        Ok(Request { headers, body: payload.body.as_bytes().to_vec() })
    }

    /// The request that tells of the end of the subscription.
    pub(super) fn farewell(&self, asking: Asking) -> Request {
        Request { headers: self.headers("UnsubscribeConfirmation", &asking.uuid, true), body: asking.body.into_bytes() }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    fn headers(&self, kind: &'static str, uuid: &[u8; 16], is_confirmed: bool) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        // Names of topics and ids have no characters that a header cannot carry.
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-amz-sns-message-type", kind);
        set("x-amz-sns-message-id", &weir_aws::uuid_text(uuid));
        set("x-amz-sns-topic-arn", &self.topic_arn);
        if is_confirmed {
            set("x-amz-sns-subscription-arn", &self.arn);
        }
        let media = self.policy.request_policy.as_ref().and_then(|policy| policy.header_content_type.parse().ok());
        headers.insert(CONTENT_TYPE, media.unwrap_or(MEDIA));
        headers.insert(USER_AGENT, AGENT);
        headers.extend(credentials(&self.url).map(|value| (AUTHORIZATION, value)));
        headers
    }

    /// What becomes of a delivery that failed: it is tried again as the policy says.
    pub(super) fn failed(&self, delivery: &Delivery, failure: Vec<u8>, again: bool) -> Settlement {
        let retry = delivery.failures.saturating_add(1);
        let again = match self.retries().delay_ms(retry).filter(|_| again) {
            Some(ms) => Again::After(ms),
            // Who cannot be asked has no dead letters.
            None if delivery.origin.is_none() => return Settlement::Complete { result: None },
            None => Again::Never,
        };
        Settlement::Fail { failure, again }
    }
}

/// The user and password of a URL, as Basic authentication has them.
fn credentials(url: &str) -> Option<HeaderValue> {
    let (_, user) = without_user(url);
    let user = user?;
    let credentials: Vec<u8> = percent_decode_str(user).collect();
    // Without a password there is a colon all the same.
    let colon: &[u8] = if user.contains(':') { b"" } else { b":" };
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode([&credentials, colon].concat()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A URL without its user and password, and these.
fn without_user(url: &str) -> (String, Option<&str>) {
    let split = || {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (user, host) = authority.rsplit_once('@')?;
        Some((format!("{scheme}://{host}{path}"), user))
    };
    split().map_or_else(|| (url.to_owned(), None), |(plain, user)| (plain, Some(user)))
}

#[cfg(test)]
mod tests {
    use weir_push::Target;

    use super::*;

    #[test]
    fn a_user_in_a_url_is_sent_in_a_header() {
        let expected = |text: &str| HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(text))).ok();
        for (url, plain, user) in [
            ("https://me:p%40ss@example.com/a@b?c", "https://example.com/a@b?c", expected("me:p@ss")),
            ("http://me@example.com", "http://example.com", expected("me:")),
            ("http://example.com/a@b", "http://example.com/a@b", None),
        ] {
            let settings = Notifier::settings(url).unwrap();
            assert_eq!((settings.url.as_str(), credentials(url)), (plain, user), "{url}");
            assert!(Target::new(settings).is_ok());
        }
        assert!(Target::new(Notifier::settings("http://example.com:0/").unwrap()).is_err());
    }
}
