//! Values of arguments that several commands take.

use std::time::Duration;

use crate::config::parse_duration;

/// A duration of whole seconds: `30s`, `5m`, `2h`.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let duration = parse_duration(text)?;
    if duration.subsec_nanos() > 0 {
        return Err("must be a duration of whole seconds, such as 30s".to_owned());
    }
    Ok(duration.as_secs())
}

/// A name and a value: `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be of the form NAME=VALUE".to_owned()),
    }
}

/// How many a second: `50` or `50/s`.
pub(crate) fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse() {
        Ok(0) | Err(_) => Err("must be a number of messages a second, such as 50/s".to_owned()),
        Ok(rate) => Ok(rate),
    }
}

/// Seconds as people write them.
pub(crate) fn spoken(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let (unit, length) =
        units.into_iter().find(|(_, length)| seconds >= *length && seconds.is_multiple_of(*length)).unwrap_or(("s", 1));
    format!("{}{unit}", seconds / length)
}

/// The duration of so many seconds.
pub(crate) fn duration(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_with_their_units() {
        assert_eq!(seconds("5m"), Ok(300));
        assert!(seconds("100ms").is_err() && seconds("5").is_err());
        assert_eq!(rate("50/s"), Ok(50));
        assert_eq!(rate("7"), Ok(7));
        assert!(rate("0/s").is_err() && rate("x").is_err() && rate("5/m").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }

    #[test]
    fn seconds_are_told_in_the_largest_whole_unit() {
        let told = [0, 30, 90, 3_600, 345_600].map(spoken);
        assert_eq!(told, ["0s", "30s", "90s", "1h", "4d"]);
    }
}
