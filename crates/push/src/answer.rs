//! What an answer means for the messages of its request, and for the target.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gate::Health;
use crate::message::Message;
use crate::request::CALLBACK_TOKEN;
use crate::settings::Mode;
use crate::target::Target;
use crate::wait::{Headers, rate_limit_ms, retry_after_ms};

/// Most of an answer that is quoted with a failure, in bytes.
const QUOTED_BYTES_MAX: usize = 2_048;

/// Longest failure of a function that is kept as it stands.
const FUNCTION_ERROR_BYTES_MAX: usize = 60_000;
/// The header by which a function that was reached tells that it failed.
const FUNCTION_ERROR: &str = "x-amz-function-error";

/// An answer, as far as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a, H: ?Sized> {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a H,
    /// Its body; nothing where it is longer than is read.
    pub body: Option<&'a [u8]>,
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// For each message, in order.
    pub outcomes: Vec<Outcome>,
    /// For the target.
    pub health: Health,
    /// For how long it asks to be left alone.
    pub wait_ms: Option<u64>,
    /// What is remembered as an error of the target, if it is one.
    pub error: Option<String>,
}

/// What an answer means for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done, with this result in JSON.
    Done(Option<Vec<u8>>),
    /// The work goes on: the target will call back.
    CallsBack,
    /// The work failed: why, in JSON, and whether it is tried again.
    Failed(Vec<u8>, bool),
    /// The work was not begun, because the target has too much to do.
    Throttled,
}

/// Something that went wrong, as the history of a job has it.
pub fn failure(text: &str) -> Vec<u8> {
    serde_json::json!({ "error": text }).to_string().into_bytes()
}

