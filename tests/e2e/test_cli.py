"""The command line against a running server, as a person and as a script use it."""

import json
import re
import subprocess

import pytest

from sqs_words import arn, counts, receive_bodies, send
from weir_process import BINARY

USAGE, NOT_FOUND, UNREACHABLE = 2, 6, 8


def name_of(url):
    return url.rsplit("/", 1)[1]


def test_a_message_goes_through_from_create_to_delete(said, weir):
    url = said("queue", "create", "cli-through", "--visibility", "5m", "--tag", "team=mail").strip()
    assert url.endswith("/cli-through")
    sent = said("send", "cli-through", "hello", "-a", "kind=mail", "-a", "n:Number=5").strip()
    told = said("receive", "cli-through")
    assert sent in told and "kind = mail" in told and "  hello" in told
    assert counts(weir.sqs(), url) == (0, 1, 0)
    shown = json.loads(said("queue", "show", "cli-through", "--json"))
    assert (shown["visibility_s"], shown["leased"], shown["tags"]) == (300, 1, {"team": "mail"})
    assert said("queue", "delete", "cli-through", "--yes") == "deleted cli-through\n"
    assert "cli-through" not in said("queue", "list", "--names").splitlines()


def test_lists_are_tables_for_people_and_objects_for_programs(said, make_queue, sqs):
    queue = make_queue("cli-listed")
    send(sqs, queue, "1", "2")
    heading, row = said("queue", "list", "cli-listed").splitlines()
    assert heading.split() == ["NAME", "READY", "LEASED", "DELAYED", "WAITING", "COMPLETED", "FAILED"]
    assert row.split() == [name_of(queue), "2", "0", "0", "0", "0", "0"]
    [found] = json.loads(said("queue", "list", "cli-listed", "--json"))
    counters = {"ready": 2, "leased": 0, "delayed": 0, "waiting": 0, "completed": 0, "failed": 0}
    assert found == {"name": name_of(queue), **counters}


def test_a_queue_whose_name_sqs_does_not_know_is_managed_all_the_same(cli, said):
    name = "cli-über / alles"
    assert said("queue", "create", name, "--visibility", "1m") == f"{name}\n"
    assert name in said("queue", "list", "cli-ü", "--names").splitlines()
    assert re.search(r"^retention +for ever$", said("queue", "show", name), re.M)
    said("queue", "set", name, "--retention", "30d")
    said("job", "add", name, "--delay", "20d")
    shown = json.loads(said("queue", "show", name, "--json"))
    assert (shown["visibility_s"], shown["retention_s"], shown["delayed"]) == (60, 30 * 86_400, 1)
    assert said("queue", "purge", name, "--yes") == f"purged {name}\n"
    assert said("queue", "delete", name, "--yes") == f"deleted {name}\n"
    assert cli("queue", "show", name).returncode == NOT_FOUND


def test_a_queue_is_named_by_its_url_or_arn_as_well(said, sqs, queue):
    said("send", queue, "by URL")
    said("send", arn(sqs, queue), "by ARN")
    assert receive_bodies(sqs, queue, 10) == ["by URL", "by ARN"]


def test_settings_are_changed_and_shown(said, make_queue):
    queue, dead = name_of(make_queue("cli-set")), name_of(make_queue("cli-dead"))
    said("queue", "set", queue, "--visibility", "1m", "--delay", "5s", "--dead-letter", dead, "--receives-max", "3")
    shown = json.loads(said("queue", "show", queue, "--json"))
    assert [shown[key] for key in ("visibility_s", "delay_s", "dead_letter", "receives_max")] == [60, 5, dead, 3]
    assert re.search(rf"^dead-letter queue +{dead}, after 3 receives$", said("queue", "show", queue), re.M)
    said("queue", "set", queue, "--no-dead-letter")
    assert json.loads(said("queue", "show", queue, "--json"))["dead_letter"] is None


def test_a_fifo_queue_is_made_by_its_name(said):
    said("queue", "create", "cli-ordered.fifo", "--content-deduplication")
    assert json.loads(said("queue", "show", "cli-ordered.fifo", "--json"))["fifo"] is True
    first = json.loads(said("send", "cli-ordered.fifo", "x", "--group", "ada", "--json"))
    again = json.loads(said("send", "cli-ordered.fifo", "x", "--group", "ada", "--json"))
    assert first["message_id"] == again["message_id"] and first["sequence_number"]
    [line] = said("receive", "cli-ordered.fifo", "-n", "10", "--delete", "--json").splitlines()
    assert json.loads(line)["group"] == "ada"


