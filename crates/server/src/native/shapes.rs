//! What operations take and answer, as JSON Schema (2020-12, the dialect of OpenAPI 3.1).

use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

use super::endpoint::Nothing;

/// What an operation takes and answers. Nothing where there is nothing to be said.
#[derive(Debug)]
pub(super) struct Shapes {
    /// The members are the parameters.
    pub(super) query: Option<Value>,
    pub(super) request: Option<Value>,
    pub(super) response: Option<Value>,
}

/// Makes schemas, and collects those of the types that are named.
#[derive(Debug)]
pub(super) struct Generators {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
}

impl Generators {
    pub(super) fn new() -> Self {
        let generator = |contract| {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            settings.contract = contract;
            settings.into_generator()
        };
        Self { requests: generator(Contract::Deserialize), responses: generator(Contract::Serialize) }
    }

    pub(super) fn query<T: JsonSchema>(&mut self) -> Option<Value> {
        (!is_nothing::<T>()).then(|| T::json_schema(&mut self.requests).to_value())
    }

    pub(super) fn request<T: JsonSchema>(&mut self) -> Option<Value> {
        (!is_nothing::<T>()).then(|| self.requests.subschema_for::<T>().to_value())
    }

    pub(super) fn response<T: JsonSchema>(&mut self) -> Option<Value> {
        (!is_nothing::<T>()).then(|| self.responses.subschema_for::<T>().to_value())
    }

    /// The schemas of the types that are named. A type that is both read and written is described as it is read, where
    /// members that are always written may be absent.
    ///
    /// # Panics
    /// Where it is written otherwise beyond that: it then needs two names.
    pub(super) fn components(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        for (name, schema) in self.responses.take_definitions(true) {
            match all.get(&name) {
                Some(read) => assert!(
                    without_required(read) == without_required(&schema),
                    "the type {name} is read as {read} and written as {schema}"
                ),
                None => drop(all.insert(name, schema)),
            }
        }
        all
    }
}

fn without_required(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.remove("required");
    }
    schema
}

fn is_nothing<T: JsonSchema>() -> bool {
    T::schema_name() == Nothing::schema_name()
}