/// Reads what was answered to a request with these messages. `now_ms` is the time of day.
pub fn read(
    target: &Target,
    messages: &[Message<'_>],
    answer: &Answer<'_, impl Headers + ?Sized>,
    now_ms: u64,
) -> Meaning {
    match answer.status {
        200..=299 => Meaning { wait_ms: rate_limit_ms(answer.headers, now_ms), ..done(target, messages, answer) },
        _ => refused(answer, messages.len(), now_ms),
    }
}

/// Reads what was answered to a notification of a topic, as Amazon SNS does: any answer of status 2xx takes it, whatever it
/// says, and any 4xx but 429 refuses it for good.
pub fn of_notification(answer: &Answer<'_, impl Headers + ?Sized>, now_ms: u64) -> Meaning {
    match answer.status {
        200..=299 => {
            let wait_ms = rate_limit_ms(answer.headers, now_ms);
            Meaning { outcomes: vec![Outcome::Done(None)], health: Health::Well, wait_ms, error: None }
        }
        status @ (408 | 425) => {
            let meaning = refused(answer, 1, now_ms);
            Meaning { outcomes: vec![failed(answer, false)], error: Some(format!("answered {status}")), ..meaning }
        }
        _ => refused(answer, 1, now_ms),
    }
}

/// What an answer means whose status is not 2xx, for so many messages.
fn refused(answer: &Answer<'_, impl Headers + ?Sized>, count: usize, now_ms: u64) -> Meaning {
    let all = |outcome: Outcome| vec![outcome; count];
    let asked_ms = retry_after_ms(answer.headers, now_ms);
    match answer.status {
        status @ (429 | 503) => {
            let wait_ms = asked_ms.or_else(|| rate_limit_ms(answer.headers, now_ms));
            // A 503 that says nothing of when to come back is a failure like any other.
            let is_throttled = status == 429 || wait_ms.is_some();
            let error = format!("answered {status}");
            let outcome = if is_throttled { Outcome::Throttled } else { failed(answer, true) };
            let health = if status == 429 { Health::Throttled } else { Health::Overloaded };
            Meaning { outcomes: all(outcome), health, wait_ms, error: Some(error) }
        }
        status => {
            let again = !(400..=499).contains(&status) || matches!(status, 408 | 425);
            let health = match status {
                408 => Health::Overloaded,
                400..=499 => Health::Well,
                _ => Health::Sick,
            };
            let error = match status {
                300..=399 => format!("answered {status}: redirects are not followed"),
                _ => format!("answered {status}"),
            };
            Meaning { outcomes: all(failed(answer, again)), health, wait_ms: None, error: Some(error) }
        }
    }
}

fn failed(answer: &Answer<'_, impl Headers + ?Sized>, again: bool) -> Outcome {
    let mut told = serde_json::json!({ "error": format!("answered {}", answer.status), "status": answer.status });
    if let (Some(body), Some(told)) = (answer.body.filter(|body| !body.is_empty()), told.as_object_mut()) {
        let quoted = body.get(..QUOTED_BYTES_MAX).unwrap_or(body);
        told.insert("answer".to_owned(), String::from_utf8_lossy(quoted).into_owned().into());
    }
    Outcome::Failed(told.to_string().into_bytes(), again)
}

fn done(target: &Target, messages: &[Message<'_>], answer: &Answer<'_, impl Headers + ?Sized>) -> Meaning {
    let well = |outcomes| Meaning { outcomes, health: Health::Well, wait_ms: None, error: None };
    if !target.is_batch() {
        let is_payload = target.settings.mode == Mode::Payload;
        if is_payload && answer.headers.get(FUNCTION_ERROR).is_some() {
            let outcomes = vec![Outcome::Failed(function_error(answer.body.unwrap_or_default()), true); messages.len()];
            let error = Some("answered with a function error".to_owned());
            return Meaning { outcomes, health: Health::Well, wait_ms: None, error };
        }
        let outcome = match messages.first() {
            Some(message) if answer.status == 202 && takes(message, answer) => Outcome::CallsBack,
            _ if is_payload => Outcome::Done(answer.body.and_then(json_or_text)),
            _ => Outcome::Done(answer.body.and_then(json)),
        };
        return well(vec![outcome; messages.len()]);
    }
    match report(target.settings.mode, messages, answer) {
        Ok(outcomes) => well(outcomes),
        Err(text) => {
            let outcomes = vec![Outcome::Failed(failure(&text), true); messages.len()];
            Meaning { outcomes, health: Health::Well, wait_ms: None, error: Some(text) }
        }
    }
}

/// Whether an answer of 202 names the token: in the header, or as `token` in JSON.
fn takes(message: &Message<'_>, answer: &Answer<'_, impl Headers + ?Sized>) -> bool {
    #[derive(Deserialize)]
    struct Taken {
        token: String,
    }
    if answer.headers.get(CALLBACK_TOKEN).is_some_and(|token| token == message.token) {
        return true;
    }
    let taken = answer.body.and_then(|body| serde_json::from_slice::<Taken>(body).ok());
    taken.is_some_and(|taken| taken.token == message.token)
}

/// A body as a result, where it is JSON.
fn json(body: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<&RawValue>(body).ok().map(|raw| raw.get().as_bytes().to_vec())
}

/// A body as a result: JSON, or else a text; nothing where it is empty.
fn json_or_text(body: &[u8]) -> Option<Vec<u8>> {
    if body.trim_ascii().is_empty() {
        return None;
    }
    json(body).or_else(|| serde_json::to_vec(&String::from_utf8_lossy(body)).ok())
}

/// What a function says of its failure: in JSON as it stands, where the history of a job can hold it.
fn function_error(body: &[u8]) -> Vec<u8> {
    json(body).filter(|told| told.len() <= FUNCTION_ERROR_BYTES_MAX).unwrap_or_else(|| {
        let quoted = body.get(..QUOTED_BYTES_MAX).unwrap_or(body);
        failure(&String::from_utf8_lossy(quoted))
    })
}

/// What the answer to a batch reports.
#[derive(Debug, Default, Deserialize)]
struct Report<'a> {
    #[serde(rename = "batchItemFailures", default)]
    item_failures: Option<Vec<ItemFailure>>,
    #[serde(borrow, default)]
    failed: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    results: Option<BTreeMap<String, &'a RawValue>>,
}

#[derive(Debug, Deserialize)]
struct ItemFailure {
    #[serde(rename = "itemIdentifier")]
    id: String,
}

/// A job that failed, where more is said than its id.
#[derive(Debug, Deserialize)]
struct Told<'a> {
    id: String,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    retry: Option<bool>,
}

