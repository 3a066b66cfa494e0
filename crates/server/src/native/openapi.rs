//! The OpenAPI 3.1 document, made from the table of operations.

use serde_json::{Map, Value, json};

use super::catalog;
use super::problem;
use super::route::{Route, Tag};
use super::shapes::{Generators, Shapes};
use super::table;
use crate::access::Role;

/// The codes that any operation may answer.
const ANYWHERE: [&str; 12] = [
    "access.denied",
    "access.foreign_origin",
    "request.broken",
    "request.invalid",
    "request.media_type",
    "request.too_large",
    "request.too_many",
    "request.too_slow",
    "server.closed",
    "server.disk_full",
    "server.internal",
    "server.overloaded",
];

/// The document.
pub(super) fn document() -> Value {
    let mut generators = Generators::new();
    let problem = generators.response::<problem::Document<'static>>();
    let operations = table::described(&mut generators);
    let mut paths = Map::new();
    for (route, shapes) in operations {
        let address = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(address) = address {
            address.insert(route.method.as_str().to_lowercase(), operation(route, shapes, problem.as_ref()));
        }
    }
    let tags: Vec<Value> =
        Tag::ALL.iter().map(|tag| json!({ "name": tag.name(), "description": tag.description() })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Jobs, queues and flow control over HTTP.",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/", "description": "The server that this document comes from." }],
        "tags": tags,
        "security": [{ "signature": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": generators.components(),
            "securitySchemes": { "signature": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": SIGNATURE,
            } },
        },
        "x-weir-errors": errors(),
        "x-weir-errors-of-any-request": ANYWHERE,
    })
}

const ABOUT: &str = "JSON over HTTP/1.1 and HTTP/2. Times are in milliseconds since 1970 (UTC), lengths of time in \
milliseconds; their names end in `_at_ms` and `_ms`. Unknown members are refused. A listing is read page by page: the \
`cursor` of an answer is given with the next request, until an answer has none. An error is a problem document \
(RFC 9457) with a stable `code`; what was refused has changed nothing.";

const SIGNATURE: &str = "Where the server has access keys, requests are signed with one of them by AWS Signature \
Version 4, for the service `weir` or `sqs` and any region. With curl: \
`--aws-sigv4 aws:amz:us-east-1:weir --user ID:SECRET`.";

fn operation(route: &Route, shapes: Shapes, problem: Option<&Value>) -> Value {
    let mut operation = Map::new();
    let mut put = |name: &str, value: Value| operation.insert(name.to_owned(), value);
    put("operationId", route.id.into());
    put("tags", json!([route.tag.name()]));
    put("summary", route.summary.into());
    if !route.description.is_empty() {
        put("description", route.description.into());
    }
    match route.role {
        None => drop(put("security", json!([]))),
        Some(role) => drop(put("x-weir-role", name_of(role).into())),
    }
    let parameters = parameters(route, shapes.query);
    if !parameters.is_empty() {
        put("parameters", parameters.into());
    }
    if let Some(schema) = shapes.request {
        // A type whose members may all be absent is also read from no body at all.
        let mut content = json!({ "schema": schema });
        if let (Ok(example), Some(content)) = (serde_json::from_str(route.example), content.as_object_mut()) {
            content.insert("example".to_owned(), example);
        }
        put("requestBody", json!({ "content": { "application/json": content } }));
    }
    if route.role.is_some() {
        put("x-weir-own-errors", json!(route.errors));
    }
    put("responses", responses(route, shapes.response, problem));
    Value::Object(operation)
}

fn name_of(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Write => "write",
        Role::Admin => "admin",
    }
}

fn parameters(route: &Route, query: Option<Value>) -> Vec<Value> {
    let mut parameters: Vec<Value> = route
        .params()
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true, "description": about_param(name),
                "schema": { "type": "string" },
            })
        })
        .collect();
    for (name, about) in route.headers {
        parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": about, "schema": { "type": "string" },
        }));
    }
    let Some(Value::Object(mut query)) = query else { return parameters };
    let required = match query.remove("required") {
        Some(Value::Array(required)) => required,
        _ => Vec::new(),
    };
    let Some(Value::Object(members)) = query.remove("properties") else { return parameters };
    for (name, mut schema) in members {
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        without_null(&mut schema);
        let is_list = schema.get("type").is_some_and(|kind| kind == "array");
        let is_required = required.iter().any(|required| *required == name.as_str());
        let mut parameter = Map::new();
        parameter.extend([
            ("name".to_owned(), name.into()),
            ("in".to_owned(), "query".into()),
            ("required".to_owned(), is_required.into()),
            ("schema".to_owned(), schema),
        ]);
        parameter.extend(about.map(|about| ("description".to_owned(), about)));
        if is_list {
            parameter.extend([("style".to_owned(), "form".into()), ("explode".to_owned(), false.into())]);
        }
        parameters.push(Value::Object(parameter));
    }
    parameters
}

fn about_param(name: &str) -> &'static str {
    match name {
        "queue" => "Name of the queue, percent-encoded.",
        "id" => "Id of the job, percent-encoded.",
        "limiter" => "Name of the limiter, percent-encoded.",
        "key" => "Key of the limiter, percent-encoded.",
        "function" => "Name of the function, percent-encoded.",
        "topic" => "Name of the topic, percent-encoded.",
        "subscription" => "Id of the subscription.",
        "replay" => "Id of the replay.",
        "token" => "The callback token, as the push had it.",
        "deduplication_id" => "The deduplication id, percent-encoded.",
        _ => "",
    }
}

/// What an address cannot say: that there is nothing.
fn without_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
}

fn responses(route: &Route, response: Option<Value>, problem: Option<&Value>) -> Value {
    let mut responses = Map::new();
    let content = match response {
        Some(schema) if route.media_type == "application/json" => json!({ route.media_type: { "schema": schema } }),
        Some(_) | None if route.media_type != "application/json" => {
            json!({ route.media_type: { "schema": { "type": "string" } } })
        }
        _ => json!({ route.media_type: { "schema": { "type": "object" } } }),
    };
    responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content }));
    let mut codes: Vec<&str> = route.errors.to_vec();
    if route.role.is_some() {
        codes.extend(ANYWHERE);
    }
    codes.sort_unstable();
    codes.dedup();
    let mut statuses: Vec<u16> = codes.iter().filter_map(|code| Some(catalog::find(code)?.status)).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let of_status = codes.iter().filter(|code| catalog::find(code).is_some_and(|entry| entry.status == status));
        let listed: Vec<String> = of_status.map(|code| format!("`{code}`")).collect();
        responses.insert(
            status.to_string(),
            json!({
                "description": listed.join(", "),
                "content": { "application/problem+json": { "schema": problem } },
            }),
        );
    }
    Value::Object(responses)
}

fn errors() -> Value {
    let entries = catalog::ENTRIES.iter();
    let rows = entries
        .map(|entry| json!({ "code": entry.code, "status": entry.status, "cause": entry.cause, "cure": entry.cure }));
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_document_is_current() {
        let text = format!("{:#}\n", document());
        super::super::generated::check("docs/openapi.json", &text);
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(to)) = members.get("$ref") {
                        let pointer = to.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
                    }
                    members.values().for_each(|value| walk(value, document));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        let document = document();
        walk(&document, &document);
    }

    #[test]
    fn every_parameter_of_an_address_is_described() {
        for (route, _) in table::described(&mut Generators::new()) {
            for name in route.params() {
                assert!(!about_param(name).is_empty(), "{}: {name}", route.path);
            }
        }
    }
}
