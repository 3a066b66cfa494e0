//! Every code that the native API answers: its status, what it means and what to do about it.
//!
//! Codes are stable: one is never renamed, and a retired one never used again. `docs/errors.md` and the reference are
//! made from here.

/// What is said of a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    /// What happened, as a sentence.
    pub(crate) cause: &'static str,
    /// What to do about it.
    pub(crate) cure: &'static str,
}

const fn entry(code: &'static str, status: u16, cause: &'static str, cure: &'static str) -> Entry {
    Entry { code, status, cause, cure }
}

/// The codes in the order of the alphabet.
pub(crate) const ENTRIES: &[Entry] = &[
    entry(
        "access.denied",
        403,
        "The request is not signed as it must be, or its key may not do this.",
        "Sign with a key that the server knows and whose role is high enough; the detail says which. Check the clock.",
    ),
    entry(
        "access.foreign_origin",
        403,
        "A page of another origin asks for a change.",
        "Browsers may change things only from pages of this server. Call from a program, or through a server of yours.",
    ),
    entry(
        "backup.refused",
        409,
        "No copy was made.",
        "The detail names the reason. The directory must be an absolute path, and empty or absent.",
    ),
    entry(
        "function.exists",
        409,
        "A queue of this name exists that is no function's.",
        "Name the function otherwise; or put a URL behind the queue as it is (`/v1/queues/{queue}/push`).",
    ),
    entry(
        "function.failed",
        502,
        "The call failed.",
        "`failure` says how, `error` what was said of it. The job of the call keeps both, and its log.",
    ),
    entry("function.not_found", 404, "There is no function of this name.", "Create it with PUT, or check its name."),
    entry(
        "function.timeout",
        504,
        "The call has not ended in the time that was waited for it.",
        "The detail says whether it goes on. Wait for longer (`wait_ms`), look at the job later, or enqueue the call instead.",
    ),
    entry("job.no_parent", 404, "The job has no parent.", "It never had one, or was parted from it before."),
    entry("job.not_found", 404, "There is no such job.", "It was removed, or never was in this queue."),
    entry(
        "job.state",
        409,
        "The job is in a state that does not allow this.",
        "The detail names the state. Look at the job, and decide again.",
    ),
    entry(
        "lease.expired",
        409,
        "The lease had ended before it was settled.",
        "Drop the result: the work is handed out again. Extend leases in time, or lease for longer.",
    ),
    entry(
        "lease.invalid",
        400,
        "The text is not a lease of this queue.",
        "Settle with the lease of the answer that brought the job, unchanged, at the queue it came from.",
    ),
    entry(
        "lease.lost",
        409,
        "The lease had ended, or somebody else has the job by now. Nothing was changed.",
        "Drop the result: the work is handed out again. Extend leases in time, or lease for longer.",
    ),
    entry(
        "limit.exceeded",
        400,
        "More was asked for than the server allows.",
        "The detail names what is bounded, the bound and what was asked for.",
    ),
    entry("limiter.not_found", 404, "There is no limiter of this name.", "Create it with PUT, or check its name."),
    entry(
        "limiter.out_of_range",
        400,
        "A number of a limiter is too small or too large.",
        "The detail names the field, the range and what was found.",
    ),
    entry(
        "limiter.reserve_repeated",
        400,
        "Two reserves of a limiter are for the same priorities.",
        "Give each reserve a `priority_max` of its own.",
    ),
    entry(
        "limiter.too_many",
        400,
        "A list of a limiter is too long.",
        "The detail names the list and how many entries it may have.",
    ),
    entry("message.group_required", 400, "A job on a FIFO queue names no group.", "Give it a `group`."),
    entry(
        "message.leased",
        409,
        "A worker holds the job.",
        "Wait until it is settled or its lease ends; cancel it if it has to stop.",
    ),
    entry("message.not_found", 404, "There is no such job.", "It was deleted, or never was in this queue."),
    entry("message.not_leased", 409, "The job is not under a lease.", "It was settled, or its lease ended."),
    entry(
        "move.active",
        409,
        "The messages of the queue are being moved already.",
        "Wait for the move to end, or cancel it.",
    ),
    entry("move.ended", 409, "The move has ended.", "Only a move that runs can be cancelled."),
    entry("move.not_found", 404, "There is no such move.", "List the moves of the queue."),
    entry(
        "permit.not_found",
        404,
        "There is no such permit.",
        "It ended by itself or was settled already, or never was one of this limiter.",
    ),
    entry("push.not_found", 404, "The queue has no push target.", "Set one with PUT, or check the queue's name."),
    entry("queue.active", 409, "Workers hold jobs of the queue.", "Pause the queue and wait for them, or say `force`."),
    entry(
        "queue.exists",
        409,
        "A queue of this name exists with another configuration.",
        "Use the queue as it is, or change it with PATCH; the detail names the first difference.",
    ),
    entry(
        "queue.kind_differs",
        409,
        "A standard queue and a FIFO queue cannot exchange jobs.",
        "Name a queue of the same kind. The kind of a queue is fixed when it is created.",
    ),
    entry("queue.not_found", 404, "There is no queue of this name.", "Create it with PUT, or check its name."),
    entry(
        "queue.owned",
        409,
        "The queue belongs to a subscription, and goes with it.",
        "End the subscription instead; or purge the queue.",
    ),
    entry("queue.same", 400, "Jobs cannot be moved to the queue that they are in.", "Name another queue."),
    entry(
        "queue.stale",
        503,
        "The queue was reconfigured again and again while the request ran.",
        "Send the request again.",
    ),
    entry(
        "redrive.not_allowed",
        409,
        "The dead-letter queue does not take dead letters of this queue.",
        "Allow it in the configuration of the dead-letter queue, or name another one.",
    ),
    entry(
        "replay.active",
        409,
        "A replay to the subscription is under way.",
        "Wait for its end, or end it with DELETE.",
    ),
    entry("replay.ended", 409, "The replay has ended.", "List the replays of the subscription to see how."),
    entry(
        "replay.moved",
        409,
        "Somebody else carried the replay on.",
        "Nothing: the server carries replays on itself.",
    ),
    entry("replay.not_found", 404, "There is no such replay.", "Only the last ones of a subscription are kept."),
    entry(
        "request.broken",
        400,
        "The body ended before its end, or is not of the form of HTTP.",
        "Send it again; look at what stands between client and server.",
    ),
    entry(
        "request.invalid",
        400,
        "The request makes no sense.",
        "The detail names the field, what it allows and what was found. Nothing was done.",
    ),
    entry(
        "request.media_type",
        415,
        "The body is of a type that is not JSON.",
        "Send `Content-Type: application/json`; with curl, `--json` in place of `-d`.",
    ),
    entry(
        "request.method",
        405,
        "The address does not take this method.",
        "The header `Allow` lists the methods that it takes.",
    ),
    entry("request.not_found", 404, "There is nothing at this address.", "See the reference for the addresses."),
    entry(
        "request.too_large",
        413,
        "The body is longer than the server reads.",
        "Send less at once, or raise `http.body_max`.",
    ),
    entry(
        "request.too_many",
        503,
        "The server is reading too many bodies at once.",
        "Try again after the seconds of `Retry-After`.",
    ),
    entry("request.too_slow", 408, "The body came too slowly.", "Send it again."),
    entry("server.closed", 503, "The server is shutting down.", "Try again after the seconds of `Retry-After`."),
    entry(
        "server.disk_full",
        503,
        "The disk is full: work can be leased and settled, and added again once there is room.",
        "Make room on the disk of the data directory.",
    ),
    entry(
        "server.internal",
        500,
        "Something went wrong in the server.",
        "Its log says what. If it says that the disk failed, nothing is acknowledged until the server is restarted.",
    ),
    entry(
        "server.overloaded",
        503,
        "The server has more to do than it can take in.",
        "Try again after the seconds of `Retry-After`.",
    ),
    entry(
        "source.not_found",
        404,
        "Messages of the queue are not handed to the function.",
        "Have them handed over with PUT, or check both names.",
    ),
    entry(
        "subscription.exists",
        409,
        "The queue, URL or function is subscribed with other settings.",
        "Use the subscription that `subscription` names as it is, or replace its settings with PUT; the detail names the \
         first difference.",
    ),
    entry(
        "subscription.kind_differs",
        409,
        "A standard topic cannot feed a FIFO queue.",
        "Subscribe a standard queue, or publish to a FIFO topic, whose name ends in `.fifo`.",
    ),
    entry("subscription.not_found", 404, "There is no such subscription of the topic.", "It ended, or never was."),
    entry(
        "subscription.token_invalid",
        400,
        "No subscription of the topic waits for this token.",
        "Confirm with the token that was sent last. A subscription that nobody confirms in time ends.",
    ),
    entry(
        "topic.exists",
        409,
        "A topic of this name exists with other settings.",
        "Use the topic as it is, or change it; the detail names the first difference.",
    ),
    entry(
        "topic.no_archive",
        409,
        "The topic keeps no messages to be replayed.",
        "Set its `archive_ms`: what is published from then on can be replayed.",
    ),
    entry("topic.not_found", 404, "There is no topic of this name.", "Create it with PUT, or check its name."),
    entry(
        "topic.stale",
        503,
        "The topic or its subscriptions were changed again and again while the request ran.",
        "Send the request again.",
    ),
];

