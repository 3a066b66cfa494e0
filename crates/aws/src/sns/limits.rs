//! The limits of SNS that are the same with and without AWS's being enforced.

/// Longest subject, in characters.
pub(super) const SUBJECT_MAX: usize = 100;
/// Default of the attribute `MaximumMessageSize`.
pub const MESSAGE_SIZE_DEFAULT: u64 = 262_144;
/// Least value of the attribute `MaximumMessageSize`.
pub(super) const MESSAGE_SIZE_MIN: u64 = 1_024;
/// Longest display name, in characters.
pub(super) const DISPLAY_NAME_MAX: usize = 100;
/// Longest policy, of any kind, in bytes.
pub(super) const POLICY_BYTES_MAX: usize = 30_720;
/// Most topics or subscriptions of a page of a list.
pub const LIST_MAX: usize = 100;
/// How long a subscription can be confirmed, in milliseconds: two days.
pub const CONFIRM_WITHIN_MS: u64 = 2 * 86_400_000;