def test_priority_and_delay_are_flags(said, sqs, queue):
    said("send", queue, "newsletter", "--priority", "5")
    said("send", queue, "password reset", "--priority", "0")
    said("send", queue, "later", "--delay", "15m")
    assert said("receive", queue, "-n", "5", "--body") == "password reset\nnewsletter\n"
    assert counts(sqs, queue) == (0, 2, 1)


def test_a_body_comes_from_an_argument_a_file_or_standard_input(cli, said, sqs, queue, tmp_path):
    file = tmp_path / "body"
    file.write_text("from a file\n")
    said("send", queue, "--file", file)
    said("send", queue, "-", input="from standard input")
    said("send", queue, input="a pipe")
    assert receive_bodies(sqs, queue, 10) == ["from a file\n", "from standard input", "a pipe"]
    empty = cli("send", queue)
    assert empty.returncode == USAGE and "the body is empty" in empty.stderr


def test_lines_become_messages_in_batches(said, sqs, queue):
    lines = "".join(f"line {n}\n" for n in range(1_234))
    assert said("send", queue, "--lines", input=lines) == "sent 1234 messages\n"
    assert counts(sqs, queue) == (1_234, 0, 0)


def test_lines_go_in_smaller_batches_to_a_server_with_the_limits_of_aws(own_weir, cli):
    weir = own_weir("--compat-enforce", "aws")
    sqs = weir.sqs()
    queue = sqs.create_queue(QueueName="small")["QueueUrl"]
    lines = "".join(f"line {n}\n" for n in range(95))
    done = cli("send", queue, "--lines", input=lines, WEIR_URL=weir.url)
    assert (done.returncode, done.stdout) == (0, "sent 95 messages\n"), done.stderr
    assert counts(sqs, queue) == (95, 0, 0)


def test_a_refused_line_is_named_and_the_others_go_out(cli, sqs, make_queue):
    queue = make_queue(MaximumMessageSize=1024)
    done = cli("send", queue, "--lines", input="short\n" + "x" * 2000 + "\nshort\n")
    assert done.returncode == 1
    assert done.stdout == "sent 2 messages\n"
    assert re.search("^line 2: ", done.stderr, re.M) and "refused: 1 line" in done.stderr


def test_receive_deletes_what_it_wrote_if_asked(said, cli, sqs, queue):
    send(sqs, queue, *(str(n) for n in range(25)))
    assert len(said("receive", queue, "-n", "20", "--delete", "--json").splitlines()) == 20
    assert sum(counts(sqs, queue)) == 5
    assert len(said("receive", queue, "-n", "20", "--delete", "--json").splitlines()) == 5
    empty = cli("receive", queue)
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "no message came\n")


def test_receive_waits_for_a_message(weir, queue, waiting_receivers):
    from weir_process import eventually

    waiting = subprocess.Popen(
        [BINARY, "receive", queue, "--wait", "20s", "--body", "--url", weir.url], stdout=subprocess.PIPE, text=True
    )
    eventually(lambda: waiting_receivers() == 1, "the receiver waits")
    send(weir.sqs(), queue, "at last")
    assert waiting.communicate(timeout=30)[0] == "at last\n"
    assert waiting.returncode == 0


