//! Amazon resource names of queues, and the account numbers in them.

use std::fmt;

use weir_core::api::Namespace;

/// The ARN of a queue: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// The region: a name without meaning to us.
    pub region: &'a str,
    /// The account: our namespace.
    pub namespace: Namespace,
    /// The queue's name.
    pub name: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads an ARN of the SQS service in any partition; `None` where it is none.
    pub fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let known = scheme == "arn" && partition.starts_with("aws") && service == "sqs";
        (known && !name.is_empty()).then_some(())?;
        Some(Self { region, namespace: account_id(account)?, name })
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:sqs:{}:{:012}:{}", self.region, self.namespace.0, self.name)
    }
}

/// Reads an account number: twelve digits.
pub fn account_id(text: &str) -> Option<Namespace> {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Namespace)).flatten()
}

/// Appends an account number: twelve digits.
pub fn push_account_id(out: &mut Vec<u8>, namespace: Namespace) {
    let mut digits = [b'0'; 12];
    let mut rest = namespace.0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_reads_back_as_it_was_written() {
        let arn = Arn { region: "eu-west-1", namespace: Namespace(42), name: "orders.fifo" };
        assert_eq!(arn.to_string(), "arn:aws:sqs:eu-west-1:000000000042:orders.fifo");
        assert_eq!(Arn::parse(&arn.to_string()), Some(arn));
    }

    #[test]
    fn what_is_no_arn_of_a_queue_is_refused() {
        for text in [
            "",
            "orders",
            "arn:aws:sns:eu-west-1:000000000042:orders",
            "arn:aws:sqs:eu-west-1:42:orders",
            "arn:aws:sqs:eu-west-1:000000000042:",
            "arn:aws:sqs:eu-west-1:00000000004x:orders",
            "urn:aws:sqs:eu-west-1:000000000042:orders",
        ] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn account_numbers_have_twelve_digits() {
        let mut out = Vec::new();
        push_account_id(&mut out, Namespace(7));
        assert_eq!(out, b"000000000007");
        assert_eq!(account_id("000000000007"), Some(Namespace(7)));
        assert_eq!(account_id("+00000000007"), None);
    }
}
