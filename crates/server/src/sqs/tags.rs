//! Tags of queues.

use weir_aws::Fault;
use weir_aws::sqs::request::{OnQueue, TagQueue, UntagQueue};
use weir_aws::sqs::{Answer, tags};
use weir_core::api::{Command, Error, Tags};
use weir_shard::Refused;

use super::{Door, Refusal};
use crate::engine::{Engine, call};
use crate::http::Content;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn tag_queue(&self, request: &TagQueue<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let add = tags::of(request.tags.as_ref().ok_or_else(|| Fault::missing("Tags"))?)?;
        let command = Command::TagQueue { queue: queue.id, remove: Vec::new(), add, max: tags::TAGS_MAX as u64 };
        self.change_tags(command).await?;
        Ok(self.answer(&Answer::Done))
    }

    pub(super) async fn untag_queue(&self, request: &UntagQueue<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let remove = tags::keys(request.tag_keys.as_deref().ok_or_else(|| Fault::missing("TagKeys"))?)?;
        let command = Command::TagQueue { queue: queue.id, remove, add: Tags::new(), max: tags::TAGS_MAX as u64 };
        self.change_tags(command).await?;
        Ok(self.answer(&Answer::Done))
    }

    pub(super) fn queue_tags(&self, request: &OnQueue<'_>) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        Ok(self.answer(&Answer::Tags(&queue.tags)))
    }

    async fn change_tags(&self, command: Command) -> Result<(), Refusal> {
        match call(&self.app.engine, command).await {
            Ok(_) => Ok(()),
            Err(Refused::Engine(Error::LimitExceeded { found, .. })) => Err(tags::too_many(found).into()),
            Err(refused) => Err(Refusal::of(refused)),
        }
    }
}
