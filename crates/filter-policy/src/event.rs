//! What policies are asked about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::decimal::Decimal;
use crate::fold::fold;

/// A value that conditions are about.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing, said in so many words.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(Decimal),
    /// A text.
    Text(Cow<'a, str>),
}

/// The attributes of a message, or its body: fields with values, which may have fields of their own.
#[derive(Clone, Debug, Default)]
pub struct Event<'a> {
    pub(crate) root: Object<'a>,
}

pub(crate) type Object<'a> = BTreeMap<Cow<'a, str>, Field<'a>>;

/// What stands under a name: the plain values and the objects, each of them alone or in a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field<'a> {
    pub(crate) values: Vec<Value<'a>>,
    pub(crate) objects: Vec<Object<'a>>,
}

/// A value, and its form without regard to case, where somebody asks for that.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) scalar: Scalar<'a>,
    folded: std::sync::OnceLock<String>,
}

impl<'a> Value<'a> {
    pub(crate) fn new(scalar: Scalar<'a>) -> Self {
        Self { scalar, folded: std::sync::OnceLock::new() }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.scalar {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn folded(&self) -> Option<&str> {
        self.text().map(|text| self.folded.get_or_init(|| fold(text)).as_str())
    }
}

/// The text is no JSON, or no object, or nested too deeply.
#[derive(Debug, thiserror::Error)]
#[error("no JSON object that can be filtered: {0}")]
pub struct Invalid(#[from] serde_json::Error);

impl<'a> Event<'a> {
    /// An event without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The body of a message: a JSON object.
    ///
    /// # Errors
    /// [`Invalid`] for everything else: no policy is fulfilled by it.
    pub fn from_json(json: &'a str) -> Result<Self, Invalid> {
        let mut root = read(json)?;
        let single = if root.values.is_empty() { root.objects.pop() } else { None };
        let is_object = json.trim_start().starts_with('{');
        single.filter(|_| is_object).map(|root| Self { root }).ok_or_else(|| {
            let message = "it is no object";
            Invalid(serde::de::Error::custom(message))
        })
    }

    /// Sets a field that has one text.
    pub fn set_text(&mut self, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
        self.set(name.into(), Scalar::Text(text.into()));
    }

    /// Sets a field that has one number.
    pub fn set_number(&mut self, name: impl Into<Cow<'a, str>>, number: Decimal) {
        self.set(name.into(), Scalar::Number(number));
    }

    /// Sets a field to what JSON says, an object, a list or a plain value.
    ///
    /// # Errors
    /// [`Invalid`] for what is no JSON; then nothing is set.
    pub fn set_json(&mut self, name: impl Into<Cow<'a, str>>, json: &'a str) -> Result<(), Invalid> {
        let field = read(json)?;
        self.root.insert(name.into(), field);
        Ok(())
    }

    /// Sets a field to the fields of another event.
    pub fn set_event(&mut self, name: impl Into<Cow<'a, str>>, event: Event<'a>) {
        self.root.insert(name.into(), Field { values: Vec::new(), objects: vec![event.root] });
    }

    /// Sets the field of a message attribute by its type: `Number`, `String.Array`, or any other kind of `String`.
    ///
    /// What claims to be a list and is none counts as the text that it is, and what claims to be a number likewise.
    pub fn set_attribute(&mut self, name: impl Into<Cow<'a, str>>, data_type: &str, value: &'a str) {
        let name = name.into();
        if data_type == "String.Array" && value.trim_start().starts_with('[') {
            if let Ok(field) = read(value) {
                self.root.insert(name, field);
                return;
            }
        } else if data_type.split('.').next() == Some("Number")
            && let Some(number) = Decimal::parse(value)
        {
            return self.set(name, Scalar::Number(number));
        }
        self.set(name, Scalar::Text(Cow::Borrowed(value)));
    }

    fn set(&mut self, name: Cow<'a, str>, scalar: Scalar<'a>) {
        self.root.insert(name, Field { values: vec![Value::new(scalar)], objects: Vec::new() });
    }
}

fn read(json: &str) -> Result<Field<'_>, Invalid> {
    let mut field = Field::default();
    let mut reader = serde_json::Deserializer::from_str(json);
    Reader(&mut field).deserialize(&mut reader)?;
    reader.end()?;
    Ok(field)
}

/// Reads a value into a field; a list puts all that is in it there.
struct Reader<'f, 'a>(&'f mut Field<'a>);

impl<'a> DeserializeSeed<'a> for Reader<'_, 'a> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Reader<'_, 'a> {
    fn put(self, scalar: Scalar<'a>) {
        self.0.values.push(Value::new(scalar));
    }

    fn put_number<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let number = Decimal::parse(text).ok_or_else(|| E::custom("a number that is none"))?;
        self.put(Scalar::Number(number));
        Ok(())
    }
}

impl<'a> Visitor<'a> for Reader<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(Scalar::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(Scalar::Bool(value));
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put_number(&value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put_number(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.put_number(&value.to_string())
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Reader(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut object = Object::new();
        while let Some(Name(name)) = entries.next_key_seed(NameSeed)? {
            let mut field = Field::default();
            entries.next_value_seed(Reader(&mut field))?;
            object.insert(name, field);
        }
        self.0.objects.push(object);
        Ok(())
    }
}

struct Name<'a>(Cow<'a, str>);

struct NameSeed;

impl<'a> DeserializeSeed<'a> for NameSeed {
    type Value = Name<'a>;

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Name<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for NameSeed {
    type Value = Name<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Name<'a>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'a>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}
