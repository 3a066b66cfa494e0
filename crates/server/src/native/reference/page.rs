//! The page: the OpenAPI document as HTML, without a script.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = include_str!("page.css");

/// The page of `document`.
pub(super) fn page(document: &Value) -> String {
    let mut out = String::with_capacity(1 << 17);
    out.push_str("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Weir: the API</title>",
    );
    put(&mut out, format_args!("<style>{STYLE}</style></head><body>"));
    let page = Page { document };
    page.navigation(&mut out);
    out.push_str("<main>");
    let about = document.pointer("/info/description").and_then(Value::as_str).unwrap_or_default();
    let version = document.pointer("/info/version").and_then(Value::as_str).unwrap_or_default();
    put(&mut out, format_args!("<h1>Weir: the API</h1><p class=\"faint\">Version {}</p>", escaped(version)));
    put(&mut out, format_args!("{}<p>As a document for programs: ", prose(about)));
    out.push_str("<a href=\"/v1/openapi.json\">/v1/openapi.json</a> (OpenAPI 3.1).</p>");
    let signature = "/components/securitySchemes/signature/description";
    out.push_str(&prose(document.pointer(signature).and_then(Value::as_str).unwrap_or_default()));
    for tag in list(document, "tags") {
        let name = text(tag, "name");
        put(&mut out, format_args!("<h2 id=\"{}\">{}</h2>", escaped(name), escaped(name)));
        out.push_str(&prose(text(tag, "description")));
        for operation in page.operations(name) {
            page.operation(&mut out, &operation);
        }
    }
    page.schemas(&mut out);
    page.errors(&mut out);
    out.push_str("</main></body></html>\n");
    out
}

struct Page<'a> {
    document: &'a Value,
}

struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    value: &'a Value,
}

