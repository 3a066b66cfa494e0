//! The limits of SQS as one named profile: ours by default, AWS's where they are to be enforced.

/// What a request may ask for. All bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message: body and attributes, in bytes. AWS: 1 MiB.
    pub message_bytes_max: u64,
    /// Longest batch: the sum of its messages, in bytes. AWS: 1 MiB.
    pub batch_bytes_max: u64,
    /// Most message attributes. AWS: 10.
    pub attributes_max: usize,
    /// Most entries of a batch, and most messages of one receive. AWS: 10.
    pub batch_max: usize,
    /// Longest delay in seconds. AWS: 15 minutes.
    pub delay_s_max: i64,
    /// Longest visibility timeout in seconds. AWS: 12 hours.
    pub visibility_s_max: i64,
    /// Longest wait of a receive in seconds. AWS: 20.
    pub wait_s_max: i64,
    /// Longest retention in seconds. AWS: 14 days.
    pub retention_s_max: i64,
    /// Whether a message on a FIFO queue may have a delay of its own. AWS: no.
    pub delay_per_fifo_message: bool,
    /// Whether a body may hold any UTF-8. AWS: only the characters of XML 1.0.
    pub any_utf8: bool,
    /// Most messages that a move task moves in a second, where it says how many. AWS: 500.
    pub move_rate_max: i64,
    /// Whether only dead-letter queues can be emptied by a move task. AWS: yes.
    pub moves_dead_letters_only: bool,
    /// Most messages of a queue under a lease; a receive that does not wait is refused beyond. AWS: 120 000.
    pub in_flight_max: Option<u64>,
    /// Most calls of one operation on a FIFO queue in a second, unless its throughput is per message group. AWS: 300.
    pub fifo_calls_per_second: Option<u64>,
    /// How long after a purge a queue cannot be purged again, in seconds. AWS: 60.
    pub purge_interval_s: u64,
    /// How long after its deletion the name of a queue cannot be taken again, in seconds. AWS: 60.
    pub recreate_after_s: u64,
}

/// A thousand years: what "no limit" means, so that sums of times stay far from overflow.
const UNLIMITED_S: i64 = 1_000 * 366 * 86_400;

impl Limits {
    /// Ours: everything that AWS permits and more.
    pub const OURS: Limits = Limits {
        message_bytes_max: 16 << 20,
        batch_bytes_max: 16 << 20,
        attributes_max: 64,
        batch_max: weir_core::api::BATCH_MAX,
        delay_s_max: UNLIMITED_S,
        visibility_s_max: UNLIMITED_S,
        wait_s_max: 3_600,
        retention_s_max: UNLIMITED_S,
        delay_per_fifo_message: true,
        any_utf8: true,
        move_rate_max: 1_000_000,
        moves_dead_letters_only: false,
        in_flight_max: None,
        fifo_calls_per_second: None,
        purge_interval_s: 0,
        recreate_after_s: 0,
    };

    /// Those of AWS (`compat.enforce = aws`).
    pub const AWS: Limits = Limits {
        message_bytes_max: 1 << 20,
        batch_bytes_max: 1 << 20,
        attributes_max: 10,
        batch_max: 10,
        delay_s_max: 900,
        visibility_s_max: 43_200,
        wait_s_max: 20,
        retention_s_max: 1_209_600,
        delay_per_fifo_message: false,
        any_utf8: false,
        move_rate_max: 500,
        moves_dead_letters_only: true,
        in_flight_max: Some(120_000),
        fifo_calls_per_second: Some(300),
        purge_interval_s: 60,
        recreate_after_s: 60,
    };

    /// How long a message may be on a queue whose attribute `MaximumMessageSize` is `queue`. A queue that still has
    /// AWS's default takes what the server takes; any other value holds as it stands.
    pub fn message_bytes(&self, queue: u64) -> u64 {
        if queue == MESSAGE_SIZE_DEFAULT { self.message_bytes_max } else { queue.min(self.message_bytes_max) }
    }
}

/// Most bytes of payload that one receive is given, unless its first message alone is longer: ours. A message of the
/// longest permitted length fits with its attributes, and so does AWS's largest answer, ten messages of 1 MiB.
pub const RECEIVE_BYTES_MAX: u64 = 17 << 20;
/// Default of the attribute `MaximumMessageSize`.
pub(crate) const MESSAGE_SIZE_DEFAULT: u64 = 1 << 20;
/// Least value of the attribute `MaximumMessageSize`.
pub(crate) const MESSAGE_SIZE_MIN: i64 = 1_024;
/// Least retention in seconds.
pub(crate) const RETENTION_S_MIN: i64 = 60;
/// Longest name of a queue, in bytes.
pub(crate) const NAME_MAX: usize = 80;
/// Longest id of a batch entry, in bytes.
pub(crate) const ENTRY_ID_MAX: usize = 80;
/// Longest message group id or deduplication id, in bytes.
pub(crate) const GROUP_ID_MAX: usize = 128;
/// Longest name or type of a message attribute, in bytes.
pub(crate) const ATTRIBUTE_NAME_MAX: usize = 256;
/// Largest `maxReceiveCount` of a redrive policy.
pub(crate) const RECEIVES_MAX: u64 = 1_000;
/// Most queues of one page of `ListQueues`.
pub(crate) const LIST_MAX: i64 = 1_000;
/// Longest attribute that is only kept, in bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 8_192;
/// Most tags of a queue.
pub const TAGS_MAX: usize = 50;
/// Longest key of a tag, in characters.
pub(crate) const TAG_KEY_MAX: usize = 128;
/// Longest value of a tag, in characters.
pub(crate) const TAG_VALUE_MAX: usize = 256;
/// Longest label of a permission, in bytes.
pub(crate) const LABEL_MAX: usize = 80;
/// Most actions of one permission.
pub(crate) const PERMISSION_ACTIONS_MAX: usize = 7;
/// Most statements of a policy.
pub(crate) const STATEMENTS_MAX: usize = 20;
/// Most principals of a policy.
pub(crate) const PRINCIPALS_MAX: usize = 50;
/// Most conditions of a policy.
pub(crate) const CONDITIONS_MAX: usize = 10;
/// Most source queues that a redrive allow policy names.
pub(crate) const ALLOWED_SOURCES_MAX: usize = 10;
/// Most message move tasks that one list shows.
pub(crate) const MOVE_TASKS_MAX: i64 = 10;
/// Longest trace header (a message system attribute), in bytes: ours.
pub(crate) const TRACE_HEADER_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_at_the_default_size_takes_what_the_server_takes() {
        assert_eq!(Limits::OURS.message_bytes(1 << 20), 16 << 20);
        assert_eq!(Limits::OURS.message_bytes(262_144), 262_144);
        assert_eq!(Limits::OURS.message_bytes(u64::MAX), 16 << 20);
        assert_eq!(Limits::AWS.message_bytes(1 << 20), 1 << 20);
        assert_eq!(Limits::AWS.message_bytes(2_048), 2_048);
    }
}
