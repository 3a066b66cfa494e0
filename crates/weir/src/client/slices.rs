//! Operations that the server carries out slice by slice: each answer hands on a cursor, until all is done.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Client, Request};

/// How long the server may work on one slice, its rate included.
const WORK: Duration = Duration::from_mins(1);

impl Client {
    /// Carries out the operation of an address to its end. `next` is given the last answer, nothing at first, and makes
    /// the request that follows, without its cursor; nothing where that is enough.
    pub(crate) fn in_slices(
        &self,
        segments: &[&str],
        mut next: impl FnMut(Option<&Value>) -> Option<Map<String, Value>>,
    ) -> anyhow::Result<()> {
        let mut cursor: Option<Value> = None;
        let mut request = next(None);
        while let Some(mut members) = request {
            members.extend(cursor.clone().map(|cursor| ("cursor".to_owned(), cursor)));
            let answer = self.native(&Request::post(segments).json(&members.into()).waiting(WORK))?;
            request = next(Some(&answer));
            let given = answer.get("cursor").filter(|cursor| !cursor.is_null()).cloned();
            let is_done = answer.get("done").and_then(Value::as_bool).unwrap_or(given.is_none());
            if is_done || request.is_none() {
                return Ok(());
            }
            anyhow::ensure!(
                given.is_some() && given != cursor,
                "the server neither ends nor goes on: its answer has no new cursor"
            );
            cursor = given;
        }
        Ok(())
    }
}
