//! A part of a form: the parameters whose names begin alike.

use std::borrow::Cow;

use super::form::{Parameter, index, malformed, order_parts};
use crate::fault::Fault;
use crate::request::{Pairs, Text};
use crate::text;

/// Parameters whose names share their first bytes, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'f> {
    parameters: &'f [Parameter<'f>],
    /// How many bytes of the names they share: whole parts, without the dot that follows.
    shared: usize,
}

impl<'f> Parameters<'f> {
    pub(super) fn new(parameters: &'f [Parameter<'f>]) -> Self {
        Self { parameters, shared: 0 }
    }

    /// What a parameter's name says beyond what all of them share.
    fn rest(self, name: &str) -> &str {
        let rest = name.get(self.shared..).unwrap_or_default();
        if self.shared == 0 { rest } else { rest.strip_prefix('.').unwrap_or_default() }
    }

    fn next_part(self, name: &str) -> &str {
        self.rest(name).split('.').next().unwrap_or_default()
    }

    /// The parameters whose next part is `part`.
    fn under(self, part: &str) -> Self {
        let start = self.parameters.partition_point(|(name, _)| {
            // What ends here comes before what goes on.
            self.is_whole(name) || order_parts(self.next_part(name), part).is_lt()
        });
        let rest = self.parameters.get(start..).unwrap_or_default();
        let is_under = |(name, _): &Parameter<'_>| self.next_part(name) == part;
        // Most of what is looked for is not there.
        let len = if rest.first().is_some_and(is_under) { rest.partition_point(is_under) } else { 0 };
        self.slice(start, start + len)
    }

    /// The parameters from `start` to `end`, which share their next part too.
    fn slice(self, start: usize, end: usize) -> Self {
        let parameters = self.parameters.get(start..end).unwrap_or_default();
        let shared = parameters.first().map_or(self.shared, |(name, _)| {
            let dot = usize::from(self.shared > 0);
            self.shared + dot + self.next_part(name).len()
        });
        Self { parameters, shared }
    }

    /// Whether `name` says no more than what all share.
    fn is_whole(self, name: &str) -> bool {
        self.shared > 0 && name.len() == self.shared
    }

    /// The value of the parameter that is just what all of them share.
    fn whole(self) -> Option<&'f str> {
        let (name, value) = self.parameters.first()?;
        self.is_whole(name).then_some(value.as_ref())
    }

    /// What all of them share.
    fn name(self) -> &'f str {
        self.parameters.first().and_then(|(name, _)| name.get(..self.shared)).unwrap_or_default()
    }

    /// The value of the parameter `name`.
    pub(crate) fn text(self, name: &str) -> Option<Text<'f>> {
        self.under(name).whole().map(Cow::Borrowed)
    }

    /// The value of the parameter `name`, a whole number; an empty one is absent.
    pub(crate) fn number(self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.text(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let number = value.trim().parse();
        number.map(Some).map_err(|_| {
            let what = self.under(name).name();
            Fault::invalid(what, &text::quote(&value, 64), "Must be a whole number.")
        })
    }

    /// The items of a list, each as its parameters; `None` where there is no such list. `names` are the names that it
    /// may have: that of one item and that of the whole.
    pub(crate) fn list<const N: usize>(self, names: [&str; N]) -> Option<Vec<Self>> {
        let mut items = Vec::new();
        let mut found = false;
        for name in names {
            let list = self.under(name);
            if list.parameters.is_empty() {
                continue;
            }
            found = true;
            match list.whole() {
                // An empty list is sent so.
                Some("") | None => {}
                // A list of one may come without its number.
                Some(_) => items.push(Self { parameters: list.parameters.get(..1).unwrap_or_default(), ..list }),
            }
            list.push_numbered(&mut items);
            for wrapper in ["member", "entry"] {
                list.under(wrapper).push_numbered(&mut items);
            }
        }
        found.then_some(items)
    }

    /// Adds what comes under each number.
    fn push_numbered(self, items: &mut Vec<Self>) {
        let mut start = self.parameters.partition_point(|(name, _)| self.is_whole(name));
        while let Some((first, _)) = self.parameters.get(start) {
            let Some(number) = index(self.next_part(first)) else { break };
            let rest = self.parameters.get(start..).unwrap_or_default();
            let len = rest.partition_point(|(name, _)| index(self.next_part(name)) == Some(number));
            items.push(self.slice(start, start + len));
            start += len;
        }
    }

    /// A list of texts.
    pub(crate) fn texts<const N: usize>(self, names: [&str; N]) -> Result<Option<Vec<Text<'f>>>, Fault> {
        let Some(items) = self.list(names) else { return Ok(None) };
        let text = |item: Self| match item.whole() {
            Some(value) => Ok(Cow::Borrowed(value)),
            None => Err(malformed(format!("The parameter {} has no value.", text::quote(item.name(), 256)))),
        };
        items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A map: `Attribute.1.Name` and `Attribute.1.Value`, or `Key` and `Value`.
    pub(crate) fn map<T, const N: usize>(
        self,
        names: [&str; N],
        value: impl Fn(Self) -> Result<T, Fault>,
    ) -> Result<Option<Pairs<'f, T>>, Fault> {
        let Some(mut items) = self.list(names) else { return Ok(None) };
        if items.is_empty() {
            // A map of one may come without a number.
            items = names.into_iter().map(|name| self.under(name)).filter(|map| map.key().is_some()).collect();
        }
        let mut pairs = Vec::with_capacity(items.len());
        for item in items {
            let key = item.key().ok_or_else(|| Fault::missing(&format!("{}.Name", text::quote(item.name(), 256))))?;
            let at = ["Value", "value"].into_iter().map(|part| item.under(part));
            let at = at.max_by_key(|at| at.parameters.len()).unwrap_or(item);
            pairs.push((key, value(at)?));
        }
        let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_ref()).collect();
        keys.sort_unstable();
        match keys.iter().zip(keys.iter().skip(1)).find(|(one, next)| one == next) {
            Some((key, _)) => Err(malformed(format!("The key \"{}\" comes twice.", text::quote(key, 256)))),
            None => Ok(Some(Pairs(pairs))),
        }
    }

    fn key(self) -> Option<Text<'f>> {
        ["Name", "Key", "name", "key"].into_iter().find_map(|part| self.text(part))
    }

    /// A map of texts; a value that is not there is empty.
    pub(crate) fn text_map<const N: usize>(self, names: [&str; N]) -> Result<Option<Pairs<'f, Text<'f>>>, Fault> {
        self.map(names, |at| Ok(Cow::Borrowed(at.whole().unwrap_or_default())))
    }
}