/// What is said of `code`.
pub(crate) fn find(code: &str) -> Option<&'static Entry> {
    let at = ENTRIES.binary_search_by(|entry| entry.code.cmp(code)).ok()?;
    ENTRIES.get(at)
}

/// The page `docs/errors.md`.
#[cfg(test)]
fn page() -> String {
    use std::fmt::Write as _;

    let mut page = String::from(
        "# Errors

Written by a test from the server's table of codes; do not edit.

An error of the native API is an `application/problem+json` document (RFC 9457):

```json
{
  \"type\": \"/v1/docs#queue.not_found\",
  \"title\": \"There is no queue of this name.\",
  \"status\": 404,
  \"code\": \"queue.not_found\",
  \"detail\": \"there is no queue called mail\"
}
```

`code` is stable: programs decide by it. `detail` is for people, and names the field, what it allows and what was found;
where one field is at fault, `field` is its path. Items of a batch that are settled each on their own carry `code` and
`detail` in the item. What was refused has changed nothing. Requests that were refused with a status of 503 may be sent
again after the seconds that the header `Retry-After` names.

| code | status | what happened | what to do |
| --- | --- | --- | --- |
",
    );
    for Entry { code, status, cause, cure } in ENTRIES {
        writeln!(page, "| `{code}` | {status} | {cause} | {cure} |").expect("a string takes every text");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_can_be_found() {
        assert!(ENTRIES.is_sorted_by(|a, b| a.code < b.code));
        for entry in ENTRIES {
            assert_eq!(find(entry.code).map(|found| found.code), Some(entry.code));
            assert!(hyper::StatusCode::from_u16(entry.status).is_ok());
            assert!(entry.cause.ends_with('.') && entry.cure.ends_with('.'), "{}", entry.code);
        }
        assert!(find("queue.lost").is_none());
    }

    #[test]
    fn every_code_of_the_engine_is_described() {
        let sources =
            [include_str!("../../../core/src/api/error.rs"), include_str!("../../../core/src/limiter/terms.rs")];
        let mut codes = 0;
        for source in sources {
            let (_, after) = source.split_once("pub fn code(&self) -> &'static str {").unwrap();
            let (arms, _) = after.split_once("\n    }\n").unwrap();
            for code in arms.split("=> \"").skip(1) {
                let code = code.split('"').next().unwrap();
                assert!(find(code).is_some(), "{code} is not in the catalog");
                codes += 1;
            }
        }
        assert!(codes > 20, "found only {codes}");
    }

    #[test]
    fn the_page_of_errors_is_current() {
        super::super::generated::check("docs/errors.md", &page());
    }
}
