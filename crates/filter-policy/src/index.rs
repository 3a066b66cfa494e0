//! Many policies, asked at once.
//!
//! Each policy is filed under one condition that has to be fulfilled for the whole to be: under the one that promises to
//! meet the fewest events, by what is filed there already. An event is looked up under its own values: in tables of exact
//! values, of prefixes and suffixes by their lengths, of ranges of numbers and addresses by aligned blocks. Only the
//! policies that are found so are evaluated. A policy all of whose conditions are of the kind that nothing can be looked
//! up by (`anything-but`, `exists`) is asked whenever its field is there; one that only wants fields to be absent, always.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decimal::Decimal;
use crate::event::{Event, Object, Scalar, Value};
use crate::matcher::{Matcher, Net, Pattern, Range, address_bits};
use crate::policy::{Group, Policy, Test};

/// Policies under ids.
#[derive(Clone, Debug)]
pub struct Index<T> {
    policies: BTreeMap<T, Filed>,
    root: Node<T>,
    /// Policies that nothing can be looked up by.
    always: Vec<T>,
}

/// A policy, and where it is filed; nowhere for those that are always asked.
#[derive(Clone, Debug)]
struct Filed {
    policy: Arc<Policy>,
    places: Option<Vec<Place>>,
}

/// A field, by the names that lead to it, and what of it a policy is filed under.
type Place = (Vec<String>, Key);

/// What a policy is filed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// The field is there.
    Present,
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    Prefix(String),
    Suffix(String),
    Folded(String),
    FoldedPrefix(String),
    FoldedSuffix(String),
    /// Numbers whose keys begin alike: without their last so many bits.
    Block(u32, u64),
    Net(Net),
}

#[derive(Clone, Debug)]
struct Node<T> {
    children: BTreeMap<String, Node<T>>,
    filed: BTreeMap<Key, Vec<T>>,
    /// The lengths of the prefixes and so on that there are, with how many there are of each.
    lengths: BTreeMap<(Kind, u32), usize>,
}

/// Whose lengths are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Prefix,
    Suffix,
    FoldedPrefix,
    FoldedSuffix,
    Folded,
    Block,
    Net,
}

/// Makes a key of a text.
type OfText = fn(String) -> Key;

/// Most blocks that a range is filed under: the more, the fewer events outside of it are looked at in vain.
const BLOCKS_MAX: u64 = 16;
/// What it costs to be filed where the field is merely there, in places under a value.
const PRESENT_COST: u64 = 1_000;

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { children: BTreeMap::new(), filed: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { policies: BTreeMap::new(), root: Node::default(), always: Vec::new() }
    }
}

impl<T: Copy + Ord> Index<T> {
    /// An index without policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Takes in a policy, in the place of the one that had this id.
    pub fn insert(&mut self, id: T, policy: Arc<Policy>) {
        self.remove(id);
        let places = self.root.cheapest(&policy.root, &mut Vec::new()).map(|(_, mut places)| {
            places.sort_unstable();
            places.dedup();
            places
        });
        match &places {
            Some(places) => places.iter().for_each(|(path, key)| self.root.file(path, key, id)),
            None => add(&mut self.always, id),
        }
        self.policies.insert(id, Filed { policy, places });
    }

    /// Takes a policy out; whether there was one of this id.
    pub fn remove(&mut self, id: T) -> bool {
        let Some(filed) = self.policies.remove(&id) else { return false };
        match filed.places {
            Some(places) => places.iter().for_each(|(path, key)| self.root.unfile(path, key, id)),
            None => take(&mut self.always, &id),
        }
        true
    }

    /// The policies that `event` fulfils, in the order of their ids.
    pub fn matches(&self, event: &Event<'_>) -> Vec<T> {
        let mut found = self.candidates(event);
        found.retain(|id| self.policies.get(id).is_some_and(|filed| filed.policy.matches(event)));
        found
    }