impl<'a> Page<'a> {
    /// The operations under a heading, in the order of their addresses.
    fn operations(&self, tag: &str) -> Vec<Operation<'a>> {
        let mut found = Vec::new();
        for (path, methods) in members(self.document, "paths") {
            for method in ["get", "post", "put", "patch", "delete"] {
                let Some(value) = methods.get(method) else { continue };
                if list(value, "tags").iter().any(|of| of == tag) {
                    found.push(Operation { method, path, value });
                }
            }
        }
        found
    }

    fn navigation(&self, out: &mut String) {
        out.push_str("<nav><strong class=\"home\">Weir</strong>");
        for tag in list(self.document, "tags") {
            let name = text(tag, "name");
            let operations = self.operations(name);
            if operations.is_empty() {
                continue;
            }
            put(out, format_args!("<strong><a href=\"#{0}\">{0}</a></strong><ul>", escaped(name)));
            for operation in operations {
                let id = text(operation.value, "operationId");
                let summary = text(operation.value, "summary");
                put(out, format_args!("<li><a href=\"#{}\">{}</a></li>", escaped(id), escaped(summary)));
            }
            out.push_str("</ul>");
        }
        out.push_str(
            "<strong><a href=\"#types\">Types</a></strong><strong><a href=\"#errors\">Errors</a></strong></nav>",
        );
    }

    fn operation(&self, out: &mut String, operation: &Operation<'_>) {
        let Operation { method, path, value } = operation;
        put(out, format_args!("<section class=\"operation\" id=\"{}\">", escaped(text(value, "operationId"))));
        put(out, format_args!("<h3>{}</h3><div class=\"address\">", escaped(text(value, "summary"))));
        put(out, format_args!("<span class=\"method {method}\">{}</span>", method.to_uppercase()));
        put(out, format_args!("<span class=\"path\">{}</span>", escaped(path)));
        match value.get("x-weir-role").and_then(Value::as_str) {
            Some(role) => put(out, format_args!("<span class=\"role\">role {role}</span>")),
            None => out.push_str("<span class=\"role\">open to all</span>"),
        }
        put(out, format_args!("</div>{}", prose(text(value, "description"))));
        put(out, format_args!("<pre>{}</pre>", escaped(&curl(operation))));
        let parameters = list(value, "parameters");
        if !parameters.is_empty() {
            out.push_str("<h4>Parameters</h4><table>");
            for parameter in parameters {
                let kind = kind_of(parameter.get("schema").unwrap_or(&Value::Null));
                let needed = parameter.get("required") == Some(&Value::Bool(true));
                let place = text(parameter, "in");
                let kind = format!("{kind} <span class=\"faint\">{place}</span>");
                row(out, text(parameter, "name"), needed, &kind, text(parameter, "description"));
            }
            out.push_str("</table>");
        }
        if let Some(schema) = value.pointer("/requestBody/content/application~1json/schema") {
            put(out, format_args!("<h4>Request</h4><p>{}</p>", kind_of(schema)));
            table(out, self.resolve(schema));
        }
        for (status, response) in members(value, "responses") {
            let Some(content) = response.get("content").and_then(Value::as_object).and_then(|all| all.iter().next())
            else {
                continue;
            };
            let (media_type, content) = content;
            if status.starts_with('2') {
                let schema = content.get("schema").unwrap_or(&Value::Null);
                put(out, format_args!("<h4>Answer {status}</h4><p>"));
                let shown = if media_type == "application/json" { kind_of(schema) } else { escaped(media_type) };
                put(out, format_args!("{shown}</p>"));
                table(out, self.resolve(schema));
            }
        }
        if value.get("x-weir-role").is_some() {
            out.push_str("<h4>Errors</h4><p>");
            codes(out, list(value, "x-weir-own-errors"));
            out.push_str("<a class=\"faint\" href=\"#errors\">those that any request may have</a></p>");
        }
        out.push_str("</section>");
    }

    /// The types that stand in others.
    fn schemas(&self, out: &mut String) {
        out.push_str("<h2 id=\"types\">Types</h2>");
        let Some(schemas) = self.document.pointer("/components/schemas").and_then(Value::as_object) else { return };
        for (name, schema) in schemas {
            let name = escaped(name);
            put(out, format_args!("<section class=\"operation\" id=\"type-{name}\"><h3>{name}</h3>"));
            out.push_str(&prose(text(schema, "description")));
            table(out, schema);
            out.push_str("</section>");
        }
    }

    fn errors(&self, out: &mut String) {
        out.push_str("<h2 id=\"errors\">Errors</h2><p>Any request may be answered with ");
        codes(out, list(self.document, "x-weir-errors-of-any-request"));
        out.push_str(
            "beside those that its operation names.</p><table><tr><th>code</th><th>status</th><th>what happened</th>",
        );
        out.push_str("<th>what to do</th></tr>");
        for entry in list(self.document, "x-weir-errors") {
            let code = escaped(text(entry, "code"));
            let status = entry.get("status").and_then(Value::as_u64).unwrap_or_default();
            put(out, format_args!("<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td>"));
            let (cause, cure) = (inline(text(entry, "cause")), inline(text(entry, "cure")));
            put(out, format_args!("<td>{cause}</td><td>{cure}</td></tr>"));
        }
        out.push_str("</table>");
    }

    /// What a reference stands for.
    fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'a: 's,
    {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        target.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(schema)
    }
}

/// Codes of errors, each leading to where it is described.
fn codes(out: &mut String, codes: &[Value]) {
    for code in codes.iter().filter_map(Value::as_str) {
        put(out, format_args!("<a href=\"#{0}\"><code>{0}</code></a> ", escaped(code)));
    }
}

/// The request for a terminal.
fn curl(operation: &Operation<'_>) -> String {
    let Operation { method, path, value } = operation;
    // What stands for a parameter is told apart by its capitals.
    let word = |word: &str| match word.strip_prefix('{') {
        Some(parameter) => parameter.trim_end_matches('}').to_uppercase(),
        None => word.to_owned(),
    };
    let words: Vec<String> = path.split('/').map(word).collect();
    let body = value.pointer("/requestBody/content/application~1json/example");
    let is_plain = matches!((*method, body), ("get", None) | ("post", Some(_)));
    let verb = if is_plain { String::new() } else { format!("-X {} ", method.to_uppercase()) };
    let body = body.map(|body| format!(" --json '{body}'")).unwrap_or_default();
    let stream = if value.pointer("/responses/200/content/text~1event-stream").is_some() { "N" } else { "" };
    format!("curl -s{stream} {verb}http://127.0.0.1:9324{}{body}", words.join("/"))
}

