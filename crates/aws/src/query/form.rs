//! The parameters of a request, from the query of its URL and from its body.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::parameters::Parameters;
use crate::fault::{Code, Fault};
use crate::request::Text;
use crate::text;

/// Most parameters of a request: ours. A thousand messages with a dozen attributes each have fewer.
const PARAMETERS_MAX: usize = 100_000;
/// Longest name that a parameter is kept by, in bytes: ours. The longest that means something has 129, with numbers of
/// ten digits; to put names in order costs their length.
const NAME_MAX: usize = 192;
/// Most dots in such a name: ours. What means something has nine.
const DOTS_MAX: usize = 12;

/// A parameter: its name and its value, percent-decoded.
pub(super) type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The parameters of a request, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    parameters: Vec<Parameter<'a>>,
    path: &'a str,
}

impl<'a> Form<'a> {
    /// Reads the query of the URL (without its `?`) and the body of a request to `path`.
    ///
    /// # Errors
    /// `MalformedQueryString`: too many parameters, bytes that are no percent-encoded UTF-8, a parameter that comes
    /// twice with different values.
    pub fn parse(path: &'a str, query: &'a [u8], body: &'a [u8]) -> Result<Self, Fault> {
        let parts = [query, body].into_iter().flat_map(|part| part.split(|&byte| byte == b'&'));
        let mut parameters = Vec::new();
        for (count, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            if count == PARAMETERS_MAX {
                return Err(malformed(format!("The request has more than {PARAMETERS_MAX} parameters.")));
            }
            let equals = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
            let (name, value) = part.split_at_checked(equals).unwrap_or((part, &[]));
            let name = decode(name).ok_or_else(|| undecodable("The name of a parameter", name))?;
            let value = decode(value.strip_prefix(b"=").unwrap_or(value))
                .ok_or_else(|| undecodable("The value of the parameter", name.as_bytes()))?;
            let dots = name.bytes().filter(|&byte| byte == b'.').take(DOTS_MAX + 1).count();
            if name.len() <= NAME_MAX && dots <= DOTS_MAX {
                parameters.push((name, value));
            }
        }
        parameters.sort_by(|(one, _), (other, _)| order(one, other));
        // One that comes twice in the same words (in the URL and in the body) says nothing else than once.
        parameters.dedup();
        let twice = parameters.iter().zip(parameters.iter().skip(1));
        let twice = twice.map(|((one, _), (next, _))| (one, next)).find(|(one, next)| order(one, next).is_eq());
        match twice {
            Some((name, _)) => {
                let name = text::quote(name, 256);
                Err(malformed(format!("The parameter {name} comes twice with different values.")))
            }
            None => Ok(Self { parameters, path }),
        }
    }

    /// Whether there are no parameters at all.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether the parameters name an operation.
    pub fn has_action(&self) -> bool {
        self.parameters().text("Action").is_some()
    }

    /// The name of the operation that the parameters name, of a service that has one version.
    ///
    /// # Errors
    /// `MissingAction`, `NoSuchVersion`.
    pub(crate) fn action(&self, service: &str, version: &str) -> Result<Text<'_>, Fault> {
        let at = self.parameters();
        let action = at.text("Action").filter(|action| !action.is_empty());
        let action = action.ok_or_else(|| {
            Fault::new(Code::MissingAction, "The request must contain the parameter Action: it names the operation.")
        })?;
        if let Some(other) = at.text("Version").filter(|found| found != version) {
            let other = text::quote(&other, 64);
            let message = format!("The requested version ( {other} ) of service {service} does not exist.");
            return Err(Fault::new(Code::NoSuchVersion, message));
        }
        Ok(action)
    }

    /// The path of the request, where it can be that of a queue.
    pub(crate) fn path(&self) -> Option<&str> {
        Some(self.path).filter(|path| !path.trim_matches('/').is_empty())
    }

    pub(crate) fn parameters(&self) -> Parameters<'_> {
        Parameters::new(&self.parameters)
    }
}