    /// The policies that have to be asked about `event`.
    fn candidates(&self, event: &Event<'_>) -> Vec<T> {
        let mut found = self.always.clone();
        self.root.look_up(&event.root, &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl<T: Copy + Ord> Node<T> {
    /// The places that a group is best filed under, and what that costs; `None` where it has no condition that has to
    /// have something there.
    fn cheapest(&self, group: &Group, path: &mut Vec<String>) -> Option<(u64, Vec<Place>)> {
        let fields = group.fields.iter().filter_map(|(name, test)| {
            path.push(name.clone());
            let places = match test {
                Test::OneOf(matchers) => self.places(matchers, path),
                Test::Nested(group) => self.cheapest(group, path),
            };
            path.pop();
            places
        });
        // Fields are few and asked one after the other, for they share the path.
        let fields: Vec<_> = fields.collect();
        let choices = group.choices.iter().filter_map(|groups| {
            // Each of the alternatives has to be found.
            groups.iter().try_fold((0_u64, Vec::new()), |(sum, mut places), group| {
                let (cost, more) = self.cheapest(group, path)?;
                places.extend(more);
                Some((sum.saturating_add(cost), places))
            })
        });
        let choices: Vec<_> = choices.collect();
        fields.into_iter().chain(choices).min_by_key(|(cost, _)| *cost)
    }

    fn places(&self, matchers: &[Matcher], path: &[String]) -> Option<(u64, Vec<Place>)> {
        let node = path.iter().try_fold(self, |node, name| node.children.get(name));
        let mut cost = 0_u64;
        let mut places = Vec::new();
        for matcher in matchers {
            for key in keys(matcher)? {
                let there = node.and_then(|node| node.filed.get(&key)).map_or(0, Vec::len) as u64;
                let own = if key == Key::Present { PRESENT_COST } else { 1 };
                cost = cost.saturating_add(own + there);
                places.push((path.to_vec(), key));
            }
        }
        Some((cost, places))
    }

    fn file(&mut self, path: &[String], key: &Key, id: T) {
        let mut node = self;
        for name in path {
            node = node.children.entry(name.clone()).or_default();
        }
        if let Some(length) = key.length()
            && !node.filed.contains_key(key)
        {
            *node.lengths.entry(length).or_default() += 1;
        }
        add(node.filed.entry(key.clone()).or_default(), id);
    }

    fn unfile(&mut self, path: &[String], key: &Key, id: T) {
        if let Some((name, rest)) = path.split_first() {
            if let Some(child) = self.children.get_mut(name) {
                child.unfile(rest, key, id);
                if child.children.is_empty() && child.filed.is_empty() {
                    self.children.remove(name);
                }
            }
            return;
        }
        let Some(ids) = self.filed.get_mut(key) else { return };
        take(ids, &id);
        if !ids.is_empty() {
            return;
        }
        self.filed.remove(key);
        if let Some(length) = key.length()
            && let Some(count) = self.lengths.get_mut(&length)
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
    }

    fn look_up(&self, object: &Object<'_>, found: &mut Vec<T>) {
        if self.children.len() <= object.len() {
            for (name, node) in &self.children {
                if let Some(field) = object.get(name.as_str()) {
                    node.look_up_field(field, found);
                }
            }
        } else {
            for (name, field) in object {
                if let Some(node) = self.children.get(name.as_ref()) {
                    node.look_up_field(field, found);
                }
            }
        }
    }

    fn look_up_field(&self, field: &crate::event::Field<'_>, found: &mut Vec<T>) {
        if !field.values.is_empty() {
            self.take(&Key::Present, found);
        }
        for value in &field.values {
            self.look_up_value(value, found);
        }
        for object in &field.objects {
            self.look_up(object, found);
        }
    }

    fn look_up_value(&self, value: &Value<'_>, found: &mut Vec<T>) {
        match &value.scalar {
            Scalar::Null => self.take(&Key::Null, found),
            Scalar::Bool(value) => self.take(&Key::Bool(*value), found),
            Scalar::Number(number) => {
                self.take(&Key::Number(*number), found);
                for bits in self.lengths_of(Kind::Block) {
                    self.take(&block(number.key(), bits), found);
                }
            }
            Scalar::Text(text) => {
                self.take(&Key::Text(text.clone().into_owned()), found);
                self.look_up_parts(text, [(Kind::Prefix, Key::Prefix), (Kind::Suffix, Key::Suffix)], found);
                if self.lengths.range((Kind::FoldedPrefix, 0)..=(Kind::Folded, u32::MAX)).next().is_some()
                    && let Some(folded) = value.folded()
                {
                    self.take(&Key::Folded(folded.to_owned()), found);
                    let kinds: [(Kind, OfText); 2] =
                        [(Kind::FoldedPrefix, Key::FoldedPrefix), (Kind::FoldedSuffix, Key::FoldedSuffix)];
                    self.look_up_parts(folded, kinds, found);
                }
                let mut nets = self.lengths_of(Kind::Net).peekable();
                if nets.peek().is_some()
                    && let Some(bits) = address_bits(text)
                {
                    nets.for_each(|len| self.take(&Key::Net(Net::around(bits, len as u8)), found));
                }
            }
        }
    }

    /// Looks up the beginnings and the ends of a text, those of the lengths that there are.
    fn look_up_parts<const N: usize>(&self, text: &str, kinds: [(Kind, OfText); N], found: &mut Vec<T>) {
        for (kind, key) in kinds {
            for len in self.lengths_of(kind) {
                let len = len as usize;
                let part = match kind {
                    Kind::Prefix | Kind::FoldedPrefix => text.get(..len),
                    _ => text.len().checked_sub(len).and_then(|at| text.get(at..)),
                };
                match part {
                    Some(part) => self.take(&key(part.to_owned()), found),
                    None if len > text.len() => break,
                    // In the middle of a character.
                    None => {}
                }
            }
        }
    }

    fn lengths_of(&self, kind: Kind) -> impl Iterator<Item = u32> + '_ {
        self.lengths.range((kind, 0)..=(kind, u32::MAX)).map(|((_, len), _)| *len)
    }

    fn take(&self, key: &Key, found: &mut Vec<T>) {
        if let Some(ids) = self.filed.get(key) {
            found.extend_from_slice(ids);
        }
    }
}

impl Key {
    fn length(&self) -> Option<(Kind, u32)> {
        Some(match self {
            Key::Prefix(text) => (Kind::Prefix, text.len() as u32),
            Key::Suffix(text) => (Kind::Suffix, text.len() as u32),
            Key::FoldedPrefix(text) => (Kind::FoldedPrefix, text.len() as u32),
            Key::FoldedSuffix(text) => (Kind::FoldedSuffix, text.len() as u32),
            Key::Folded(text) => (Kind::Folded, text.len() as u32),
            Key::Block(bits, _) => (Kind::Block, *bits),
            Key::Net(net) => (Kind::Net, u32::from(net.len())),
            Key::Present | Key::Null | Key::Bool(_) | Key::Number(_) | Key::Text(_) => return None,
        })
    }
}

/// What a condition can be looked up by; `None` where a field that is not there fulfils it.
fn keys(matcher: &Matcher) -> Option<Vec<Key>> {
    let pattern = match matcher {
        Matcher::Absent => return None,
        Matcher::Exists | Matcher::AnythingBut(_) => return Some(vec![Key::Present]),
        Matcher::Fits(pattern) => pattern,
    };
    let key = match pattern {
        Pattern::Null => Key::Null,
        Pattern::Bool(value) => Key::Bool(*value),
        Pattern::Number(number) => Key::Number(*number),
        Pattern::Text(text) => Key::Text(text.clone()),
        Pattern::Prefix(text) => Key::Prefix(text.clone()),
        Pattern::Suffix(text) => Key::Suffix(text.clone()),
        Pattern::Folded(text) => Key::Folded(text.clone()),
        Pattern::FoldedPrefix(text) => Key::FoldedPrefix(text.clone()),
        Pattern::FoldedSuffix(text) => Key::FoldedSuffix(text.clone()),
        Pattern::Wildcard(wildcard) if !wildcard.start().is_empty() => Key::Prefix(wildcard.start().to_owned()),
        Pattern::Wildcard(wildcard) if !wildcard.end().is_empty() => Key::Suffix(wildcard.end().to_owned()),
        Pattern::Wildcard(_) => Key::Present,
        Pattern::Net(net) => Key::Net(*net),
        Pattern::Range(range) => return Some(blocks(range)),
    };
    Some(vec![key])
}

/// The aligned blocks of one size, the smallest that does, in which the numbers of a range lie.
fn blocks(range: &Range) -> Vec<Key> {
    let low = range.low.map_or(0, |end| end.number.key());
    let high = range.high.map_or(u64::MAX, |end| end.number.key());
    let wide = |bits: &u32| (high >> bits) - (low >> bits) < BLOCKS_MAX;
    let bits = (0..64).find(wide).unwrap_or(63);
    (low >> bits..=high >> bits).map(|block| Key::Block(bits, block)).collect()
}

fn block(number: u64, bits: u32) -> Key {
    Key::Block(bits, number >> bits)
}

fn add<T: Ord>(ids: &mut Vec<T>, id: T) {
    if let Err(at) = ids.binary_search(&id) {
        ids.insert(at, id);
    }
}

fn take<T: Ord>(ids: &mut Vec<T>, id: &T) {
    if let Ok(at) = ids.binary_search(id) {
        ids.remove(at);
    }
}
