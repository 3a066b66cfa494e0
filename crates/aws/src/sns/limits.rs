//! The limits of SNS that are the same with and without AWS's being enforced.

/// Longest subject, in characters.
pub(super) const SUBJECT_MAX: usize = 100;
/// Default of the attribute `MaximumMessageSize`.
pub const MESSAGE_SIZE_DEFAULT: u64 = 262_144;
/// Most topics or subscriptions of a page of a list.
pub const LIST_MAX: usize = 100;
/// How long a subscription can be confirmed, in milliseconds: two days.
pub const CONFIRM_WITHIN_MS: u64 = 2 * 86_400_000;
