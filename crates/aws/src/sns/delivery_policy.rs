//! `DeliveryPolicy`: how deliveries over HTTP are tried again, and how fast they go.

use serde::{Deserialize, Serialize};

/// How often and when a delivery is tried again: at once, then after the least delay, then with delays that grow, then
/// after the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retries {
    /// The least delay, in seconds.
    pub min_delay_target: u32,
    /// The longest delay, in seconds.
    pub max_delay_target: u32,
    /// How often altogether.
    pub num_retries: u32,
    /// How often at the end after the longest delay.
    pub num_max_delay_retries: u32,
    /// How often at the beginning without any delay.
    pub num_no_delay_retries: u32,
    /// How often then after the least delay.
    pub num_min_delay_retries: u32,
    /// How delays grow between.
    pub backoff_function: Backoff,
}

/// How delays grow from the least to the longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the function of its name")]
pub enum Backoff {
    #[default]
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: Backoff::Linear,
        }
    }
}

/// How fast deliveries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Throttle {
    /// Most deliveries in a second.
    pub max_receives_per_second: u32,
}

/// What requests look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestPolicy {
    /// The header `Content-Type`.
    pub header_content_type: String,
}

/// The policy of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SubscriptionPolicy {
    /// How deliveries are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_retry_policy: Option<Retries>,
    /// How fast they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle_policy: Option<Throttle>,
    /// What they look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_policy: Option<RequestPolicy>,
    /// Kept for those who send it: nothing is delivered to who is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sickly_retry_policy: Option<Retries>,
    /// Kept likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guaranteed: Option<bool>,
}

/// The policy of a topic, for subscriptions that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TopicPolicy {
    /// For HTTP, which is all that there is.
    pub http: HttpPolicy,
}

/// The policy of a topic for HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpPolicy {
    /// How deliveries are tried again.
    pub default_healthy_retry_policy: Retries,
    /// Whether the policies of subscriptions do not count.
    pub disable_subscription_overrides: bool,
    /// How fast they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_throttle_policy: Option<Throttle>,
    /// What they look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_request_policy: Option<RequestPolicy>,
}

/// Most retries, of each kind and altogether.
const RETRIES_MAX: u32 = 100;
/// Longest delay in seconds.
const DELAY_S_MAX: u32 = 3_600;

/// Reads the policy of a topic.
///
/// # Errors
/// What is wrong, for people.
pub fn of_topic(json: &str) -> Result<TopicPolicy, String> {
    let policy: TopicPolicy = object(json)?;
    policy.http.default_healthy_retry_policy.check("http.defaultHealthyRetryPolicy")?;
    check_throttle(policy.http.default_throttle_policy)?;
    check_request(policy.http.default_request_policy.as_ref())?;
    Ok(policy)
}

/// Reads the policy of a subscription.
///
/// # Errors
/// What is wrong, for people.
pub fn of_subscription(json: &str) -> Result<SubscriptionPolicy, String> {
    let policy: SubscriptionPolicy = object(json)?;
    if let Some(retries) = &policy.healthy_retry_policy {
        retries.check("healthyRetryPolicy")?;
    }
    check_throttle(policy.throttle_policy)?;
    check_request(policy.request_policy.as_ref())?;
    Ok(policy)
}

/// What holds for a subscription: its own policy, unless its topic forbids that, before that of its topic. Policies that
/// are kept were read when they came.
pub fn effective(topic: Option<&str>, subscription: Option<&str>) -> SubscriptionPolicy {
    let of_topic = topic.and_then(|json| of_topic(json).ok()).unwrap_or_default().http;
    let own = subscription.filter(|_| !of_topic.disable_subscription_overrides);
    let own = own.and_then(|json| of_subscription(json).ok()).unwrap_or_default();
    SubscriptionPolicy {
        healthy_retry_policy: own.healthy_retry_policy.or(Some(of_topic.default_healthy_retry_policy)),
        throttle_policy: own.throttle_policy.or(of_topic.default_throttle_policy),
        request_policy: own.request_policy.or(of_topic.default_request_policy),
        ..own
    }
}

impl Retries {
    fn check(&self, name: &str) -> Result<(), String> {
        let Self { min_delay_target: min, max_delay_target: max, num_retries: all, .. } = *self;
        if min == 0 || min > max || max > DELAY_S_MAX {
            return Err(format!(
                "{name}: minDelayTarget {min} and maxDelayTarget {max} must be from 1 to {DELAY_S_MAX}, the first not above the second"
            ));
        }
        let parts = [self.num_no_delay_retries, self.num_min_delay_retries, self.num_max_delay_retries];
        let sum = parts.into_iter().fold(0, u32::saturating_add);
        if all > RETRIES_MAX || sum > all {
            return Err(format!(
                "{name}: numRetries {all} must be at most {RETRIES_MAX}, and not less than those of each kind together, {sum}"
            ));
        }
        Ok(())
    }