def test_receive_follows_until_its_reader_goes(weir, sqs, queue):
    following = subprocess.Popen(
        [BINARY, "receive", queue, "--follow", "--delete", "--body", "--url", weir.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for body in ("one", "two", "three"):
        send(sqs, queue, body)
        assert following.stdout.readline() == f"{body}\n"
    following.stdout.close()
    send(sqs, queue, "nobody reads this")
    assert following.wait(30) == 0
    assert following.stderr.read() == ""
    # What could not be written out was not deleted.
    assert sum(counts(sqs, queue)) == 1


def test_control_characters_of_a_body_do_not_reach_the_terminal(said, sqs, queue):
    send(sqs, queue, "red \x1b[31m")
    assert "red \\u{1b}[31m" in said("receive", queue, "--visibility", "0s")
    assert said("receive", queue, "--body") == "red \x1b[31m\n"


def test_purging_asks_for_a_yes(cli, said, sqs, queue):
    send(sqs, queue, "x")
    refused = cli("queue", "purge", queue)
    assert refused.returncode == USAGE and "--yes" in refused.stderr
    assert sum(counts(sqs, queue)) == 1
    assert said("queue", "purge", queue, "--yes") == f"purged {name_of(queue)}\n"
    assert sum(counts(sqs, queue)) == 0


def test_what_does_not_exist_has_an_exit_code_of_its_own(cli):
    for command in (["queue", "show"], ["send"], ["receive"], ["queue", "delete", "--yes"]):
        arguments = [*command, "cli-nothing", *(["x"] if command == ["send"] else [])]
        done = cli(*arguments)
        assert done.returncode == NOT_FOUND, (arguments, done.stderr)
        assert "cli-nothing" in done.stderr or "does not exist" in done.stderr
        assert "weir queue list" in done.stderr


def test_a_server_that_is_not_there_is_told_with_what_to_do(cli):
    lines = cli("send", "x", "--lines", "--url", "http://127.0.0.1:1", input="x\n")
    assert (lines.returncode, lines.stdout) == (UNREACHABLE, ""), "nothing is said to be sent"
    done = cli("queue", "list", "--url", "http://127.0.0.1:1")
    assert done.returncode == UNREACHABLE
    assert done.stderr == (
        "error: cannot reach Weir at http://127.0.0.1:1: connection refused; "
        "start it with `weir serve`, or name its URL with --url or WEIR_URL\n"
    )


def test_wrong_arguments_are_refused_before_anything_is_sent(cli):
    for arguments, reason in [
        (["queue", "list", "--url", "nowhere"], "is not a URL"),
        (["queue", "set", "x"], "nothing to set"),
        (["send", "x", "y", "--delay", "5"], "needs a unit"),
        (["send", "x", "y", "-a", "kind"], "NAME=VALUE"),
        (["redrive", "x", "--filter", "receives > many"], "--filter: at character 12"),
        (["redrive", "x", "--rate", "0/s"], "messages a second"),
    ]:
        done = cli(*arguments, WEIR_URL="http://127.0.0.1:1") if "--url" not in arguments else cli(*arguments)
        assert done.returncode == USAGE, (arguments, done.stderr)
        assert reason in done.stderr, done.stderr


def test_half_a_key_is_refused(cli):
    done = cli("queue", "list", WEIR_ACCESS_KEY_ID="half")
    assert done.returncode == USAGE and "WEIR_SECRET_ACCESS_KEY is not" in done.stderr


def test_signed_requests_are_accepted(said, queue):
    said("send", queue, "x", WEIR_ACCESS_KEY_ID="any", WEIR_SECRET_ACCESS_KEY="any")


def test_every_shell_gets_its_completions(said):
    for shell in ("bash", "zsh", "fish"):
        assert "redrive" in said("completions", shell)


def test_the_configuration_is_shown_with_its_origins(cli, said, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text('region = "eu-west-1"\n[http]\nbody_timeout = "30s"\n')
    shown = said("config", "show", "--config", file, "--memory", "--json", WEIR_HTTP_HEADERS_MAX="64")
    origins = {row["key"]: (row["value"], row["origin"]["kind"]) for row in json.loads(shown)}
    assert origins["region"] == ("eu-west-1", "file")
    assert origins["memory"] == (True, "flag")
    assert origins["http.headers_max"] == (64, "environment")
    assert origins["listen"] == ("127.0.0.1:9324", "default")
    assert said("config", "check", file) == f"{file} is in order\n"
    unsafe = cli("config", "check", file, "--listen", "0.0.0.0:9324")
    assert unsafe.returncode == USAGE and "no keys are configured" in unsafe.stderr
    assert said("config", "check", file, "--listen", "0.0.0.0:9324", "--insecure") == f"{file} is in order\n"
    file.write_text("[http]\nbody_timeouts = 3\n")
    wrong = cli("config", "check", file)
    assert wrong.returncode == USAGE
    assert wrong.stderr == (
        f"error: {file}:2: there is no key http.body_timeouts; did you mean http.body_timeout?\n"
    )


def test_a_server_is_configured_by_a_file(own_weir, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text('public_url = "https://queues.example.com"\n[compat]\nenforce = "aws"\n')
    weir = own_weir("--config", str(file))
    url = weir.sqs().create_queue(QueueName="public")["QueueUrl"]
    assert url == "https://queues.example.com/000000000000/public"


def test_a_wrong_configuration_keeps_the_server_from_starting(tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text('[storage]\noverlay = "1MiB"\n')
    done = subprocess.run(
        [BINARY, "serve", "--config", file, "--data-dir", tmp_path / "data"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == USAGE
    assert "storage.overlay must be between 16MiB and 1TiB" in done.stderr
    assert not (tmp_path / "data").exists()


KEYS = """
[[keys]]
id = "ops"
secret = "0123456789abcdef-ops"
role = "admin"

[[keys]]
id = "mail"
secret = "0123456789abcdef-mail"
role = "write"

[[keys]]
id = "stranger"
secret = "0123456789abcdef-stranger"
namespace = "000000000007"
role = "admin"
"""


def test_with_keys_every_command_must_be_signed_by_one_that_may(own_weir, cli, tmp_path):
    denied = 7
    file = tmp_path / "weir.toml"
    file.write_text(KEYS)
    weir = own_weir("--config", str(file))

    def run(key, *arguments, secret=None):
        environment = {"WEIR_URL": weir.url}
        if key is not None:
            environment |= {"WEIR_ACCESS_KEY_ID": key, "WEIR_SECRET_ACCESS_KEY": secret or f"0123456789abcdef-{key}"}
        return cli(*arguments, **environment)

    assert run("ops", "queue", "create", "jobs").returncode == 0
    assert run("mail", "send", "jobs", "hello").returncode == 0
    assert run("mail", "receive", "jobs", "--body", "--delete").stdout == "hello\n"
    refused = run("mail", "queue", "delete", "jobs", "--yes")
    assert refused.returncode == denied and "its role must be admin" in refused.stderr
    unsigned = run(None, "queue", "list")
    assert unsigned.returncode == denied and "WEIR_ACCESS_KEY_ID" in unsigned.stderr
    assert run("mail", "queue", "list", secret="0123456789abcdef-wrong").returncode == denied
    assert run("nobody", "queue", "list").returncode == denied
    assert run("stranger", "queue", "list", "--names").stdout == ""
    assert run("stranger", "send", "jobs", "x").returncode == NOT_FOUND
    assert run("mail", "store", "backup", tmp_path / "copy").returncode == denied
    assert run("ops", "store", "backup", tmp_path / "copy").returncode == 0


class TestRedrive:
    @pytest.fixture
    def letters(self, sqs, make_queue):
        """A dead-letter queue with six dead letters of two kinds, and their source."""
        dead = make_queue("cli-dead")
        policy = json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 1})
        source = make_queue("cli-source", VisibilityTimeout=0, RedrivePolicy=policy)
        for n in range(6):
            kind = {"DataType": "String", "StringValue": "mail" if n % 2 else "sms"}
            send(sqs, source, json.dumps({"n": n}), MessageAttributes={"kind": kind})
        while counts(sqs, source)[0]:
            sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10)
        assert counts(sqs, dead)[0] == 6
        return dead, source

    def test_a_dry_run_counts_and_moves_nothing(self, said, sqs, letters):
        dead, _ = letters
        found = json.loads(
            said("redrive", name_of(dead), "--dry-run", "--filter", 'attributes.kind = "mail"', "--json")
        )
        assert (found["examined"], found["matched"], found["moved"]) == (6, 3, 0)
        assert counts(sqs, dead)[0] == 6

    def test_a_filter_moves_what_it_picks_at_a_rate(self, said, sqs, letters):
        dead, source = letters
        words = 'attributes.kind = "mail" and body.json.n > 1'
        found = json.loads(said("redrive", name_of(dead), "--filter", words, "--rate", "100/s", "--json"))
        assert (found["matched"], found["moved"]) == (2, 2)
        assert (counts(sqs, dead)[0], counts(sqs, source)[0]) == (4, 2)

    def test_without_a_filter_everything_goes_back(self, said, sqs, letters):
        dead, source = letters
        said("redrive", name_of(dead))
        assert (counts(sqs, dead)[0], counts(sqs, source)[0]) == (0, 6)
