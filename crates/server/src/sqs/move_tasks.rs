//! Message move tasks.

use std::sync::Arc;

use weir_aws::sqs::Answer;
use weir_aws::sqs::move_task::{self, MoveTask, Start, Status, TaskHandle};
use weir_aws::sqs::request::{CancelMessageMoveTask, ListMessageMoveTasks, StartMessageMoveTask};
use weir_aws::{Arn, Fault};
use weir_core::api::{self, Command, Error, MoveFailure, MoveStatus, Queue, Reply};
use weir_shard::Refused;

use super::{Door, Refusal, call};
use crate::engine::Engine;
use crate::http::Content;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn start_move(&self, request: &StartMessageMoveTask<'_>) -> Result<Content, Refusal> {
        let limits = &self.app.config.limits;
        let start = Start::of(request, limits)?;
        let source = self.queue_of(&start.source, "SourceArn")?;
        let destination = start.destination.map(|arn| self.queue_of(&arn, "DestinationArn")).transpose()?;
        // Ours may move from any queue to a queue that is named.
        if destination.is_none() || limits.moves_dead_letters_only {
            self.check_dead_letter_queue(&source).await?;
        }
        let to = destination.as_ref().map(|queue| queue.id);
        let command = Command::StartMove { queue: source.id, to, per_second: start.per_second_max };
        match call(&self.app.engine, command).await {
            Ok(answered) => match answered.reply {
                Reply::MoveTask(task) => {
                    let handle = TaskHandle { id: task.id.0, source_arn: self.arn(&source) }.encode();
                    Ok(self.answer(&Answer::MoveTaskStarted(&handle)))
                }
                _ => Err(Fault::internal().into()),
            },
            Err(Refused::Engine(Error::MoveActive { .. })) => Err(move_task::already_running().into()),
            Err(Refused::Engine(Error::KindDiffers)) => {
                let reason = "Source and destination must be queues of the same type.";
                Err(Fault::invalid("DestinationArn", &"of another type", reason).into())
            }
            Err(Refused::Engine(Error::SameQueue)) => {
                Err(Fault::invalid("DestinationArn", &"the source", "Messages move from one queue to another.").into())
            }
            Err(refused) => Err(Refusal::of(refused)),
        }
    }

    pub(super) async fn cancel_move(&self, request: &CancelMessageMoveTask<'_>) -> Result<Content, Refusal> {
        let handle = TaskHandle::of(request)?;
        let arn = Arn::parse(&handle.source_arn).ok_or_else(move_task::no_task)?;
        self.call.caller.check_namespace(arn.namespace)?;
        let source = self.app.engine.find(arn.namespace, arn.name).ok_or_else(move_task::no_task)?;
        // The handle can name a task of this queue only.
        let tasks = self.moves(&source).await?;
        let task = tasks.into_iter().find(|task| task.id.0 == handle.id).ok_or_else(move_task::no_task)?;
        match call(&self.app.engine, Command::CancelMove { task: task.id }).await {
            Ok(answered) => match answered.reply {
                Reply::MoveTask(task) => Ok(self.answer(&Answer::MoveTaskCancelled(task.moved))),
                _ => Err(Fault::internal().into()),
            },
            Err(Refused::Engine(Error::MoveNotFound)) => Err(move_task::no_task().into()),
            Err(Refused::Engine(Error::MoveEnded)) => Err(move_task::not_running().into()),
            Err(refused) => Err(Refusal::of(refused)),
        }
    }

    pub(super) async fn list_moves(&self, request: &ListMessageMoveTasks<'_>) -> Result<Content, Refusal> {
        let (arn, max) = move_task::list_of(request)?;
        let source = self.queue_of(&arn, "SourceArn")?;
        let tasks = self.moves(&source).await?;
        let tasks: Vec<MoveTask> = tasks.iter().take(max).map(|task| self.shown(&source, task)).collect();
        Ok(self.answer(&Answer::MoveTasks(&tasks)))
    }

    async fn moves(&self, source: &Queue) -> Result<Vec<api::MoveTask>, Refusal> {
        match self.call(Command::MoveTasks { queue: source.id }).await? {
            Reply::MoveTasks(tasks) => Ok(tasks),
            _ => Err(Fault::internal().into()),
        }
    }

    fn shown(&self, source: &Queue, task: &api::MoveTask) -> MoveTask {
        MoveTask {
            handle: TaskHandle { id: task.id.0, source_arn: self.arn(source) },
            status: match task.status {
                MoveStatus::Running => Status::Running,
                MoveStatus::Completed => Status::Completed,
                MoveStatus::Cancelled => Status::Cancelled,
                MoveStatus::Failed => Status::Failed,
            },
            destination_arn: task
                .to
                .and_then(|id| self.app.engine.all().into_iter().find(|queue| queue.id == id))
                .map(|queue| self.arn(&queue)),
            per_second_max: task.per_second,
            moved: task.moved,
            to_move: (task.status == MoveStatus::Running).then(|| task.total.saturating_sub(task.moved)),
            failure: task.failure.as_ref().map(|failure| match failure {
                MoveFailure::TargetGone => "The destination queue was deleted.".to_owned(),
                MoveFailure::NoSource => {
                    format!("{} messages were never dead letters: they have no queue to go back to.", task.left)
                }
                MoveFailure::SourceGone(name) => {
                    format!("{} messages stayed: the queue {name} that they came from is gone.", task.left)
                }
            }),
            started_at_ms: task.started_at.0,
        }
    }

    /// Refuses a queue that is nobody's dead-letter queue.
    async fn check_dead_letter_queue(&self, queue: &Queue) -> Result<(), Refusal> {
        match self.call(Command::DeadLetterSources { queue: queue.id, after: None, max: 1 }).await? {
            Reply::Queues { queues, .. } if queues.is_empty() => Err(move_task::not_a_dead_letter_queue().into()),
            Reply::Queues { .. } => Ok(()),
            _ => Err(Fault::internal().into()),
        }
    }

    fn queue_of(&self, arn: &Arn<'_>, parameter: &str) -> Result<Arc<Queue>, Fault> {
        self.call.caller.check_namespace(arn.namespace)?;
        self.app.engine.find(arn.namespace, arn.name).ok_or_else(|| move_task::no_queue(parameter))
    }

    fn arn(&self, queue: &Queue) -> String {
        Arn { region: &self.app.config.region, namespace: queue.namespace, name: &queue.name }.to_string()
    }
}
