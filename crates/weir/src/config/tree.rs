//! The tree of settings. This is the only place that names a key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use weir_server::{AccessKey, Network};
use weir_store::Durability;

use super::access::{Account, KeyId};
use super::key::{Key, Range, Section};
use super::kind::{Kind, Setting, read};
use super::origin::Origin;
use super::problem::Problem;
use super::resolve::Values;
use super::secret::Secret;
use super::size::Size;

macro_rules! range {
    ([$words:literal]) => {
        Range::Any($words)
    };
    ([$min:literal, $max:literal]) => {
        Range::Between($min, $max)
    };
}

/// A table of settings: its type, and what is known of its keys.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident, $table:literal, repeats: $repeats:literal;
        $(
            $(#[doc = $doc:literal])+
            $field:ident: $type:ty = $path:literal, default $default:literal, range $range:tt, since $since:literal;
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("Default `", $default, "`, since ", $since, ".")]
                pub(crate) $field: $type,
            )+
        }

        impl $name {
            pub(crate) const SECTION: Section = Section {
                table: $table,
                repeats: $repeats,
                about: &[$($about),+],
                keys: &[$(Key {
                    path: $path,
                    about: &[$($doc),+],
                    kind: <$type as Setting>::KIND,
                    default: $default,
                    range: range!($range),
                    since: $since,
                    check: |text| read::<$type>(text, &range!($range)).map(|_| ()),
                }),+],
            };

            pub(super) fn read(values: &Values) -> Result<Self, Problem> {
                Ok(Self { $($field: values.read($path, &range!($range))?),+ })
            }
        }
    };
}

section! {
    /// What the server is, and where.
    General, "", repeats: false;

    /// Where the data is kept: a folder, made if it does not exist.
    data_dir: PathBuf = "data_dir", default "weir-data", range ["any folder"], since "0.1.0";

    /// Where to listen. Other machines can reach it only through an address that is not a loopback one, which needs
    /// keys or `insecure`.
    listen: SocketAddr = "listen", default "127.0.0.1:9324", range ["an IP address and a port; port 0 takes a free one"], since "0.1.0";

    /// Listens where other machines can reach it although no keys are configured: whoever reaches the address can then
    /// read and delete every message.
    insecure: bool = "insecure", default "false", range ["true or false"], since "0.1.0";

    /// Keeps everything in memory: nothing is written to disk, and all is gone when the server ends.
    memory: bool = "memory", default "false", range ["true or false"], since "0.1.0";

    /// The scheme and host of the queue URLs that are handed out, for a server behind a proxy. Without it they have the
    /// host that the request came to.
    public_url: Option<PublicUrl> = "public_url", default "", range ["an http or https URL without a path"], since "0.1.0";

    /// The region in the ARNs of queues.
    region: String = "region", default "us-east-1", range ["any name"], since "0.1.0";
}

section! {
    /// Memory and disk.
    Storage, "storage", repeats: false;

    /// When a write is acknowledged: once it is on the disk (`fsync`), or once it is written, with an fsync that begins
    /// at most so much later, as in `interval(100ms)`. The latter is faster on slow disks, and a loss of power or a crash
    /// of the operating system takes what was acknowledged since the last fsync. The end of the process alone takes
    /// nothing.
    durability: Durability = "storage.durability", default "fsync", range ["fsync, or interval(DURATION) with 1ms to 10s"], since "0.1.0";

    /// Memory for state that the tables do not hold yet. When it is full, producers are told to come back, and
    /// consumers go on. Half of it makes a checkpoint due.
    overlay: Size = "storage.overlay", default "256MiB", range ["16MiB", "1TiB"], since "0.1.0";

    /// Memory for pages of the tables.
    table_cache: Size = "storage.table_cache", default "128MiB", range ["1MiB", "1TiB"], since "0.1.0";

    /// Memory for the bodies of recent messages.
    body_cache: Size = "storage.body_cache", default "64MiB", range ["1MiB", "1TiB"], since "0.1.0";

    /// Length of the log since the last checkpoint that makes the next one due.
    checkpoint_log: Size = "storage.checkpoint_log", default "512MiB", range ["16MiB", "1TiB"], since "0.1.0";
}

