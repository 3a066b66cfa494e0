use super::*;

const BODY: &str = r#"{"order": {"items": [{"sku": "a-1", "count": 5}], "paid": true, "note": null}, "tags": ["new"],
    "unit price": 1.5, "text": "hello world"}"#;

fn matches(filter: &str) -> bool {
    let message = Message {
        body: BODY,
        attributes: &[("kind", "mail"), ("tries", "12"), ("weir.priority", "3"), ("odd name", "x")],
        group: Some("ada"),
        receives: 4,
        sent_ms: 1_735_689_599_000,
    };
    parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&message)
}

fn refused(filter: &str) -> String {
    parse(filter).expect_err(filter).to_string()
}

#[test]
fn comparisons_hold_or_not() {
    for (filter, holds) in [
        (r#"attributes.kind = "mail""#, true),
        (r#"attributes.kind == "mail""#, true),
        (r#"attributes.kind != "mail""#, false),
        (r#"attributes.kind contains "ai""#, true),
        ("attributes.kind exists", true),
        ("attributes.other exists", false),
        ("attributes.tries > 3", true),
        ("attributes.tries < 3", false),
        (r#"attributes.tries < "3""#, true),
        ("attributes.weir.priority = 3", true),
        (r#"attributes."odd name" = "x""#, true),
        (r#"body contains "hello""#, true),
        (r#"body = "hello""#, false),
        (r#"body != "hello""#, true),
        ("body.json.order.items.0.count = 5", true),
        ("body.json.order.items.0.count >= 5.5", false),
        ("body.json.order.items.1.count exists", false),
        (r#"body.json.order.items.0.sku = "a-1""#, true),
        ("body.json.order.paid = true", true),
        ("body.json.order.paid != false", true),
        ("body.json.order.note = null", true),
        ("body.json.order.paid != null", true),
        (r#"body.json."unit price" < 2"#, true),
        (r#"body.json.tags contains "new""#, true),
        (r#"body.json.text contains "world""#, true),
        (r#"group = "ada""#, true),
        ("receives > 3", true),
        ("receives != 4", false),
        ("sent before 2025-01-01T00:00:00Z", true),
        ("sent after 2025-01-01", false),
        ("sent after 2024-12-31", true),
        (r#"sent before "2025-01-01T02:00:00+01:00""#, true),
    ] {
        assert_eq!(matches(filter), holds, "{filter}");
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    for (filter, holds) in [
        ("receives = 4 or receives = 5 and receives = 6", true),
        ("(receives = 4 or receives = 5) and receives = 6", false),
        ("not receives = 5 and receives = 4", true),
        ("not (receives = 5 and receives = 4)", true),
        ("not not receives = 4", true),
        ("not receives = 4 or receives = 4", true),
    ] {
        assert_eq!(matches(filter), holds, "{filter}");
    }
}

#[test]
fn what_a_message_lacks_or_has_as_another_type_does_not_hold() {
    for filter in [
        r#"attributes.other = "x""#,
        r#"attributes.other != "x""#,
        "attributes.kind = 3",
        "attributes.kind != 3",
        "body.json.order.paid = 1",
        r#"body.json.order.items.0.count != "5""#,
        "body.json.order.paid.deeper exists",
    ] {
        assert!(!matches(filter), "{filter}");
        assert!(matches(&format!("not {filter}")), "not {filter}");
    }
    let filter = parse("body.json.a exists").unwrap();
    assert!(!filter.matches(&Message { body: "no JSON", ..Message::default() }));
}

#[test]
fn errors_name_the_place() {
    for (filter, reason) in [
        ("", "at character 1: expected attributes.NAME, body, body.json.PATH, group, receives or sent, found the end"),
        (
            "kind = 1",
            "at character 1: expected attributes.NAME, body, body.json.PATH, group, receives or sent, found kind",
        ),
        ("receives", "at character 9: expected =, !=, <, <=, > or >=, found the end"),
        (r#"receives > "3""#, "at character 12: receives is compared with a number"),
        ("receives > 3x", "at character 12: expected a text in quotes or a number, found 3x"),
        ("receives > 3 receives", "at character 14: expected and, or, or the end, found receives"),
        ("(receives > 3", "at character 14: expected ) for the ( at character 1, found the end"),
        ("ü & receives", "at character 3: '&' means nothing here"),
        (r#"body contains "x"#, "at character 15: the text that starts here has no quote at its end"),
        (r#"body contains "\x""#, "at character 17: after a backslash only \", \\, /, n, r or t can stand"),
        ("body contains x", "at character 15: expected a text in quotes, found x"),
        ("body < \"x\"", "at character 6: a body is compared by contains, = or !="),
        ("body = 3", "at character 8: a body is compared with a text in quotes"),
        ("body.json exists", "at character 1: expected a path into the body: body.json.PATH"),
        ("attributes = 3", "at character 1: expected the name of an attribute: attributes.NAME"),
        ("attributes. = 3", "at character 12: expected a name after the dot"),
        ("attributes.a = true", "at character 16: an attribute is compared with a number or with a text in quotes"),
        ("group = 3", "at character 9: a group is compared with a text in quotes"),
        ("body.json.a < null", "at character 15: true, false and null are compared by = or != only"),
        ("sent on 2026-01-01", "at character 6: expected before or after, found on"),
        ("sent before now", "at character 13: expected a moment such as 2026-01-01T00:00:00Z, found now"),
        ("sent before 2026-02-30", "at character 13: expected a moment such as 2026-01-01T00:00:00Z, found 2026-02-30"),
        ("attributes.a ! 3", "at character 14: expected != here; a negation is written as not"),
    ] {
        assert_eq!(refused(filter), reason, "{filter}");
    }
}

#[test]
fn length_depth_and_comparisons_are_bounded() {
    let deep = |levels: usize| format!("{}receives = 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&deep(DEPTH_MAX)).is_ok());
    assert!(refused(&deep(DEPTH_MAX + 1)).ends_with("nested deeper than 32 levels"));
    assert!(
        refused(&format!("{}receives = 1", "not ".repeat(DEPTH_MAX + 1))).ends_with("nested deeper than 32 levels")
    );
    let many = |count: usize| vec!["receives = 1"; count].join(" or ");
    assert!(parse(&many(COMPARISONS_MAX)).is_ok());
    assert!(refused(&many(COMPARISONS_MAX + 1)).ends_with("more than 64 comparisons"));
    let long = format!("body contains {:?}", "x".repeat(LENGTH_MAX));
    assert_eq!(refused(&long), "at character 1: the filter has 4112 bytes, and 4096 are permitted");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_fail_otherwise_than_by_an_error(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn words_of_the_language_in_any_order_are_parsed_or_refused(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "and", "or", "not", "(", ")", "receives", "body", "body.json.a", "attributes.b", "=", "<", "contains",
            "exists", "\"x\"", "3", "sent", "before", "2026-01-01", "true", "group",
        ]), 0..20)
    ) {
        if let Ok(filter) = parse(&words.join(" ")) {
            filter.matches(&Message::default());
        }
    }
}
