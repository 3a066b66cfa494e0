//! `AddPermission` and `RemovePermission`: the policy is stored and returned, and decides nothing here.

use weir_aws::Arn;
use weir_aws::sqs::policy;
use weir_aws::sqs::request::{AddPermission, RemovePermission};

use super::{Door, Refusal};
use crate::engine::Engine;
use crate::http::Content;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn add_permission(&self, request: &AddPermission<'_>) -> Result<Content, Refusal> {
        self.reconfigure(request.queue_url.as_ref(), |queue, config| {
            let (region, namespace, name) = (&*self.app.config.region, queue.namespace, &*queue.name);
            policy::add(config, &Arn { region, namespace, name }.to_string(), request)
        })
        .await
    }

    pub(super) async fn remove_permission(&self, request: &RemovePermission<'_>) -> Result<Content, Refusal> {
        self.reconfigure(request.queue_url.as_ref(), |_, config| policy::remove(config, request)).await
    }
}
