//! `AddPermission` and `RemovePermission`: the policy is stored and returned, and decides nothing here.

use weir_aws::sns::request::{AddPermission, RemovePermission};
use weir_aws::sns::topic;

use super::Door;
use crate::engine::Engine;
use crate::http::Content;
use crate::sqs::Refusal;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn add_permission(&self, request: &AddPermission<'_>) -> Result<Content, Refusal> {
        self.reconfigure("TopicArn", request.topic_arn.as_deref(), |topic, config| {
            topic::add_permission(config, &self.topic_arn(topic), request)
        })
        .await
    }

    pub(super) async fn remove_permission(&self, request: &RemovePermission<'_>) -> Result<Content, Refusal> {
        self.reconfigure("TopicArn", request.topic_arn.as_deref(), |_, config| {
            topic::remove_permission(config, request)
        })
        .await
    }
}
