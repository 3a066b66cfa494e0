//! `ListDeadLetterSourceQueues`.

use weir_aws::Fault;
use weir_aws::sqs::request::ListDeadLetterSourceQueues;
use weir_aws::sqs::{Answer, Page};
use weir_core::api::{Command, Reply};

use super::{Door, Refusal};
use crate::engine::Engine;
use crate::http::Content;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn dead_letter_sources(
        &self,
        request: &ListDeadLetterSourceQueues<'_>,
    ) -> Result<Content, Refusal> {
        let queue = self.queue(request.queue_url.as_ref())?;
        let page = Page::of_sources(request)?;
        let max = u32::try_from(page.max).unwrap_or(u32::MAX);
        let command = Command::DeadLetterSources { queue: queue.id, after: page.after, max };
        let Reply::Queues { queues, more } = self.call(command).await? else { return Err(Fault::internal().into()) };
        let token = queues.last().filter(|_| more && page.continues).map(|queue| Page::token(&queue.name));
        let urls: Vec<String> = queues.iter().map(|queue| self.url(queue)).collect();
        Ok(self.answer(&Answer::Queues { urls: &urls, next_token: token.as_deref(), sources: true }))
    }
}
