//! Filter policies: which messages a subscription wants.
//!
//! A [`Policy`] is read once from its JSON, in the language of SNS filter policies, which is that of `EventBridge` patterns
//! as well. It is asked about an [`Event`]: the attributes of a message, or its body. An [`Index`] holds many policies and
//! finds those that an event fulfils without asking each of them.
//!
//! The filter criteria of a Lambda event source mapping are the same language over the whole message: parse them with
//! [`Scope::Body`], and build the event with [`Event::set_text`] and [`Event::set_json`] from `body`, `attributes` and
//! `messageAttributes`.
//!
//! Deliberately absent: subscriptions, topics, IO, and any state beside the policies.

mod decimal;
mod error;
mod event;
mod fold;
mod index;
mod limits;
mod matcher;
mod parse;
mod policy;
mod wildcard;

pub use decimal::Decimal;
pub use error::PolicyError;
pub use event::{Event, Invalid, Scalar};
pub use index::Index;
pub use limits::Limits;
pub use policy::{Policy, Scope};
