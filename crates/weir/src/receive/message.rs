//! A received message, as it is written out.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::client::{number, text};
use crate::output;

/// A message as SQS answers it.
pub(super) struct Message<'a>(pub(super) &'a Value);

impl Message<'_> {
    /// The bytes to write: an object in one line, the body alone, or lines for people.
    pub(super) fn written(&self, json: bool, body: bool) -> Vec<u8> {
        if json {
            return format!("{}\n", self.object()).into_bytes();
        }
        if body {
            return format!("{}\n", self.body()).into_bytes();
        }
        self.told().into_bytes()
    }

    fn body(&self) -> &str {
        text(self.0, "Body").unwrap_or_default()
    }

    fn system(&self, name: &str) -> Option<&str> {
        text(self.0.get("Attributes")?, name)
    }

    fn sent(&self) -> Option<String> {
        number(self.0.get("Attributes")?, "SentTimestamp").map(output::stamp)
    }

    fn receives(&self) -> Option<u64> {
        number(self.0.get("Attributes")?, "ApproximateReceiveCount")
    }

    fn attributes(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("MessageAttributes").and_then(Value::as_object).into_iter().flatten()
    }

    fn object(&self) -> Value {
        let attributes: Map<String, Value> = self
            .attributes()
            .map(|(name, value)| {
                let held = text(value, "StringValue").or_else(|| text(value, "BinaryValue"));
                (name.clone(), json!({ "type": text(value, "DataType"), "value": held }))
            })
            .collect();
        json!({
            "message_id": text(self.0, "MessageId"),
            "body": self.body(),
            "receipt_handle": text(self.0, "ReceiptHandle"),
            "sent_at": self.sent(),
            "receives": self.receives(),
            "group": self.system("MessageGroupId"),
            "deduplication_id": self.system("MessageDeduplicationId"),
            "sequence_number": self.system("SequenceNumber"),
            "dead_letter_source": self.system("DeadLetterQueueSourceArn"),
            "attributes": attributes,
        })
    }

    /// A line about the message, its attributes, and its body.
    fn told(&self) -> String {
        let mut about = vec![text(self.0, "MessageId").unwrap_or_default().to_owned()];
        about.extend(self.sent().map(|sent| format!("sent {sent}")));
        about.extend(self.receives().map(|count| format!("receive {count}")));
        about.extend(self.system("MessageGroupId").map(|group| format!("group {group}")));
        let mut lines = format!("{}\n", output::clean(&about.join("  ")));
        for (name, value) in self.attributes() {
            let held = text(value, "StringValue").or_else(|| text(value, "BinaryValue")).unwrap_or_default();
            let _ = writeln!(lines, "  {} = {}", output::clean(name), output::clean(held));
        }
        for line in self.body().lines() {
            let _ = writeln!(lines, "  {}", output::clean(line));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Value {
        json!({
            "MessageId": "0b5a",
            "ReceiptHandle": "r",
            "Body": "two\nlines \u{1b}[2J",
            "Attributes": { "SentTimestamp": "1735689599000", "ApproximateReceiveCount": "2", "MessageGroupId": "ada" },
            "MessageAttributes": { "kind": { "DataType": "String", "StringValue": "mail" } },
        })
    }

    #[test]
    fn a_message_is_told_in_lines_that_cannot_steer_the_terminal() {
        let told = String::from_utf8(Message(&message()).written(false, false)).unwrap();
        assert_eq!(
            told,
            "0b5a  sent 2024-12-31T23:59:59Z  receive 2  group ada\n  kind = mail\n  two\n  lines \\u{1b}[2J\n"
        );
    }

    #[test]
    fn a_message_for_programs_is_one_line_with_stable_names() {
        let line = String::from_utf8(Message(&message()).written(true, false)).unwrap();
        assert_eq!(line.lines().count(), 1);
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["attributes"]["kind"], json!({ "type": "String", "value": "mail" }));
        assert_eq!((&object["receives"], &object["group"]), (&json!(2), &json!("ada")));
        assert_eq!(object["body"], "two\nlines \u{1b}[2J");
    }

    #[test]
    fn a_body_alone_is_written_as_it_is() {
        assert_eq!(Message(&message()).written(false, true), b"two\nlines \x1b[2J\n");
    }
}
