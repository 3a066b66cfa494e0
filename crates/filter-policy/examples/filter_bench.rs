//! What it costs to find the subscriptions that want a message, by the index and by asking each of them.
//!
//!     cargo run --release -p weir-filter-policy --example filter_bench

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_filter_policy::{Event, Index, Policy, Scope};

const SUBSCRIPTIONS: usize = 10_000;
/// How long each figure is measured for.
const MEASURED: Duration = Duration::from_millis(500);

/// Its name, the policy of a subscription, and the message that this one wants.
type Kind = (&'static str, fn(usize) -> String, fn(usize) -> (String, String));

#[expect(clippy::print_stdout, reason = "what is measured is written there")]
fn main() {
    let kinds: [Kind; 5] = [
        (
            "one customer each",
            |n| format!(r#"{{"shop":["x"],"customer":["c{n}"]}}"#),
            |n| ("x".into(), format!("c{n}")),
        ),
        (
            "a prefix each",
            |n| format!(r#"{{"customer":[{{"prefix":"{n:05}-"}}]}}"#),
            |n| ("x".into(), format!("{n:05}-a")),
        ),
        (
            "a range each",
            |n| format!(r#"{{"price":[{{"numeric":[">=",{n},"<",{}]}}]}}"#, n + 1),
            |n| (format!("{n}.5"), "c".into()),
        ),
        (
            "a net each",
            |n| format!(r#"{{"customer":[{{"cidr":"10.{}.{}.0/24"}}]}}"#, n / 256, n % 256),
            |n| ("x".into(), format!("10.{}.{}.7", n / 256, n % 256)),
        ),
        (
            "ten of them want it",
            |n| format!(r#"{{"customer":["c{}"]}}"#, n / 10),
            |n| ("x".into(), format!("c{}", n / 10)),
        ),
    ];
    println!("{SUBSCRIPTIONS} subscriptions; time for each message, in microseconds");
    println!("{:24}{:>10}{:>12}{:>10}", "", "found", "by index", "by each");
    for (name, policy, message) in kinds {
        let policies: Vec<Arc<Policy>> = (0..SUBSCRIPTIONS)
            .map(|n| Arc::new(Policy::parse(&policy(n), Scope::Attributes).expect("the policies are right")))
            .collect();
        let mut index = Index::new();
        policies.iter().enumerate().for_each(|(id, policy)| index.insert(id, Arc::clone(policy)));
        let found = index.matches(&event(&message(4_711))).len();
        let by_index = measured(|n| {
            black_box(index.matches(&event(&message(n % SUBSCRIPTIONS))));
        });
        let by_each = measured(|n| {
            let message = message(n % SUBSCRIPTIONS);
            let event = event(&message);
            black_box(policies.iter().filter(|policy| policy.matches(&event)).count());
        });
        println!("{name:24}{found:>10}{by_index:>12.2}{by_each:>10.1}");
    }
}

fn event((shop, customer): &(String, String)) -> Event<'_> {
    let mut event = Event::new();
    event.set_attribute("shop", "String", shop);
    event.set_attribute("price", "Number", shop);
    event.set_attribute("customer", "String", customer);
    event
}

/// Microseconds that one call takes.
fn measured(mut call: impl FnMut(usize)) -> f64 {
    let started = Instant::now();
    let mut calls = 0_u32;
    while started.elapsed() < MEASURED {
        call(calls as usize * 7_919);
        calls += 1;
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}
