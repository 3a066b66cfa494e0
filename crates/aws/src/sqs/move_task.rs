//! Message move tasks: moving the messages of a dead-letter queue back, as the protocol speaks of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::limits::{Limits, MOVE_TASKS_MAX};
use super::request::{CancelMessageMoveTask, ListMessageMoveTasks, StartMessageMoveTask};
use super::text;
use crate::arn::Arn;
use crate::fault::{Code, Fault};

/// What a request to start a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// The dead-letter queue to empty.
    pub source: Arn<'a>,
    /// Where its messages go; `None` for the queues that they came from.
    pub destination: Option<Arn<'a>>,
    /// Most messages in a second; `None` for as fast as the server likes.
    pub per_second_max: Option<u32>,
}

impl<'a> Start<'a> {
    /// Reads `request`.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterValue`.
    pub fn of(request: &'a StartMessageMoveTask<'a>, limits: &Limits) -> Result<Self, Fault> {
        let source = required_arn("SourceArn", request.source_arn.as_deref())?;
        let destination = request.destination_arn.as_deref().map(|text| arn("DestinationArn", text)).transpose()?;
        let per_second_max = request.per_second_max.map(|rate| {
            let max = limits.move_rate_max;
            let known = u32::try_from(rate).ok().filter(|_| (1..=max).contains(&rate));
            known.ok_or_else(|| {
                let reason = format!("You must enter a value between 1 and {max}.");
                Fault::invalid("MaxNumberOfMessagesPerSecond", &rate, &reason)
            })
        });
        Ok(Self { source, destination, per_second_max: per_second_max.transpose()? })
    }
}

/// The queue whose tasks `request` asks for, and how many of them.
///
/// # Errors
/// `MissingParameter`, `InvalidParameterValue`.
pub fn list_of<'a>(request: &'a ListMessageMoveTasks<'a>) -> Result<(Arn<'a>, usize), Fault> {
    let source = required_arn("SourceArn", request.source_arn.as_deref())?;
    let max = request.results_max.unwrap_or(1);
    let known = usize::try_from(max).ok().filter(|_| (1..=MOVE_TASKS_MAX).contains(&max));
    let known = known.ok_or_else(|| {
        Fault::invalid("MaxResults", &max, &format!("You must enter a value between 1 and {MOVE_TASKS_MAX}."))
    })?;
    Ok((source, known))
}

/// By what a client names a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskHandle {
    /// The task: its number within the engine.
    pub id: u64,
    /// ARN of the queue that it empties.
    pub source_arn: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Wire {
    #[serde(rename = "taskId")]
    id: String,
    #[serde(rename = "sourceArn")]
    source_arn: String,
}

impl TaskHandle {
    /// Its wire form: as AWS's, a JSON object in base64.
    pub fn encode(&self) -> String {
        let mut id = Vec::new();
        super::uuid::push(&mut id, &u128::from(self.id).to_be_bytes());
        let wire = Wire { id: String::from_utf8_lossy(&id).into_owned(), source_arn: self.source_arn.clone() };
        STANDARD.encode(serde_json::to_vec(&wire).expect("writing texts to memory cannot fail"))
    }

    /// The task that `request` names.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterValue`.
    pub fn of(request: &CancelMessageMoveTask<'_>) -> Result<Self, Fault> {
        let text = request.task_handle.as_deref().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Fault::missing("TaskHandle"))?;
        Self::decode(text).ok_or_else(|| {
            Fault::invalid("TaskHandle", &text::quote(text, 256), "It is no task handle of this server.")
        })
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        let wire: Wire = serde_json::from_slice(&bytes).ok()?;
        Arn::parse(&wire.source_arn)?;
        let id = u128::from_be_bytes(super::uuid::parse(&wire.id)?);
        Some(Self { id: u64::try_from(id).ok()?, source_arn: wire.source_arn })
    }
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It moves messages.
    Running,
    /// It has moved all.
    Completed,
    /// It was told to stop.
    Cancelling,
    /// It stopped because it was told to.
    Cancelled,
    /// It stopped because it could not go on.
    Failed,
}

impl Status {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::Completed => "COMPLETED",
            Status::Cancelling => "CANCELLING",
            Status::Cancelled => "CANCELLED",
            Status::Failed => "FAILED",
        }
    }
}

/// A task as `ListMessageMoveTasks` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTask {
    /// Its handle: shown while it runs, as on AWS.
    pub handle: TaskHandle,
    /// Where it is in its life.
    pub status: Status,
    /// Where it moves messages to; `None` for the queues that they came from.
    pub destination_arn: Option<String>,
    /// The rate that was asked for.
    pub per_second_max: Option<u32>,
    /// How many messages it has moved.
    pub moved: u64,
    /// How many messages there were to move when it started.
    pub to_move: Option<u64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was started, in milliseconds since the epoch.
    pub started_at_ms: u64,
}