/// The order of names: part by part between the dots, numbers as numbers, so that what belongs together is together.
pub(super) fn order(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => match order_parts(one, other) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// The order of parts: numbers before words.
pub(super) fn order_parts(one: &str, other: &str) -> Ordering {
    match (index(one), index(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// The number that a part of a name is, if it is one, without leading zeros, so that no two parts are one number. Nothing
/// is ever allocated by it.
pub(super) fn index(part: &str) -> Option<u64> {
    let canonical = part == "0" || !part.starts_with('0');
    let digits = canonical && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().ok()).flatten()
}

/// Decodes `%XX` and `+`; `None` for other uses of `%` and for what is no UTF-8 then.
fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn undecodable(what: &str, name: &[u8]) -> Fault {
    let name = String::from_utf8_lossy(name.get(..256).unwrap_or(name)).into_owned();
    malformed(format!("{what} {name} is not percent-encoded UTF-8."))
}

pub(super) fn malformed(message: String) -> Fault {
    Fault::new(Code::MalformedQueryString, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<Form<'_>, Code> {
        Form::parse("/", b"", body.as_bytes()).map_err(|fault| fault.code)
    }

    #[test]
    fn parameters_come_from_the_url_and_the_body() {
        let form = Form::parse("/", b"Action=SendMessage&Version=2012-11-05", b"MessageBody=a%20b+c%C3%a9&&x").unwrap();
        assert_eq!(form.action("S", "2012-11-05").as_deref(), Ok("SendMessage"));
        assert_eq!(form.parameters().text("MessageBody").as_deref(), Some("a b cé"));
        assert_eq!(form.parameters().text("x").as_deref(), Some(""));
        assert!(form.has_action() && !form.is_empty());
        assert!(parse("&&").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_percent_encoded_utf_8_is_refused() {
        for body in ["a=%", "a=%4", "a=%zz", "%=1", "a=%ff", "a=%+1", "a=%ED%A0%80"] {
            assert_eq!(parse(body), Err(Code::MalformedQueryString), "{body}");
        }
        assert!(Form::parse("/", b"", b"a=\xff").is_err());
    }

    #[test]
    fn a_parameter_may_come_twice_if_it_says_the_same() {
        assert!(Form::parse("/", b"Action=SendMessage", b"Action=SendMessage").is_ok());
        assert_eq!(parse("a=1&a=2"), Err(Code::MalformedQueryString));
        assert_eq!(parse("a.1=1&b=1&a.1=2"), Err(Code::MalformedQueryString));
        assert!(parse("a.1=1&b=1&a.01=2").is_ok());
    }

    #[test]
    fn the_action_and_the_version_must_exist() {
        let action = |body| {
            let form = parse(body).unwrap();
            form.action("S", "2012-11-05").map(Cow::into_owned).map_err(|fault| fault.code)
        };
        assert_eq!(action("Action=ListQueues"), Ok("ListQueues".to_owned()));
        assert_eq!(action("Action=ListQueues&Version=2012-11-05"), Ok("ListQueues".to_owned()));
        assert_eq!(action(""), Err(Code::MissingAction));
        assert_eq!(action("Action=ListQueues&Version=2010-03-31"), Err(Code::NoSuchVersion));
    }

    #[test]
    fn a_hundred_thousand_parameters_are_read_and_more_refused() {
        let numbered: Vec<String> = (0..100_000).rev().map(|n| format!("Tag.{n}.Key=k&")).collect();
        let body = numbered.concat();
        assert_eq!(parse(&body).unwrap().parameters.len(), 100_000);
        let more = format!("{body}x=1");
        assert_eq!(parse(&more), Err(Code::MalformedQueryString));
        let same = "a&".repeat(100_001);
        assert_eq!(parse(&same), Err(Code::MalformedQueryString));
    }

    #[test]
    fn a_name_too_long_or_too_deep_to_mean_something_is_passed_over() {
        let long = format!("{}=1&{}=2&a=3", "a".repeat(193), "a".repeat(193));
        assert_eq!(parse(&long).unwrap().parameters.len(), 1);
        let longest = format!("{}=1&{0}=2", "a".repeat(192));
        assert_eq!(parse(&longest), Err(Code::MalformedQueryString));
        let deep = format!("{}=1&{}=1", "a.".repeat(12), "a.".repeat(13));
        assert_eq!(parse(&deep).unwrap().parameters.len(), 1);
    }

    proptest! {
        #[test]
        fn names_are_ordered(one in "[a.0-9]{0,12}", other in "[a.0-9]{0,12}", third in "[a.0-9]{0,12}") {
            prop_assert_eq!(order(&one, &other), order(&other, &one).reverse());
            if order(&one, &other).is_le() && order(&other, &third).is_le() {
                prop_assert!(order(&one, &third).is_le());
            }
        }

        #[test]
        fn any_text_reads_back_as_it_was_encoded(text: String) {
            let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let body = format!("MessageBody={}", encoded.concat());
            let form = parse(&body).unwrap();
            let read = form.parameters().text("MessageBody");
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }
    }
}
