//! A route: a method and an address, and what the reference says of them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Problem;
use crate::access::Role;

/// A method of HTTP that the native API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Patch,
    Delete,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One operation of the native API. Routing, access checks and the OpenAPI document all read it from here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// The address, with parameters in braces: `/v1/queues/{queue}`.
    pub(crate) path: &'static str,
    /// The operation's id: unique, in the form of a function's name.
    pub(crate) id: &'static str,
    /// Under which heading it stands.
    pub(crate) tag: Tag,
    /// What it does, in a few words.
    pub(crate) summary: &'static str,
    /// What else has to be known, in Markdown.
    pub(crate) description: &'static str,
    /// The least role that may call it; `None`: anybody, signed or not.
    pub(crate) role: Option<Role>,
    /// What a success is made of.
    pub(crate) media_type: &'static str,
    /// Headers that it reads: name and meaning.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The JSON of a body that somebody may send, to be shown; empty where a body needs no example.
    pub(crate) example: &'static str,
    /// The codes of the errors that it may answer beside those that any operation may.
    pub(crate) errors: &'static [&'static str],
}

impl Route {
    /// An operation that answers JSON with status 200.
    pub(crate) const fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        tag: Tag,
        role: Role,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            tag,
            summary,
            description: "",
            role: Some(role),
            media_type: "application/json",
            headers: &[],
            example: "",
            errors: &[],
        }
    }

    pub(crate) const fn about(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    pub(crate) const fn errors(self, errors: &'static [&'static str]) -> Self {
        Self { errors, ..self }
    }

    pub(crate) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    pub(crate) const fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    /// What it answers is no JSON.
    pub(crate) const fn media_type(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }

    /// Anybody may call it, signed or not.
    pub(crate) const fn public(self) -> Self {
        Self { role: None, ..self }
    }
}

/// A heading of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Queues,
    Jobs,
    Work,
    Limiters,
    Topics,
    Push,
    Functions,
    Events,
    Reference,
}

impl Tag {
    pub(crate) const ALL: [Tag; 9] = [
        Tag::Queues,
        Tag::Jobs,
        Tag::Work,
        Tag::Limiters,
        Tag::Topics,
        Tag::Push,
        Tag::Functions,
        Tag::Events,
        Tag::Reference,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tag::Queues => "Queues",
            Tag::Jobs => "Jobs",
            Tag::Work => "Work",
            Tag::Limiters => "Limiters",
            Tag::Topics => "Topics",
            Tag::Push => "Push",
            Tag::Functions => "Functions",
            Tag::Events => "Events",
            Tag::Reference => "Reference",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Tag::Queues => "Named, durable sequences of jobs, their configuration and their counters.",
            Tag::Jobs => "What producers and operators do: adding jobs, looking at them, changing them.",
            Tag::Work => "What workers do: leasing jobs and settling them.",
            Tag::Limiters => "Named bounds on rate and concurrency, for queues and for programs outside.",
            Tag::Topics => "What is published once comes to every queue, URL and function that subscribed.",
            Tag::Push => "URLs behind queues: the server sends jobs to them as fast as they can take them.",
            Tag::Functions => "Names that answer calls: workers, a URL or a command stand behind each.",
            Tag::Events => "What happens to jobs, as it happens.",
            Tag::Reference => "This description.",
        }
    }
}

/// The parameters of an address, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params<'p>(Vec<(&'static str, Cow<'p, str>)>);

impl Params<'_> {
    /// The value of a parameter that the route's path has.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(param, _)| *param == name);
        debug_assert!(found.is_some(), "the route has no parameter {name}");
        found.map_or("", |(_, value)| value)
    }
}

impl Route {
    /// The parameters in `path` if it is an address of this route. A parameter is one segment, percent-encoded.
    pub(crate) fn matches<'p>(&self, path: &'p str) -> Option<Result<Params<'p>, Problem>> {
        let mut segments = path.split('/');
        let mut raw: Vec<(&'static str, &'p str)> = Vec::new();
        for wanted in self.path.split('/') {
            let segment = segments.next()?;
            match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(_) if segment.is_empty() => return None,
                Some(name) => raw.push((name, segment)),
                None if wanted == segment => {}
                None => return None,
            }
        }
        if segments.next().is_some() {
            return None;
        }
        let decoded = raw.into_iter().map(|(name, segment)| match percent_decode_str(segment).decode_utf8() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Problem::field(name, "must be UTF-8, percent-encoded")),
        });
        Some(decoded.collect::<Result<_, _>>().map(Params))
    }

    /// The names of the parameters in the path.
    pub(crate) fn params(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Route =
        Route::new(Method::Get, "/v1/queues/{queue}/jobs/{id}", "get_job", Tag::Jobs, Role::Read, "A job");

    #[test]
    fn a_parameter_is_one_segment_percent_encoded() {
        let params = ROUTE.matches("/v1/queues/a%2Fb%20%C3%9F/jobs/17").unwrap().unwrap();
        assert_eq!((params.get("queue"), params.get("id")), ("a/b ß", "17"));
        for path in ["/v1/queues/a/jobs", "/v1/queues//jobs/1", "/v1/queues/a/jobs/1/", "/v1/queues/a/b/jobs/1"] {
            assert!(ROUTE.matches(path).is_none(), "{path}");
        }
        assert!(ROUTE.matches("/v1/queues/%FF/jobs/1").unwrap().is_err());
        assert_eq!(ROUTE.params().collect::<Vec<_>>(), ["queue", "id"]);
    }
}
