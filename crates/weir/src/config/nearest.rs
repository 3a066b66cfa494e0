//! The known name that somebody probably meant.

/// The name among `known` that is nearest to `found`, unless none is near.
pub(crate) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let bound = (found.chars().count() / 3).max(2);
    known
        .into_iter()
        .filter_map(|name| {
            // A key in the wrong table is as near as one letter.
            let misplaced = if last(name) == last(found) { Some(1) } else { None };
            let distance = strsim::osa_distance(&found.to_lowercase(), name);
            let distance = misplaced.map_or(distance, |misplaced| misplaced.min(distance));
            (distance <= bound).then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["listen", "log.level", "http.headers_max", "http.header_max"];

    #[test]
    fn a_slip_of_the_fingers_finds_its_name() {
        assert_eq!(nearest("listne", KNOWN), Some("listen"));
        assert_eq!(nearest("log.lvel", KNOWN), Some("log.level"));
        assert_eq!(nearest("Listen", KNOWN), Some("listen"));
    }

    #[test]
    fn a_key_in_the_wrong_table_finds_its_place() {
        assert_eq!(nearest("headers_max", KNOWN), Some("http.headers_max"));
    }

    #[test]
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("replicas", KNOWN), None);
    }
}