section! {
    /// Bounds on connections and requests.
    Http, "http", repeats: false;

    /// Most connections at once.
    connections_max: u64 = "http.connections_max", default "10000", range ["1", "1000000"], since "0.1.0";

    /// Longest body of a request.
    body_max: Size = "http.body_max", default "17MiB", range ["64KiB", "1GiB"], since "0.1.0";

    /// Most memory for all bodies that are still arriving.
    bodies_max: Size = "http.bodies_max", default "256MiB", range ["1MiB", "1TiB"], since "0.1.0";

    /// Most bytes of a request's line and headers.
    header_max: Size = "http.header_max", default "64KiB", range ["8KiB", "1MiB"], since "0.1.0";

    /// Most headers of a request.
    headers_max: u64 = "http.headers_max", default "100", range ["16", "1000"], since "0.1.0";

    /// How long a connection may take to send a request's headers, and how long it may be idle.
    header_timeout: Duration = "http.header_timeout", default "60s", range ["1s", "1d"], since "0.1.0";

    /// How long nothing of a body may arrive.
    body_idle_timeout: Duration = "http.body_idle_timeout", default "10s", range ["1s", "1h"], since "0.1.0";

    /// How long a body may take altogether.
    body_timeout: Duration = "http.body_timeout", default "2m", range ["1s", "1d"], since "0.1.0";

    /// How long open requests may take once the server is told to end.
    stop_timeout: Duration = "http.stop_timeout", default "10s", range ["0s", "1h"], since "0.1.0";
}

section! {
    /// Encryption of connections. With a certificate, connections speak TLS and nothing else.
    Tls, "tls", repeats: false;

    /// The certificate in PEM, followed by those that vouch for it. Needs `tls.key`. New connections get a changed
    /// certificate.
    certificate: Option<PathBuf> = "tls.certificate", default "", range ["any file"], since "0.1.0";

    /// The certificate's private key in PEM. Needs `tls.certificate`.
    key: Option<PathBuf> = "tls.key", default "", range ["any file"], since "0.1.0";
}

section! {
    /// Pushing messages to URLs.
    Push, "push", repeats: false;

    /// Networks that pushes may go to although their addresses are not public: `10.1.0.0/16`, with commas between several.
    /// Private, loopback, link-local and other special addresses are refused otherwise, so that nobody who may set a push
    /// target reaches what only the server can reach.
    allow_networks: Networks = "push.allow_networks", default "", range ["networks in CIDR notation, with commas between them"], since "0.1.0";
}

section! {
    /// Functions: names that answer calls.
    Functions, "functions", repeats: false;

    /// Whether functions may have commands behind them, which the server runs as its own user: whoever has a key with the
    /// role `admin`, in whatever namespace, then runs any program of this machine and reads all that the server can. Without
    /// keys that is everybody who reaches the server, which then has to listen on a loopback address, `insecure` or not.
    allow_commands: bool = "functions.allow_commands", default "false", range ["true or false"], since "0.1.0";

    /// Most processes at once, of all functions together.
    processes_max: u64 = "functions.processes_max", default "100", range ["1", "10000"], since "0.1.0";
}

section! {
    /// Lines on standard error.
    LogSettings, "log", repeats: false;

    /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, or a list of directives such as
    /// `info,weir_server=debug`.
    level: Directives = "log.level", default "info", range ["a level or directives"], since "0.1.0";

    /// Lines for people or, as JSON objects, for programs.
    format: LogFormat = "log.format", default "text", range ["text or json"], since "0.1.0";
}

section! {
    /// How closely AWS is followed.
    Compat, "compat", repeats: false;

    /// Whose limits hold: ours, which are wider (`none`), or AWS's to the letter (`aws`).
    enforce: Enforce = "compat.enforce", default "none", range ["none or aws"], since "0.1.0";
}

section! {
    /// Access keys. Once there is one, every request must be signed with one (AWS Signature Version 4), and addresses
    /// that other machines can reach may be listened on.
    KeySettings, "keys", repeats: true;

    /// The public part: what clients have as access key id. Must be given.
    id: KeyId = "keys.id", default "", range ["1 to 128 letters, digits and _"], since "0.1.0";

    /// The secret part: what clients have as secret access key. Either this or `keys.secret_file` must be given.
    secret: Option<Secret> = "keys.secret", default "", range ["16 to 256 characters"], since "0.1.0";

    /// A file with the secret, read at the start; a line's end after it does not count.
    secret_file: Option<PathBuf> = "keys.secret_file", default "", range ["any file"], since "0.1.0";

    /// The namespace that its holder works in: the account id in queue URLs and ARNs. Others are out of reach.
    namespace: Account = "keys.namespace", default "000000000000", range ["12 digits"], since "0.1.0";

    /// What its holder may do there: see queues and their counters (`read`), also send, receive and settle messages
    /// (`write`), or everything (`admin`), which takes in a copy of the whole server. Must be given.
    role: Role = "keys.role", default "", range ["read, write or admin"], since "0.1.0";
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) general: General,
    pub(crate) storage: Storage,
    pub(crate) http: Http,
    pub(crate) tls: Tls,
    pub(crate) push: Push,
    pub(crate) functions: Functions,
    pub(crate) log: LogSettings,
    pub(crate) compat: Compat,
    pub(crate) keys: Vec<AccessKey>,
}