fn report(
    mode: Mode,
    messages: &[Message<'_>],
    answer: &Answer<'_, impl Headers + ?Sized>,
) -> Result<Vec<Outcome>, String> {
    let mut outcomes = vec![Outcome::Done(None); messages.len()];
    let media = answer.headers.get("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    // What does not say that it is JSON is no report: many a target answers "ok".
    let is_report = mode == Mode::Lambda || media == "application/json" || media.strip_suffix("+json").is_some();
    if !is_report {
        return Ok(outcomes);
    }
    let Some(body) = answer.body else { return Err("the answer to a batch is longer than is read".to_owned()) };
    if body.trim_ascii().is_empty() {
        return Ok(outcomes);
    }
    let report: Option<Report<'_>> =
        serde_json::from_slice(body).map_err(|error| format!("the answer to a batch makes no sense: {error}"))?;
    let Report { item_failures, failed, results } = report.unwrap_or_default();
    let mut places = BTreeMap::new();
    for (at, message) in messages.iter().enumerate() {
        places.insert(message.id.to_string(), at);
        places.insert(message.uuid_text(), at);
    }
    let place = |id: &str| {
        let unknown = || format!("the answer to a batch names {id:.64}, which is not in it");
        places.get(id).copied().ok_or_else(unknown)
    };
    let mut put = |id: &str, outcome| {
        let at = place(id)?;
        if let Some(entry) = outcomes.get_mut(at) {
            *entry = outcome;
        }
        Ok::<(), String>(())
    };
    for (id, result) in results.iter().flatten() {
        put(id, Outcome::Done(Some(result.get().as_bytes().to_vec())))?;
    }
    let said = failure("reported as failed by the answer to its batch");
    for ItemFailure { id } in item_failures.iter().flatten() {
        put(id, Outcome::Failed(said.clone(), true))?;
    }
    for named in failed.iter().flatten() {
        if let Ok(id) = serde_json::from_str::<String>(named.get()) {
            put(&id, Outcome::Failed(said.clone(), true))?;
            continue;
        }
        let Told { id, error, retry } = serde_json::from_str(named.get())
            .map_err(|error| format!("the answer to a batch makes no sense: {error}"))?;
        let told = error.map_or_else(|| said.clone(), |error| error.get().as_bytes().to_vec());
        put(&id, Outcome::Failed(told, retry.unwrap_or(true)))?;
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::target::tests::target;

    const NOW_MS: u64 = 1_614_265_330_000;
    const SINGLE: &str = r#"{"url": "http://a"}"#;
    const BATCH: &str = r#"{"url": "http://a", "batch": {"max": 9}}"#;
    const LAMBDA: &str = r#"{"url": "http://a", "mode": "lambda"}"#;
    const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

    fn message(id: u64) -> Message<'static> {
        Message {
            id,
            uuid: [id as u8; 16],
            name: None,
            custom_id: None,
            group: None,
            deduplication_id: None,
            trace_header: None,
            body: "1",
            data: Cow::Borrowed("1"),
            attributes: Vec::new(),
            attempt: 1,
            leases: 1,
            sent_at_ms: 0,
            first_leased_at_ms: 0,
            priority: 0,
            token: format!("TOKEN{id}"),
        }
    }

    fn meaning(settings: &str, status: u16, headers: &[(&str, &str)], body: &str, messages: u64) -> Meaning {
        let messages: Vec<_> = (1..=messages).map(message).collect();
        let answer = Answer { status, headers, body: Some(body.as_bytes()) };
        read(&target(settings), &messages, &answer, NOW_MS)
    }

    fn one(status: u16, headers: &[(&str, &str)], body: &str) -> (Outcome, Health, Option<u64>) {
        let Meaning { mut outcomes, health, wait_ms, .. } = meaning(SINGLE, status, headers, body, 1);
        (outcomes.remove(0), health, wait_ms)
    }

    /// `d`one, `f`ailed, failed for `g`ood, `t`hrottled, calls `b`ack.
    fn letters(meaning: &Meaning) -> String {
        let letter = |outcome: &Outcome| match outcome {
            Outcome::Done(_) => 'd',
            Outcome::CallsBack => 'b',
            Outcome::Failed(_, true) => 'f',
            Outcome::Failed(_, false) => 'g',
            Outcome::Throttled => 't',
        };
        meaning.outcomes.iter().map(letter).collect()
    }

    #[test]
    fn a_status_says_what_becomes_of_the_job() {
        for (status, letter, health) in [
            (200, "d", Health::Well),
            (204, "d", Health::Well),
            (202, "d", Health::Well),
            (301, "f", Health::Sick),
            (302, "f", Health::Sick),
            (400, "g", Health::Well),
            (401, "g", Health::Well),
            (404, "g", Health::Well),
            (410, "g", Health::Well),
            (408, "f", Health::Overloaded),
            (425, "f", Health::Well),
            (429, "t", Health::Throttled),
            (500, "f", Health::Sick),
            (502, "f", Health::Sick),
            (503, "f", Health::Overloaded),
            (504, "f", Health::Sick),
            (599, "f", Health::Sick),
        ] {
            let meaning = meaning(SINGLE, status, &[], "", 1);
            assert_eq!((letters(&meaning).as_str(), meaning.health), (letter, health), "{status}");
        }
    }

    #[test]
    fn a_notification_is_taken_by_any_2xx_and_refused_for_good_by_4xx() {
        for (status, letter) in [
            (200, "d"),
            (202, "d"),
            (299, "d"),
            (302, "f"),
            (400, "g"),
            (404, "g"),
            (408, "g"),
            (425, "g"),
            (429, "t"),
            (500, "f"),
            (503, "f"),
        ] {
            // Not even one that names the token of the lease calls back.
            let answer = Answer { status, headers: &[][..], body: Some(br#"{"token": "TOKEN1"}"#) };
            assert_eq!(letters(&of_notification(&answer, NOW_MS)), letter, "{status}");
        }
        let headers = &[("retry-after", "7")][..];
        let answer = Answer { status: 503, headers, body: None };
        let meaning = of_notification(&answer, NOW_MS);
        assert_eq!((letters(&meaning).as_str(), meaning.wait_ms), ("t", Some(7_000)));
    }

    #[test]
    fn json_is_kept_as_the_result() {
        assert_eq!(one(200, &[], "{\"a\": 1}").0, Outcome::Done(Some(b"{\"a\": 1}".to_vec())));
        assert_eq!(one(200, &[], "ok").0, Outcome::Done(None));
        assert_eq!(one(200, &[], "").0, Outcome::Done(None));
    }

    #[test]
    fn the_answer_of_a_function_is_its_result_whatever_its_form() {
        let of = |headers: &[(&str, &str)], body: &str| {
            meaning(r#"{"url": "http://a", "mode": "payload"}"#, 200, headers, body, 1).outcomes.remove(0)
        };
        assert_eq!(of(&[], "[1]"), Outcome::Done(Some(b"[1]".to_vec())));
        assert_eq!(of(&[], "fine\n"), Outcome::Done(Some(br#""fine\n""#.to_vec())));
        assert_eq!(of(&[], ""), Outcome::Done(None));
        let failed = [("x-amz-function-error", "Unhandled")];
        let told = r#"{"errorMessage": "no"}"#;
        assert_eq!(of(&failed, told), Outcome::Failed(told.as_bytes().to_vec(), true));
        assert_eq!(of(&failed, "oh"), Outcome::Failed(br#"{"error":"oh"}"#.to_vec(), true));
        assert_eq!(one(200, &failed, "{}").0, Outcome::Done(Some(b"{}".to_vec())), "other modes know no such header");
    }

    #[test]
    fn who_answers_202_with_the_token_calls_back() {
        assert_eq!(one(202, &[], r#"{"token": "TOKEN1"}"#).0, Outcome::CallsBack);
        assert_eq!(one(202, &[("weir-callback-token", "TOKEN1")], "").0, Outcome::CallsBack);
        assert_eq!(one(202, &[("weir-callback-token", "TOKEN2")], "").0, Outcome::Done(None));
        assert!(matches!(one(200, &[("weir-callback-token", "TOKEN1")], "").0, Outcome::Done(None)));
    }

    #[test]
    fn who_asks_for_time_gets_it_and_it_costs_no_attempt() {
        let after = [("retry-after", "7")];
        assert_eq!(one(429, &after, ""), (Outcome::Throttled, Health::Throttled, Some(7_000)));
        assert_eq!(one(503, &after, ""), (Outcome::Throttled, Health::Overloaded, Some(7_000)));
        let spent = [("ratelimit", "\"a\";r=0;t=3")];
        assert_eq!(one(429, &spent, "").2, Some(3_000));
        assert_eq!(one(200, &spent, "").2, Some(3_000), "what is left is told beforehand");
        assert_eq!(one(500, &after, "").2, None);
    }

    #[test]
    fn a_failure_quotes_the_answer() {
        let (Outcome::Failed(told, true), ..) = one(500, &[], "oh no") else { panic!() };
        assert_eq!(told, br#"{"answer":"oh no","error":"answered 500","status":500}"#);
        let (Outcome::Failed(told, true), ..) = one(500, &[], &"x".repeat(9_999)) else { panic!() };
        assert!(told.len() < 2_200);
    }

    #[test]
    fn the_answer_to_a_batch_names_those_that_failed() {
        for (settings, headers, body, expected) in [
            (BATCH, JSON, "", "ddd"),
            (BATCH, JSON, "{}", "ddd"),
            (BATCH, JSON, "null", "ddd"),
            (BATCH, &[][..], "ok", "ddd"),
            (BATCH, JSON, r#"{"failed": ["2"]}"#, "dfd"),
            (BATCH, JSON, r#"{"failed": [{"id": "1", "error": "x", "retry": false}, "3"]}"#, "gdf"),
            (BATCH, JSON, r#"{"batchItemFailures": [{"itemIdentifier": "3"}]}"#, "ddf"),
            (BATCH, JSON, r#"{"failed": ["9"]}"#, "fff"),
            (BATCH, JSON, r#"{"failed": 1}"#, "fff"),
            (BATCH, JSON, "ok", "fff"),
            (LAMBDA, &[][..], "", "ddd"),
            (LAMBDA, &[][..], "null", "ddd"),
            (LAMBDA, &[][..], r#"{"batchItemFailures": []}"#, "ddd"),
            (LAMBDA, &[][..], r#"{"batchItemFailures": null}"#, "ddd"),
            (
                LAMBDA,
                &[][..],
                r#"{"batchItemFailures": [{"itemIdentifier": "02020202-0202-0202-0202-020202020202"}]}"#,
                "dfd",
            ),
            (LAMBDA, &[][..], r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#, "fff"),
            (LAMBDA, &[][..], r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#, "fff"),
            (LAMBDA, &[][..], r#"{"batchItemFailures": [{"wrong": "x"}]}"#, "fff"),
            (LAMBDA, &[][..], "oops", "fff"),
        ] {
            let meaning = meaning(settings, 200, headers, body, 3);
            assert_eq!(letters(&meaning), expected, "{body}");
            assert_eq!(meaning.error.is_some(), expected == "fff", "{body}");
        }
    }

    #[test]
    fn the_answer_to_a_batch_brings_results() {
        let meaning = meaning(BATCH, 200, JSON, r#"{"results": {"2": {"sent": true}}, "failed": ["1"]}"#, 2);
        assert_eq!(letters(&meaning), "fd");
        assert_eq!(meaning.outcomes[1], Outcome::Done(Some(br#"{"sent": true}"#.to_vec())));
    }

    #[test]
    fn an_answer_that_is_too_long_is_no_report_and_no_result() {
        let long = |settings| {
            let answer = Answer { status: 200, headers: JSON, body: None };
            letters(&read(&target(settings), &[message(1)], &answer, NOW_MS))
        };
        assert_eq!((long(SINGLE), long(BATCH)), ("d".to_owned(), "f".to_owned()));
    }
}
