//! Filter policies and what they are asked about: what comes before the first NUL is a policy, the rest an event. An index
//! that holds the policy finds it just when the policy says that it is fulfilled.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weir_filter_policy::{Event, Index, Limits, Policy, Scope};

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (policy, event) = bytes.split_at(at);
    let (Ok(policy), Ok(event)) = (std::str::from_utf8(policy), std::str::from_utf8(event.get(1..).unwrap_or(b"")))
    else {
        return;
    };
    let read = |scope| Policy::parse(policy, scope);
    if let Ok(policy) = read(Scope::Attributes) {
        let mut attributes = Event::new();
        attributes.set_attribute("a", "String.Array", event);
        attributes.set_attribute("b", "Number", event);
        same(policy, &attributes);
    }
    if let (Ok(policy), Ok(event)) = (read(Scope::Body), Event::from_json(event)) {
        same(policy, &event);
    }
});

fn same(policy: Policy, event: &Event<'_>) {
    let _ = Limits::AWS.check(&policy);
    let policy = Arc::new(policy);
    let mut index = Index::new();
    index.insert(1, Arc::clone(&policy));
    assert_eq!(index.matches(event).len(), usize::from(policy.matches(event)));
    assert!(index.remove(1));
}