    /// How long to wait before the retry of this number, counted from 1, in milliseconds; `None` where there is none.
    pub fn delay_ms(&self, retry: u32) -> Option<u64> {
        if retry == 0 || retry > self.num_retries {
            return None;
        }
        let (min, max) = (f64::from(self.min_delay_target), f64::from(self.max_delay_target));
        let growing_from = self.num_no_delay_retries + self.num_min_delay_retries;
        let growing_to = self.num_retries - self.num_max_delay_retries;
        let seconds = if retry <= self.num_no_delay_retries {
            0.0
        } else if retry <= growing_from {
            min
        } else if retry > growing_to {
            max
        } else {
            let steps = f64::from((growing_to - growing_from).max(1));
            let step = f64::from(retry - growing_from);
            match self.backoff_function {
                Backoff::Linear => min + (max - min) * step / steps,
                Backoff::Arithmetic => min + (max - min) * step * (step + 1.0) / (steps * (steps + 1.0)),
                Backoff::Geometric => min * (max / min).powf(step / steps),
                Backoff::Exponential => min + (max - min) * (step.exp2() - 1.0) / (steps.exp2() - 1.0),
            }
        };
        // Within the bounds of the policy, which are far below those of the type.
        #[expect(clippy::cast_sign_loss, reason = "delays are not below zero")]
        let ms = (seconds.clamp(0.0, max) * 1_000.0) as u64;
        Some(ms)
    }
}

fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    // The parser would take a list for the members in their order.
    if !json.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn check_throttle(throttle: Option<Throttle>) -> Result<(), String> {
    match throttle {
        Some(Throttle { max_receives_per_second: 0 }) => Err("maxReceivesPerSecond must be 1 or more".to_owned()),
        _ => Ok(()),
    }
}

/// Longest media type in bytes.
const MEDIA_BYTES_MAX: usize = 256;

fn check_request(request: Option<&RequestPolicy>) -> Result<(), String> {
    let Some(RequestPolicy { header_content_type: media }) = request else { return Ok(()) };
    let is_media = media.contains('/') && media.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_media && media.len() <= MEDIA_BYTES_MAX {
        return Ok(());
    }
    Err(format!("headerContentType must be a media type of at most {MEDIA_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_overrides_its_topic_unless_that_is_forbidden() {
        let topic = r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":5},"defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}"#;
        let own = r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":4,"numRetries":2}}"#;
        let retries = |topic, own| effective(topic, own).healthy_retry_policy.unwrap().num_retries;
        assert_eq!(retries(None, None), 3);
        assert_eq!(retries(Some(topic), None), 5);
        assert_eq!(retries(Some(topic), Some(own)), 2);
        assert_eq!(effective(Some(topic), Some(own)).throttle_policy, Some(Throttle { max_receives_per_second: 7 }));
        let strict = r#"{"http":{"disableSubscriptionOverrides":true}}"#;
        assert_eq!(retries(Some(strict), Some(own)), 3);
    }

    #[test]
    fn delays_go_through_four_phases() {
        let policy = Retries {
            min_delay_target: 1,
            max_delay_target: 60,
            num_retries: 8,
            num_no_delay_retries: 2,
            num_min_delay_retries: 2,
            num_max_delay_retries: 1,
            backoff_function: Backoff::Exponential,
        };
        let delays: Vec<_> = (0..=9).map(|retry| policy.delay_ms(retry)).collect();
        assert_eq!(
            delays,
            [
                None,
                Some(0),
                Some(0),
                Some(1_000),
                Some(1_000),
                Some(9_428),
                Some(26_285),
                Some(60_000),
                Some(60_000),
                None
            ]
        );
        for backoff_function in [Backoff::Linear, Backoff::Arithmetic, Backoff::Geometric] {
            let policy = Retries { backoff_function, ..policy };
            let delays: Vec<_> = (5..=7).map(|retry| policy.delay_ms(retry).unwrap()).collect();
            assert!(delays.is_sorted() && delays[0] > 1_000 && delays[2].abs_diff(60_000) < 2, "{delays:?}");
        }
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for json in [
            "",
            "[]",
            r#"{"healthyRetryPolicy":{"numRetries":101}}"#,
            r#"{"healthyRetryPolicy":{"minDelayTarget":0}}"#,
            r#"{"healthyRetryPolicy":{"minDelayTarget":21}}"#,
            r#"{"healthyRetryPolicy":{"maxDelayTarget":3601}}"#,
            r#"{"healthyRetryPolicy":{"numNoDelayRetries":4}}"#,
            r#"{"healthyRetryPolicy":{"backoffFunction":"none"}}"#,
            r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#,
            r#"{"requestPolicy":{"headerContentType":"text/plain\nx: y"}}"#,
            r#"{"requestPolicy":{"headerContentType":"text"}}"#,
            r#"{"unknown":1}"#,
        ] {
            assert!(of_subscription(json).is_err(), "{json}");
        }
        assert!(of_topic(r#"{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":0}}}"#).is_err());
        assert!(of_topic("{}").is_ok() && of_subscription("{}").is_ok());
    }
}