/// The refusal of an ARN whose queue does not exist. `parameter` is `SourceArn` or `DestinationArn`.
pub fn no_queue(parameter: &str) -> Fault {
    let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    Fault::new(Code::ResourceNotFound, message)
}

/// The refusal of a source that is nobody's dead-letter queue.
pub fn not_a_dead_letter_queue() -> Fault {
    Fault::new(Code::InvalidParameterValue, "Source queue must be configured as a Dead Letter Queue.")
}

/// The refusal of a second task on a queue.
pub fn already_running() -> Fault {
    let message =
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
    Fault::unsupported(message)
}

/// The refusal to cancel a task that does not exist.
pub fn no_task() -> Fault {
    Fault::new(Code::ResourceNotFound, "Task does not exist.")
}

/// The refusal to cancel a task that has ended.
pub fn not_running() -> Fault {
    Fault::unsupported("Only active tasks can be cancelled.")
}

fn required_arn<'a>(parameter: &str, text: Option<&'a str>) -> Result<Arn<'a>, Fault> {
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| Fault::missing(parameter))?;
    arn(parameter, text)
}

fn arn<'a>(parameter: &str, text: &'a str) -> Result<Arn<'a>, Fault> {
    Arn::parse(text).ok_or_else(|| {
        let reason = format!(
            "You must use this format to specify the {parameter}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        );
        Fault::invalid(parameter, &text::quote(text, 256), &reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:000000000007:dead";

    fn handle() -> TaskHandle {
        TaskHandle { id: 0xAB, source_arn: ARN.to_owned() }
    }

    #[test]
    fn a_task_names_where_from_where_to_and_how_fast() {
        let request = StartMessageMoveTask {
            source_arn: Some(ARN.into()),
            destination_arn: Some("arn:aws:sqs:eu-west-1:000000000007:orders".into()),
            per_second_max: Some(500),
        };
        let start = Start::of(&request, &Limits::AWS).unwrap();
        assert_eq!((start.source.name, start.destination.unwrap().name), ("dead", "orders"));
        assert_eq!(start.per_second_max, Some(500));
        let faster = StartMessageMoveTask { per_second_max: Some(501), ..request.clone() };
        assert!(Start::of(&faster, &Limits::AWS).unwrap_err().message.contains("500"));
        assert!(Start::of(&faster, &Limits::OURS).is_ok());
        for (bad, code) in [
            (StartMessageMoveTask::default(), Code::MissingParameter),
            (
                StartMessageMoveTask { source_arn: Some("dead".into()), ..Default::default() },
                Code::InvalidParameterValue,
            ),
            (
                StartMessageMoveTask { destination_arn: Some("x".into()), ..request.clone() },
                Code::InvalidParameterValue,
            ),
            (StartMessageMoveTask { per_second_max: Some(0), ..request.clone() }, Code::InvalidParameterValue),
            (StartMessageMoveTask { per_second_max: Some(i64::MAX), ..request }, Code::InvalidParameterValue),
        ] {
            assert_eq!(Start::of(&bad, &Limits::OURS).unwrap_err().code, code, "{bad:?}");
        }
    }

    #[test]
    fn a_list_has_one_to_ten_tasks() {
        let of = |max| {
            let request = ListMessageMoveTasks { source_arn: Some(ARN.into()), results_max: max };
            list_of(&request).map(|(_, max)| max).map_err(|fault| fault.code)
        };
        assert_eq!(of(None), Ok(1));
        assert_eq!(of(Some(10)), Ok(10));
        assert_eq!(of(Some(0)), Err(Code::InvalidParameterValue));
        assert_eq!(of(Some(11)), Err(Code::InvalidParameterValue));
    }

    #[test]
    fn a_handle_reads_back_as_it_was_written() {
        let of = |text: &str| {
            let request = CancelMessageMoveTask { task_handle: Some(text.to_owned().into()) };
            TaskHandle::of(&request).map_err(|fault| fault.code)
        };
        let text = handle().encode();
        assert_eq!(
            STANDARD.decode(&text).unwrap(),
            br#"{"taskId":"00000000-0000-0000-0000-0000000000ab","sourceArn":"arn:aws:sqs:eu-west-1:000000000007:dead"}"#
        );
        assert_eq!(of(&text), Ok(handle()));
        assert_eq!(of(""), Err(Code::MissingParameter));
        let another = r#"{"taskId":"abababab-abab-abab-abab-abababababab","sourceArn":"arn:aws:sqs:r:000000000007:d"}"#;
        for bad in ["garbage", "e30=", &STANDARD.encode(another), &STANDARD.encode(r#"{"taskId":"1","sourceArn":"x"}"#)]
        {
            assert_eq!(of(bad), Err(Code::InvalidParameterValue), "{bad}");
        }
    }
}