/// Every table, in the order of the reference page.
pub(crate) const SECTIONS: [&Section; 9] = [
    &General::SECTION,
    &Storage::SECTION,
    &Http::SECTION,
    &Tls::SECTION,
    &Push::SECTION,
    &Functions::SECTION,
    &LogSettings::SECTION,
    &Compat::SECTION,
    &KeySettings::SECTION,
];

/// Every key that stands at one place only.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.into_iter().filter(|section| !section.repeats).flat_map(|section| section.keys)
}

impl Settings {
    /// Reads the tree from values that are there for every key, without the tables that may be there several times.
    pub(crate) fn read(values: &Values) -> Result<Self, Problem> {
        Ok(Self {
            general: General::read(values)?,
            storage: Storage::read(values)?,
            http: Http::read(values)?,
            tls: Tls::read(values)?.complete(values)?,
            push: Push::read(values)?,
            functions: Functions::read(values)?,
            log: LogSettings::read(values)?,
            compat: Compat::read(values)?,
            keys: Vec::new(),
        })
    }
}

impl Tls {
    /// Refuses a certificate without its key, and the other way round.
    fn complete(self, values: &Values) -> Result<Self, Problem> {
        let (set, absent) = match (&self.certificate, &self.key) {
            (Some(_), None) => ("tls.certificate", "tls.key"),
            (None, Some(_)) => ("tls.key", "tls.certificate"),
            _ => return Ok(self),
        };
        let origin = values.get(set).map_or(Origin::Default, |value| value.origin.clone());
        Err(Problem::new(origin, format!("{set} needs {absent} beside it")))
    }
}

/// A setting that is one of some words.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl Setting for $name {
            const KIND: Kind = Kind::OneOf(&[$($word),+]);

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

/// What of the log is written: a level, or directives as `tracing` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directives(pub(crate) String);

impl Setting for Directives {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) if !text.is_empty() => Ok(Self(text.to_owned())),
            _ => Err("must be a level such as info, or directives such as info,weir_server=debug".to_owned()),
        }
    }
}

/// Networks, with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(pub(crate) Vec<Network>);

impl Setting for Networks {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks = parts.map(str::parse).collect::<Result<_, weir_server::NotANetwork>>();
        networks.map(Self).map_err(|error| format!("{error}, with commas between several"))
    }
}

words! {
    /// Whose limits hold.
    Enforce {
        /// Ours.
        None = "none",
        /// AWS's.
        Aws = "aws",
    }
}

words! {
    /// What the holder of a key may do.
    Role {
        /// See queues.
        Read = "read",
        /// Also send and receive.
        Write = "write",
        /// Everything.
        Admin = "admin",
    }
}

words! {
    /// The form of log lines.
    LogFormat {
        /// For people.
        Text = "text",
        /// For programs.
        Json = "json",
    }
}

/// Scheme, host and port of the URLs that the server hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// Host, with the port if there is one.
    pub(crate) host: String,
}

impl Setting for PublicUrl {
    const KIND: Kind = Kind::Url;

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "must be a URL such as https://queues.example.com, without a path".to_owned();
        let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if !matches!(scheme, "http" | "https") || host.is_empty() || !host.chars().all(plain) {
            return Err(wrong());
        }
        Ok(Self { scheme: scheme.to_owned(), host: host.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_the_key_may_have() {
        for key in keys() {
            assert_eq!((key.check)(key.default), Ok(()), "{}", key.path);
        }
    }

    #[test]
    fn every_key_stands_in_its_table_and_says_what_it_means() {
        for section in SECTIONS {
            for key in section.keys {
                let table = key.path.rsplit_once('.').map_or("", |(table, _)| table);
                assert_eq!(table, section.table, "{}", key.path);
                assert!(key.paragraph().ends_with('.'), "{}", key.path);
                assert!(!key.range().is_empty() && !key.since.is_empty(), "{}", key.path);
            }
        }
    }

    #[test]
    fn a_public_url_has_a_scheme_and_a_host_and_nothing_else() {
        let url = PublicUrl::parse("https://queues.example.com:8443/").unwrap();
        assert_eq!((url.scheme.as_str(), url.host.as_str()), ("https", "queues.example.com:8443"));
        for text in ["queues.example.com", "ftp://x", "https://x/path", "https://", "http://a b", "http://u@h"] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }
}
