//! The page about the command line, made of the arguments themselves.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::exit;

const OPENING: &str = "\
# Command line

<!-- Made from the arguments in crates/weir/src; `WEIR_WRITE=1 cargo test -p weir` writes it anew. -->

Results are written to standard output, everything else to standard error. Commands that speak to a server find it by
`--url` or `WEIR_URL` (`http://127.0.0.1:9324` unless told otherwise) and sign their requests if `WEIR_ACCESS_KEY_ID`
and `WEIR_SECRET_ACCESS_KEY`, or else `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`), are
set. Of an `https` URL they trust what the system trusts, or the certificates of the PEM file that `--ca-file` or
`WEIR_CA_FILE` names. `HTTPS_PROXY` and its like hold for servers on other machines. A queue is named by its name, its
URL or its ARN.

Tables are for people: aligned, cut at the width of a terminal, with control characters written as escapes, and in color
only on a terminal where `NO_COLOR` is not set. Programs use `--json`, whose names are stable; nothing else of the output
is. A reader that goes away (`| head`) ends a command quietly.

Durations have a unit: `30s`, `5m`, `2h`, `4d`.
";

const REDRIVE: &str = "
Without `--filter`, `--dry-run` and `--max` this starts a message move task of SQS, which goes on in the server, and waits
for its end. With them the command asks the server slice by slice and ends with it.

A filter compares what a message has with a literal:

| left | comparisons | right |
| --- | --- | --- |
| `attributes.NAME` | `=` `!=` `<` `<=` `>` `>=` `contains` `exists` | text in quotes, or number |
| `body` | `=` `!=` `contains` | text in quotes |
| `body.json.PATH` | as attributes | text in quotes, number, `true`, `false`, `null` |
| `group` | as attributes | text in quotes |
| `receives` | `=` `!=` `<` `<=` `>` `>=` | number |
| `sent` | `before` `after` | a moment (`2026-01-01T00:00:00Z`) or a day (`2026-01-01`, in UTC) |

`not` binds closest, then `and`, then `or`; parentheses group. A comparison with something that a message does not have,
or that is of another type, does not hold, whichever comparison it is: `not attributes.kind = \"mail\"` takes the messages
without `kind` along, `attributes.kind != \"mail\"` does not. Names with other characters than letters, digits, `_` and `-`
stand in quotes; a number in a path is the place in an array, from 0.

```sh
weir redrive mail-dead --dry-run --filter 'attributes.kind = \"invoice\" and sent after 2026-01-01'
weir redrive mail-dead --rate 50/s --filter 'body.json.customer.plan = \"paid\" and not body contains \"test\"'
```
";

