//! A policy: conditions on fields, all of which have to be fulfilled.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::error::PolicyError;
use crate::event::{Event, Object};
use crate::limits::{BYTES_MAX, Limits};
use crate::matcher::Matcher;
use crate::parse;

/// What a policy is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The attributes of a message: fields without fields of their own.
    #[default]
    Attributes,
    /// The body of a message, or anything else that is nested.
    Body,
}

/// A filter policy, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) root: Group,
    bytes: usize,
}

/// Conditions all of which have to be fulfilled.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) fields: Vec<(String, Test)>,
    /// For each `$or` its alternatives.
    pub(crate) choices: Vec<Vec<Group>>,
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// That it fulfils one of these.
    OneOf(Vec<Matcher>),
    /// That its own fields fulfil these, all in the same object where there is a list of objects.
    Nested(Group),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`]: what is wrong, and at which field. Policies beyond any use (1 MiB, 32 levels, 20 000 conditions)
    /// are refused here; AWS's limits are checked by [`Limits::check`].
    pub fn parse(json: &str, scope: Scope) -> Result<Self, PolicyError> {
        if json.len() > BYTES_MAX {
            return Err(PolicyError::TooLong { bytes: json.len(), max: BYTES_MAX });
        }
        let policy = Self { root: parse::policy(json, scope)?, bytes: json.len() };
        Limits::OURS.check(&policy)?;
        Ok(policy)
    }

    /// Whether `event` fulfils it.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.root.matches(&event.root)
    }

    /// The length of its text.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many different names its top level has, those in alternatives included.
    pub fn keys(&self) -> usize {
        let mut names = BTreeSet::new();
        self.root.collect_names(&mut names);
        names.len()
    }

    /// How many combinations of values there are, as AWS counts them: the numbers of values multiplied, each times how
    /// deep its field is; of alternatives the sum.
    pub fn combinations(&self) -> u64 {
        self.root.combinations(1)
    }
}

static NOTHING: LazyLock<Object<'static>> = LazyLock::new(Object::new);

impl Group {
    fn matches(&self, object: &Object<'_>) -> bool {
        let fields = self.fields.iter().all(|(name, test)| {
            let field = object.get(name.as_str());
            match test {
                Test::OneOf(matchers) => matchers.iter().any(|matcher| matcher.matches(field)),
                Test::Nested(group) => match field.map(|field| field.objects.as_slice()) {
                    None | Some([]) => group.matches(&NOTHING),
                    Some(objects) => objects.iter().any(|object| group.matches(object)),
                },
            }
        });
        fields && self.choices.iter().all(|groups| groups.iter().any(|group| group.matches(object)))
    }

    fn collect_names<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        names.extend(self.fields.iter().map(|(name, _)| name.as_str()));
        self.choices.iter().flatten().for_each(|group| group.collect_names(names));
    }

    fn combinations(&self, depth: u64) -> u64 {
        let fields = self.fields.iter().map(|(_, test)| match test {
            Test::OneOf(matchers) => (matchers.len() as u64).saturating_mul(depth),
            Test::Nested(group) => group.combinations(depth + 1),
        });
        let choices = self
            .choices
            .iter()
            .map(|groups| groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.combinations(depth))));
        fields.chain(choices).fold(1, u64::saturating_mul)
    }
}
