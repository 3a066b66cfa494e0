//! Pages of `ListQueues` and `ListDeadLetterSourceQueues`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::limits::LIST_MAX;
use super::request::{ListDeadLetterSourceQueues, ListQueues, Text};
use super::text;
use crate::fault::Fault;

/// Which queues a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// What their names start with.
    pub prefix: &'a str,
    /// The name after which they start.
    pub after: Option<String>,
    /// How many at most.
    pub max: usize,
    /// Whether the next page is to be named: only where the request sets a maximum.
    pub continues: bool,
}

impl<'a> Page<'a> {
    /// The page that `request` asks for.
    pub fn of(request: &'a ListQueues<'a>) -> Result<Self, Fault> {
        let prefix = request.prefix.as_deref().unwrap_or_default();
        Self::new(prefix, request.next_token.as_ref(), request.results_max)
    }

    /// The page of source queues that `request` asks for.
    pub fn of_sources(request: &ListDeadLetterSourceQueues<'_>) -> Result<Self, Fault> {
        Self::new("", request.next_token.as_ref(), request.results_max)
    }

    fn new(prefix: &'a str, token: Option<&Text<'_>>, results_max: Option<i64>) -> Result<Self, Fault> {
        let max = results_max.unwrap_or(LIST_MAX);
        let checked = usize::try_from(max).ok().filter(|_| (1..=LIST_MAX).contains(&max)).ok_or_else(|| {
            Fault::invalid("MaxResults", &max, &format!("MaxResults must be between 1 and {LIST_MAX}."))
        })?;
        let after = token.map(|token| name_of(token)).transpose()?;
        Ok(Self { prefix, after, max: checked, continues: results_max.is_some() })
    }

    /// The token of the page after one that ends with `name`.
    pub fn token(name: &str) -> String {
        URL_SAFE_NO_PAD.encode(name)
    }
}

fn name_of(token: &str) -> Result<String, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Fault::invalid("NextToken", &text::quote(token, 256), "It is not a token of this server."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_continues_after_the_last_name() {
        let request = ListQueues {
            prefix: Some("o".into()),
            next_token: Some(Page::token("orders").into()),
            results_max: Some(2),
        };
        let page = Page { prefix: "o", after: Some("orders".to_owned()), max: 2, continues: true };
        assert_eq!(Page::of(&request), Ok(page));
    }

    #[test]
    fn source_queues_come_in_the_same_pages() {
        let request = ListDeadLetterSourceQueues {
            next_token: Some(Page::token("orders").into()),
            results_max: Some(2),
            ..Default::default()
        };
        let page = Page { prefix: "", after: Some("orders".to_owned()), max: 2, continues: true };
        assert_eq!(Page::of_sources(&request), Ok(page));
    }

    #[test]
    fn a_page_has_one_to_a_thousand_queues() {
        let max = |results_max| Page::of(&ListQueues { results_max, ..Default::default() }).map(|page| page.max);
        assert_eq!(max(None), Ok(1_000));
        assert_eq!(max(Some(1_000)), Ok(1_000));
        assert!(max(Some(0)).is_err() && max(Some(1_001)).is_err() && max(Some(-1)).is_err());
        let request = ListQueues { next_token: Some("§".into()), ..Default::default() };
        assert!(Page::of(&request).is_err());
    }
}
