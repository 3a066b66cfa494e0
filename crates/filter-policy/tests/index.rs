//! The index finds what asking each policy finds.

use std::sync::Arc;

use proptest::prelude::*;
use weir_filter_policy::{Event, Index, Policy, Scope};

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("c")]
}

fn word() -> impl Strategy<Value = String> {
    "[abAB]{1,3}"
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![(-6_i32..6).prop_map(|n| n.to_string()), (-60_i32..60).prop_map(|n| format!("{}", f64::from(n) / 8.0))]
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u8..3, 0_u8..4).prop_map(|(one, other)| format!("10.0.{one}.{other}")),
        (0_u8..4).prop_map(|one| format!("fe80::{one}")),
    ]
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        word().prop_map(|text| quoted(&text)),
        number(),
        address().prop_map(|text| quoted(&text)),
        Just("true".to_owned()),
        Just("null".to_owned()),
    ]
}

fn wildcard() -> impl Strategy<Value = String> {
    "[abAB]{0,2}\\*([abAB]\\*)?[abAB]{0,2}"
}

fn range() -> impl Strategy<Value = String> {
    let one = (prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("=")], number());
    let two = (prop_oneof![Just(">"), Just(">=")], -6_i32..6, prop_oneof![Just("<"), Just("<=")], 1_i32..6);
    prop_oneof![
        one.prop_map(|(operator, number)| format!(r#"{{"numeric":["{operator}",{number}]}}"#)),
        two.prop_map(|(above, low, below, width)| {
            format!(r#"{{"numeric":["{above}",{low},"{below}",{}]}}"#, low + width)
        }),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let operator = |operator: &'static str| move |text: String| format!(r#"{{"{operator}":"{text}"}}"#);
    let folded =
        |operator: &'static str| move |text: String| format!(r#"{{"{operator}":{{"equals-ignore-case":"{text}"}}}}"#);
    let but = |operator: &'static str| move |text: String| format!(r#"{{"anything-but":{{"{operator}":["{text}"]}}}}"#);
    prop_oneof![
        4 => scalar(),
        1 => word().prop_map(operator("prefix")),
        1 => word().prop_map(operator("suffix")),
        1 => word().prop_map(operator("equals-ignore-case")),
        1 => word().prop_map(folded("prefix")),
        1 => word().prop_map(folded("suffix")),
        1 => wildcard().prop_map(operator("wildcard")),
        1 => word().prop_map(|text| format!(r#"{{"anything-but":["{text}"]}}"#)),
        1 => number().prop_map(|number| format!(r#"{{"anything-but":{number}}}"#)),
        1 => word().prop_map(but("prefix")),
        1 => wildcard().prop_map(but("wildcard")),
        3 => range(),
        1 => (address(), 0_u8..=32).prop_map(|(address, len)| format!(r#"{{"cidr":"{address}/{len}"}}"#)),
        1 => any::<bool>().prop_map(|exists| format!(r#"{{"exists":{exists}}}"#)),
    ]
}

/// Fields, each once.
fn object(value: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    prop::collection::btree_map(name(), value, 1..3).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn group() -> impl Strategy<Value = String> {
    let list = prop::collection::vec(condition(), 1..3).prop_map(|items| format!("[{}]", items.join(","))).boxed();
    let flat = object(list).boxed();
    flat.prop_recursive(3, 12, 3, |inner| {
        let choice = (inner.clone(), inner.clone()).prop_map(|(one, other)| format!(r#"{{"$or":[{one},{other}]}}"#));
        prop_oneof![object(inner), choice]
    })
}

fn event() -> impl Strategy<Value = String> {
    let list = prop::collection::vec(scalar(), 0..3).prop_map(|items| format!("[{}]", items.join(",")));
    let leaf = prop_oneof![scalar(), list].boxed();
    let flat = object(leaf).boxed();
    flat.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3).prop_map(|items| format!("[{}]", items.join(",")));
        object(prop_oneof![inner, list, scalar()].boxed())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_asking_each_finds(
        policies in prop::collection::vec(group(), 1..24),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        events in prop::collection::vec(event(), 1..8),
    ) {
        let mut index = Index::new();
        let mut naive = std::collections::BTreeMap::new();
        for (id, json) in policies.iter().enumerate() {
            // A range without an inside, say, is refused.
            if let Ok(policy) = Policy::parse(json, Scope::Body) {
                let policy = Arc::new(policy);
                index.insert(id, Arc::clone(&policy));
                naive.insert(id, policy);
            }
        }
        for gone in gone {
            let id = gone.index(policies.len());
            prop_assert_eq!(index.remove(id), naive.remove(&id).is_some());
        }
        prop_assert_eq!(index.len(), naive.len());
        for json in &events {
            let event = Event::from_json(json).unwrap();
            let asked: Vec<usize> =
                naive.iter().filter(|(_, policy)| policy.matches(&event)).map(|(id, _)| *id).collect();
            prop_assert_eq!(index.matches(&event), asked, "{}", json);
        }
    }

    #[test]
    fn any_text_is_a_policy_or_is_refused(json in "[\\[\\]{}:,\"a-c0-9$or.e-]{0,60}", body: String) {
        for scope in [Scope::Body, Scope::Attributes] {
            if let Ok(policy) = Policy::parse(&json, scope) {
                let _ = policy.matches(&Event::new());
            }
        }
        let _ = Event::from_json(&body);
    }
}

#[test]
fn nothing_remains_of_policies_that_are_gone() {
    let mut index = Index::new();
    let empty = format!("{index:?}");
    let policies = [
        r#"{"a":["x",{"prefix":"p"},{"numeric":[">",1]},{"cidr":"10.0.0.0/8"}]}"#,
        r#"{"a":{"b":[{"suffix":"s"}]},"c":[{"exists":true}]}"#,
        r#"{"a":[{"exists":false}]}"#,
        "{}",
    ];
    for (id, json) in policies.iter().enumerate() {
        index.insert(id, Arc::new(Policy::parse(json, Scope::Body).unwrap()));
    }
    // In the place of the one before.
    index.insert(0, Arc::new(Policy::parse(r#"{"z":[1]}"#, Scope::Body).unwrap()));
    assert_eq!(index.len(), policies.len());
    for id in 0..policies.len() {
        assert!(index.remove(id) && !index.remove(id));
    }
    assert_eq!(format!("{index:?}"), empty);
    assert!(index.is_empty());
}
