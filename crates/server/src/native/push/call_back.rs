//! `POST /v1/push/callbacks/{token}`: a target that took a job tells what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_aws::sqs::receipt;
use weir_core::api::job::{Again, FAILURE_BYTES_MAX, LOG_BYTES_MAX, PROGRESS_BYTES_MAX, RESULT_BYTES_MAX, Settlement};
use weir_core::api::{Command, Error, Reply as EngineReply};
use weir_push::settings::CALLBACK_MS_MAX;

use crate::access::Role;
use crate::engine::Engine;
use crate::native::Problem;
use crate::native::bounds::LONGEST_MS;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::jobs::{StateView, bytes};
use crate::native::route::{Method, Route, Tag};

/// `POST /v1/push/callbacks/{token}`
pub(crate) struct CallBack;

/// What came of a job that was taken with 202.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackRequest<'a> {
    /// What becomes of it. Default `complete`.
    #[serde(default)]
    action: CallbackAction,
    /// `complete`: what came of the work, any JSON; up to 16 MiB.
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    /// `fail`: why, any JSON; up to 64 KiB.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// `fail`: whether the job is tried again as its policy says (default), or the failure is final.
    retry: Option<bool>,
    /// `fail`: it is tried again after so long, in place of its backoff.
    delay_ms: Option<u64>,
    /// `extend`: how long from now the target may take, up to a week. Default 15 minutes.
    lease_ms: Option<u64>,
    /// `extend`: replaces the progress, any JSON; up to 64 KiB.
    #[serde(borrow)]
    progress: Option<&'a RawValue>,
    /// `extend`: lines for the job's log, up to 64 KiB each.
    #[serde(default)]
    logs: Vec<String>,
}

/// What becomes of the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CallbackAction {
    /// The work is done.
    #[default]
    Complete,
    /// The work failed.
    Fail,
    /// The work goes on.
    Extend,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CallbackAnswer {
    /// Where the job stands now.
    state: StateView,
    /// When its lease or its backoff ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at_ms: Option<u64>,
    /// Whether the job is to be cancelled: stop, and fail or complete it.
    cancel_requested: bool,
}

const EXTEND_MS: u64 = 900_000;

impl Endpoint for CallBack {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/push/callbacks/{token}",
        "call_back",
        Tag::Push,
        Role::Write,
        "Tell what came of a job that was taken with 202",
    )
    .public()
    .example(r#"{"result": {"sent": true}}"#)
    .about(
        "For targets that answered a push with 202 and its `weir-callback-token`. The token is the right to settle this one \
         attempt, and nothing else: no signature is needed. It is worth nothing once the job was settled, or the time for \
         calling back is over.",
    )
    .errors(&["lease.invalid", "lease.lost", "queue.not_found", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = CallbackRequest<'a>;
    type Response = CallbackAnswer;

    async fn run<'a, E: Engine>(
        call: Call<'a, E>,
        _: Nothing,
        request: CallbackRequest<'a>,
    ) -> Outcome<CallbackAnswer> {
        let token = receipt::parse(call.params.get("token"));
        let (queue, handle) = token.ok_or_else(|| Problem::new("lease.invalid", "this is not the token of a push"))?;
        let settlement = request.settlement()?;
        let entries = [(handle, settlement)].into_iter().collect();
        let EngineReply::JobsSettled(mut outcomes) =
            call.command(Command::Settle { queue, entries, seed: rand::random() }).await?
        else {
            return Err(Problem::internal());
        };
        match outcomes.pop().ok_or_else(Problem::internal)? {
            Ok(settled) => Ok(Answer::Of(CallbackAnswer {
                state: StateView::of(settled.state),
                due_at_ms: settled.due.map(|due| due.0),
                cancel_requested: settled.cancel_requested,
            })),
            Err(Error::HandleInvalid) => Err(Problem::new("lease.invalid", "this is not the token of a push")),
            Err(error) => Err(Problem::of_error(&error)),
        }
    }
}

impl CallbackRequest<'_> {
    fn settlement(&self) -> Result<Settlement, Problem> {
        self.check_members()?;
        Ok(match self.action {
            CallbackAction::Complete => {
                Settlement::Complete { result: bytes("result", self.result, RESULT_BYTES_MAX)? }
            }
            CallbackAction::Fail => Settlement::Fail {
                failure: bytes("error", self.error, FAILURE_BYTES_MAX)?.unwrap_or_else(|| b"null".to_vec()),
                again: match (self.retry.unwrap_or(true), self.delay_ms) {
                    (false, Some(_)) => {
                        let text = "stands beside `retry: false`, and only one of them can hold";
                        return Err(Problem::field("delay_ms", text));
                    }
                    (false, None) => Again::Never,
                    (true, Some(ms)) => Again::After(within("delay_ms", ms, 0, LONGEST_MS)?),
                    (true, None) => Again::ByPolicy,
                },
            },
            CallbackAction::Extend => {
                if let Some(line) = self.logs.iter().find(|line| line.len() as u64 > LOG_BYTES_MAX) {
                    let text = format!("each must have at most {LOG_BYTES_MAX} bytes, found {}", line.len());
                    return Err(Problem::field("logs", &text));
                }
                Settlement::Extend {
                    lease_ms: Some(within("lease_ms", self.lease_ms.unwrap_or(EXTEND_MS), 1, CALLBACK_MS_MAX)?),
                    progress: bytes("progress", self.progress, PROGRESS_BYTES_MAX)?,
                    logs: self.logs.iter().map(|line| line.clone().into_bytes()).collect(),
                }
            }
        })
    }

    /// Refuses members that mean nothing with the action: a mistake there would be lost otherwise.
    fn check_members(&self) -> Result<(), Problem> {
        let members = [
            ("result", self.result.is_some(), CallbackAction::Complete),
            ("error", self.error.is_some(), CallbackAction::Fail),
            ("retry", self.retry.is_some(), CallbackAction::Fail),
            ("delay_ms", self.delay_ms.is_some(), CallbackAction::Fail),
            ("lease_ms", self.lease_ms.is_some(), CallbackAction::Extend),
            ("progress", self.progress.is_some(), CallbackAction::Extend),
            ("logs", !self.logs.is_empty(), CallbackAction::Extend),
        ];
        match members.into_iter().find(|&(_, is_there, action)| is_there && action != self.action) {
            Some((name, ..)) => Err(Problem::field(name, "means nothing with this action")),
            None => Ok(()),
        }
    }
}
