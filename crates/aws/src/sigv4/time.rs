//! Times as signatures write them: `20150830T123600Z`, and `Sun, 30 Aug 2015 12:36:00 GMT` in the header `Date`.

/// A time in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(pub(super) u64);

impl Stamp {
    /// Reads `20150830T123600Z`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
            return None;
        }
        let part = |from: usize, to: usize| text.get(from..to).and_then(number);
        Self::new([part(0, 4)?, part(4, 6)?, part(6, 8)?], [part(9, 11)?, part(11, 13)?, part(13, 15)?])
    }

    /// Reads the header `Date`: the form of HTTP, or that of [`Stamp::parse`].
    pub(super) fn parse_date_header(text: &str) -> Option<Self> {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        if let Some(stamp) = Self::parse(text) {
            return Some(stamp);
        }
        let (_, text) = text.split_once(", ")?;
        let mut parts = text.split(' ');
        let day = number(parts.next()?)?;
        let month = parts.next()?;
        let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
        let year = number(parts.next()?)?;
        let mut clock = parts.next()?.split(':').map(number);
        let clock = [clock.next()??, clock.next()??, clock.next()??];
        (parts.next() == Some("GMT")).then_some(())?;
        Self::new([year, month, day], clock)
    }

    fn new([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days_of_month = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u64::from(leap),
            _ => 31,
        };
        let valid = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_of_month).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        valid.then(|| Self(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second))
    }

    /// `20150830T123600Z`
    pub(super) fn text(self) -> String {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = date(days);
        let mut text = String::with_capacity(16);
        let mut push = |number: u64| {
            // By hand: every request has its time written, and the formatting machinery took a tenth of its checking.
            for digit in [number / 10, number % 10] {
                text.push(char::from(b'0' + (digit % 10) as u8));
            }
        };
        [year / 100, year % 100, month, day].into_iter().for_each(&mut push);
        let clock = [second / 3_600, second / 60 % 60, second % 60];
        clock.into_iter().for_each(&mut push);
        text.insert(8, 'T');
        text.push('Z');
        text
    }

    pub(super) fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    pub(super) fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Days from the epoch to a date, by counting years from March: the leap day is the last one then.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// The date that many days after the epoch; the way back from [`days`].
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_reads_back_as_it_was_written(seconds in 0..253_402_300_800_u64) {
            prop_assert_eq!(Stamp::parse(&Stamp(seconds).text()), Some(Stamp(seconds)));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Stamp::parse_date_header(&text);
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("19700101T000000Z", 0),
            ("20000229T235959Z", 951_868_799),
            ("20150830T123600Z", 1_440_938_160),
            ("21000301T000000Z", 4_107_542_400),
        ] {
            assert_eq!(Stamp::parse(text), Some(Stamp(seconds)), "{text}");
            assert_eq!(Stamp(seconds).text(), text);
        }
        assert_eq!(Stamp::parse_date_header("Sun, 30 Aug 2015 12:36:00 GMT"), Some(Stamp(1_440_938_160)));
        assert_eq!(Stamp::parse_date_header("20150830T123600Z"), Some(Stamp(1_440_938_160)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "20150830",
            "20150830T123600",
            "20150830 123600Z",
            "2015083T1123600Z",
            "20151330T123600Z",
            "20150230T123600Z",
            "19000101T000000Z",
            "20150830T243600Z",
            "+0150830T123600Z",
            "2015é830T12360Z",
            "Sun, 30 Aug 2015 12:36:00 CET",
            "Sun, 30 Agu 2015 12:36:00 GMT",
        ] {
            assert_eq!(Stamp::parse_date_header(text), None, "{text}");
        }
    }
}