const JOB: &str = "
Jobs are named by the ids that the server gave or by those that their senders chose (`--id`). `retry`, `cancel`, `promote`
and `remove` take ids, or `--all` with `--state`, `--name`, `--filter` (see [weir redrive](#weir-redrive)),
`--older-than` and `--max`; then they say how many jobs it would be and ask, unless there is `--yes`. `--json` prints what
the native API answers (see `/v1/docs` of a running server).

`weir job add --lines` sends a thousand lines at a time, each batch under a key of its own: one that got no answer, or that
came while the server was busy or being started anew, is sent again for up to a minute, and nothing is added twice.

```sh
weir job add mail --name welcome --data '{\"to\": \"ada@example.com\"}' --priority 1 --attempts 5 --backoff exponential:2s
weir job add report --data @order.json --wait 30s               # prints the result
weir job list mail --state failed --filter 'body.json.to contains \"example.com\"'
weir job retry mail --all --state failed --older-than 1h --dry-run
weir job explain mail 17                                        # what holds it, and until when
```
";

const LIMITER: &str = "
A limiter holds for every queue that names it (`weir queue set mail --limiter mail:key=data.customer`) and for every permit
that a program takes; each key has all of it for itself.

```sh
weir limiter put mail --max 50 --per 10s --max 300 --per 1m --concurrency 4 --reserve 20%:0
permit=$(weir limiter acquire mail --wait 1m) && { ./send-newsletter; weir limiter settle mail \"$permit\"; }
```
";

const PUSH: &str = "
See [push.md](push.md).

```sh
weir push set mail https://mailer.example.com/jobs --concurrency 20 --secret @secret.txt
weir push set events https://events.example.com/ --mode cloudevents --batch 100 --batch-wait 2s
weir push get mail
```
";

const FUNCTION: &str = "
See [functions.md](functions.md).

```sh
weir function set resize https://images.example.com/resize --timeout 30s --concurrency 20 --limiter crm --limiter cms
weir function call resize --data '{\"image\": \"ada.png\"}' --wait 10s      # prints the result
weir function enqueue resize --data @image.json                            # prints the id of the job
weir function source set resize uploads --batch 100 --wait 2s --partial-failures
```
";

const TOPIC: &str = "
See [topics.md](topics.md). A subscription is named by the id that `subscribe` prints and `get` shows.

```sh
weir topic put users --archive 7d
subscription=$(weir topic subscribe users --queue history --filter '{\"plan\": [\"pro\"]}')
weir topic subscribe users --endpoint https://crm.example.com/hooks --dead-letters failed
weir topic publish users --name lesson.finished --data '{\"user\": 17}' --attribute plan=pro
weir topic replay users \"$subscription\" --from 2026-01-31T08:00:00Z
```
";

const LISTEN: &str = "
What the server would send to a push target is sent from here: in the same form, and its answer means the same.

```sh
weir listen mail --forward http://127.0.0.1:8080/jobs
```
";

const WORK: &str = "
See [process-workers.md](process-workers.md).

```sh
weir work thumbnails --concurrency 4 --timeout 1m -- ./thumbnail.sh
weir work analytics --batch 500 --linger 2s -- python3 load.py
```
";

/// The page, as Markdown.
pub(crate) fn page() -> String {
    let mut page = OPENING.to_owned();
    let mut root = crate::Arguments::command();
    root.build();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        describe(&mut page, "weir", command, 2);
        page.push_str(match command.get_name() {
            "redrive" => REDRIVE,
            "job" => JOB,
            "limiter" => LIMITER,
            "work" => WORK,
            "push" => PUSH,
            "function" => FUNCTION,
            "topic" => TOPIC,
            "listen" => LISTEN,
            _ => "",
        });
    }
    page.push_str("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for line in exit::HELP.lines().skip(1) {
        let (code, meaning) = line.trim().split_once(' ').unwrap_or((line, ""));
        let _ = writeln!(page, "| {code} | {} |", meaning.trim_start());
    }
    page
}

fn describe(page: &mut String, parent: &str, command: &Command, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n{} `{name}`\n\n{}\n", "#".repeat(level), ended(&about));
    let subcommands: Vec<&Command> =
        command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help").collect();
    if !subcommands.is_empty() {
        for subcommand in subcommands {
            describe(page, &name, subcommand, level + 1);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(page, "\n```\n{usage}\n```\n");
    let is_setting = |arg: &Arg| crate::config::is_setting(arg.get_id().as_str());
    let mut rows = command.get_arguments().filter(|arg| !is_common(arg) && !is_setting(arg)).peekable();
    if rows.peek().is_some() {
        page.push_str("\n| argument | |\n| --- | --- |\n");
    }
    for arg in rows {
        let _ = writeln!(
            page,
            "| `{}` | {} |",
            written(arg),
            ended(&arg.get_help().map(ToString::to_string).unwrap_or_default())
        );
    }
    if command.get_arguments().any(is_setting) {
        page.push_str("\nEvery setting is a flag too: see [configuration.md](configuration.md).\n");
    }
}

/// Arguments that the opening has spoken of.
fn is_common(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version" | "url" | "ca_file")
}

fn written(arg: &Arg) -> String {
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = arg.get_action().takes_values();
    match (arg.get_long(), takes) {
        (Some(long), true) if arg.is_require_equals_set() => format!("--{long}[={value}]"),
        (Some(long), true) => format!("--{long} {value}"),
        (Some(long), false) => format!("--{long}"),
        (None, _) if arg.is_required_set() => value,
        (None, _) => format!("[{value}]"),
    }
}

/// A sentence with its full stop, which clap takes away, and safe in a table.
fn ended(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.is_empty() || text.ends_with(['.', '…', ']']) { text } else { format!("{text}.") }
}