/// The type of a value in a few words, as HTML.
fn kind_of(schema: &Value) -> String {
    if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        let name = escaped(to.rsplit('/').next().unwrap_or(to));
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let kinds: Vec<String> = choices.iter().map(kind_of).collect();
        return kinds.join(" or ");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> =
            words.iter().map(|word| format!("<code>{}</code>", escaped(&word.to_string()))).collect();
        return words.join(" ");
    }
    if !choices(schema).is_empty() && schema.get("type").is_none() {
        return "one of these".to_owned();
    }
    let of_items = || schema.get("items").map(|items| format!("list of {}", kind_of(items)));
    let of_values = || schema.get("additionalProperties").filter(|values| values.is_object());
    let named = |kind: &str| match kind {
        "array" => of_items().unwrap_or_else(|| "list".to_owned()),
        "object" => of_values().map_or_else(|| "object".to_owned(), |of| format!("map of {}", kind_of(of))),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        other => escaped(other),
    };
    match schema.get("type") {
        Some(Value::String(kind)) => named(kind),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<String> = kinds.iter().filter_map(Value::as_str).map(named).collect();
            kinds.join(" or ")
        }
        _ => "any JSON".to_owned(),
    }
}

/// The members of an object, or the choices of a set.
fn table(out: &mut String, schema: &Value) {
    let properties = members(schema, "properties");
    let choices = choices(schema);
    if properties.is_empty() && choices.is_empty() {
        return;
    }
    out.push_str("<table>");
    let required = list(schema, "required");
    for (name, member) in properties {
        let needed = required.iter().any(|required| required == name);
        row(out, name, needed, &kind_of(member), text(member, "description"));
    }
    for choice in choices {
        let (name, kind) = match choice.get("const").and_then(Value::as_str) {
            Some(word) => (format!("\"{word}\""), String::new()),
            None => (String::new(), kind_of(choice)),
        };
        let about = text(choice, "description");
        match (name.is_empty(), members(choice, "properties")) {
            (true, inner) if !inner.is_empty() => {
                for (name, member) in inner {
                    row(out, &format!("{{ {name} }}"), false, &kind_of(member), about);
                }
            }
            _ => row(out, &name, false, &kind, about),
        }
    }
    out.push_str("</table>");
}

/// The choices of a set of words or of variants.
fn choices(schema: &Value) -> Vec<&Value> {
    let choices =
        ["oneOf", "anyOf"].into_iter().filter_map(|name| schema.get(name).and_then(Value::as_array)).flatten();
    choices.filter(|choice| choice.get("const").is_some() || choice.get("properties").is_some()).collect()
}

fn row(out: &mut String, name: &str, needed: bool, kind: &str, about: &str) {
    let class = if needed { " class=\"needed\"" } else { "" };
    let name = if name.is_empty() { String::new() } else { format!("<code>{}</code>", escaped(name)) };
    put(out, format_args!("<tr><td{class}>{name}</td><td>{kind}</td><td>{}</td></tr>", prose(about)));
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a string takes every text");
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn members<'a>(value: &'a Value, name: &str) -> Vec<(&'a str, &'a Value)> {
    let members = value.get(name).and_then(Value::as_object);
    members.map(|members| members.iter().map(|(name, value)| (name.as_str(), value)).collect()).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Markdown with paragraphs and code, as HTML.
fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs.fold(String::new(), |out, paragraph| out + "<p>" + &inline(paragraph) + "</p>")
}

fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            put(&mut out, format_args!("<code>{}</code>", escaped(part)));
        } else {
            out.push_str(&escaped(part));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(prose("a <b> & `c <d>`\n\ne"), "<p>a &lt;b&gt; &amp; <code>c &lt;d&gt;</code></p><p>e</p>");
    }

    #[test]
    fn every_operation_type_and_code_has_its_place() {
        let document = crate::native::openapi::document();
        let page = page(&document);
        for (path, methods) in members(&document, "paths") {
            for (_, operation) in methods.as_object().unwrap() {
                let id = text(operation, "operationId");
                assert!(page.contains(&format!("id=\"{id}\"")), "{path}: {id}");
            }
        }
        for part in page.split("href=\"#").skip(1) {
            let id = part.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "nothing has the id {id}");
        }
    }
}
