"""Jobs and limiters from the command line, against a running server and with workers of the native API."""

import json
import re
import subprocess

import pytest

from native_words import JobQueue, Native
from weir_process import BINARY, PATIENCE_SECONDS, eventually

FAILED, USAGE, NOT_FOUND, DENIED, LATE = 1, 2, 6, 7, 10


@pytest.fixture
def started(weir):
    """Starts a command and leaves it running; ended with the test."""
    running = []

    def start(*arguments, url=weir.url):
        command = [BINARY, *map(str, arguments), "--url", url]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_SECONDS)


def leased(jobs):
    """The next job, once there is one."""
    [job] = jobs.lease(wait_ms=PATIENCE_SECONDS * 1_000)
    return job


def test_a_job_goes_through_from_add_to_result(said, jobs):
    data = '{"to": "ada@example.com", "n": 1}'
    id = said("job", "add", jobs.name, "--name", "welcome", "--data", data, "--priority", 2, "-a", "plan=free").strip()
    job = leased(jobs)
    assert (job["id"], job["name"], job["data"], job["priority"]) == (id, "welcome", json.loads(data), 2)
    assert job["attributes"] == {"plan": "free"}
    jobs.complete(job, result={"sent": True})
    assert json.loads(said("job", "get", jobs.name, id, "--result")) == {"sent": True}
    shown = said("job", "get", jobs.name, id)
    assert re.search(r"^state +completed$", shown, re.M) and re.search(r"^attribute plan +free$", shown, re.M)
    assert json.loads(said("job", "get", jobs.name, id, "--json"))["state"] == "completed"


def test_add_waits_for_the_result(started, jobs):
    waiting = started("job", "add", jobs.name, "--wait", "30s")
    jobs.complete(leased(jobs), result=[1, 2])
    assert waiting.communicate(timeout=PATIENCE_SECONDS) == ("[1, 2]\n", "")
    assert waiting.returncode == 0


def test_waiting_fails_as_the_job_does(started, cli, jobs):
    waiting = started("job", "add", jobs.name, "--wait", "30s", "--attempts", "1")
    jobs.fail(leased(jobs), error="no such mailbox")
    out, err = waiting.communicate(timeout=PATIENCE_SECONDS)
    assert (waiting.returncode, out) == (FAILED, "") and err.endswith("failed (reported): no such mailbox\n")
    [id] = jobs.add({})
    late = cli("job", "get", jobs.name, id, "--wait", "10ms")
    assert late.returncode == LATE and "it is ready" in late.stderr


def test_a_job_of_an_id_is_added_once(cli, said, jobs):
    first = said("job", "add", jobs.name, "--id", "order 7/ü")
    again = cli("job", "add", jobs.name, "--id", "order 7/ü")
    assert (again.returncode, again.stdout) == (0, first)
    assert again.stderr == f"nothing was added: job {first.strip()} is there already\n"
    assert json.loads(said("job", "get", jobs.name, "order 7/ü", "--json"))["id"] == first.strip()


def test_lines_become_jobs(said, jobs):
    lines = "".join(f'{{"n": {n}}}\n' for n in range(2_345))
    assert said("job", "add", jobs.name, "--lines", "--name", "n", input=lines) == "added 2345 jobs\n"
    assert jobs.counters()["ready"] == 2_345
    whole = '{"data": 1, "priority": 9}\n{"name": "own", "custom_id": "x"}\n{"custom_id": "x"}\n'
    told = said("job", "add", jobs.name, "--json-lines", "--name", "default", "--delay", "1h", input=whole)
    assert told == "added 2 jobs; 1 were there already\n"
    names = [job.get("name") for job in jobs.list(states="delayed")["jobs"]]
    assert sorted(names) == ["default", "own"]


def test_a_refused_line_is_named(cli, jobs):
    done = cli("job", "add", jobs.name, "--json-lines", input='{"data": 1}\n{"priority": -1}\n')
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert done.stderr.startswith("error: line 2 is refused, and with it the batch from line 1: jobs[1].priority")
    assert jobs.counters()["ready"] == 0


def test_lines_are_added_once_though_the_server_is_killed_among_them(own_weir, started, tmp_path):
    weir = own_weir()
    jobs = JobQueue(Native(weir), "bulk")
    jobs.native.put(jobs.path)
    adding = started("job", "add", "bulk", "--lines", url=weir.url)
    adding.stdin.write("1\n" * 1_001)
    adding.stdin.flush()
    eventually(lambda: jobs.counters()["ready"] >= 1_000, "the first batch is added")
    weir.kill()
    adding.stdin.write("2\n" * 1_500)
    adding.stdin.close()
    weir.listen = f"127.0.0.1:{weir.port}"
    weir.start()
    adding.stdin = None
    out, err = adding.communicate(timeout=2 * PATIENCE_SECONDS)
    assert (adding.returncode, out) == (0, "added 2501 jobs\n"), err
    assert JobQueue(Native(weir), "bulk").counters()["ready"] == 2_501


def test_jobs_are_listed_by_state_name_and_filter(cli, said, jobs):
    jobs.add({"name": "a", "data": {"n": 1}}, {"name": "b", "data": {"n": 2}}, {"name": "b", "delay_ms": 3_600_000})
    heading, *rows = said("job", "list", jobs.name).splitlines()
    assert heading.split() == ["ID", "STATE", "NAME", "PRIORITY", "LEASES", "ADDED", "DUE", "DATA"]
    assert sorted(row.split()[1] for row in rows) == ["delayed", "ready", "ready"]
    assert len(said("job", "list", jobs.name, "--name", "b", "--ids").splitlines()) == 2
    [found] = said("job", "list", jobs.name, "--state", "ready", "--filter", "body.json.n > 1", "--json").splitlines()
    found = json.loads(found)
    assert (found["data"], found["failures"]) == ({"n": 2}, 0)
    first = cli("job", "list", jobs.name, "--limit", "1")
    assert len(first.stdout.splitlines()) == 2 and "--limit or --all shows more" in first.stderr
    wrong = cli("job", "list", jobs.name, "--filter", "receives > many")
    assert wrong.returncode == USAGE and "--filter: at character 12" in wrong.stderr


def test_all_pages_are_listed_if_asked(said, jobs):
    ids = jobs.add(*[{}] * 600)
    assert said("job", "list", jobs.name, "--all", "--ids").split() == ids


def test_jobs_are_promoted_cancelled_retried_set_and_removed_by_id(cli, said, jobs):
    [id] = jobs.add({"delay_ms": 3_600_000})
    assert said("job", "set", jobs.name, id, "--priority", "3") == f"changed {id}\n"
    assert said("job", "promote", jobs.name, id) == f"promoted {id}\n"
    assert (jobs.job(id)["state"], jobs.job(id)["priority"]) == ("ready", 3)
    assert said("job", "cancel", jobs.name, id) == f"cancelled {id}\n"
    assert jobs.job(id)["failed"] == "cancelled"
    assert said("job", "retry", jobs.name, id) == f"retried {id}\n"
    assert jobs.job(id)["state"] == "ready"
    assert said("job", "set", jobs.name, id, "--data", '"new"') == f"changed {id}\n"
    assert jobs.job(id)["data"] == "new"
    assert said("job", "remove", jobs.name, id) == f"removed {id}\n"
    gone = cli("job", "remove", jobs.name, id)
    assert gone.returncode == NOT_FOUND and "job.not_found" in gone.stderr


def test_many_jobs_are_changed_by_what_they_have(cli, said, jobs):
    jobs.add(*({"data": {"n": n}} for n in range(20)))
    refused = cli("job", "cancel", jobs.name, "--all")
    assert refused.returncode == USAGE and "--yes" in refused.stderr
    picked = ["--all", "--filter", "body.json.n >= 15"]
    assert said("job", "cancel", jobs.name, *picked, "--dry-run") == "would cancel 5 jobs of 20\n"
    assert jobs.counters()["failed"] == 0
    assert said("job", "cancel", jobs.name, *picked, "--yes") == "cancelled 5 jobs of 20 that were looked at\n"
    done = json.loads(said("job", "retry", jobs.name, "--all", "--state", "failed", "--max", "2", "--yes", "--json"))
    assert (done["changed"], done["dry_run"]) == (2, False)
    assert (jobs.counters()["ready"], jobs.counters()["failed"]) == (17, 3)


def test_it_is_explained_why_a_job_waits(said, jobs):
    [delayed] = jobs.add({"delay_ms": 3_600_000})
    told = said("job", "explain", jobs.name, delayed)
    assert told.startswith(f"Job {delayed} is delayed:\n  - its delay or backoff has not ended, until 2")
    assert "It does not run before 2" in told and re.search(r"\(in (1h|59m[0-9]+s)\)", told)
    [ready] = jobs.add({})
    said("queue", "pause", jobs.name)
    assert "  - the queue is paused\n" in said("job", "explain", jobs.name, ready)
    explained = json.loads(said("job", "explain", jobs.name, ready, "--json"))
    assert "queue_paused" in [hold["by"] for hold in explained["holds"]]
    said("queue", "resume", jobs.name)


def test_a_log_is_followed_until_the_job_has_finished(started, said, jobs):
    [id] = jobs.add({})
    job = leased(jobs)
    jobs.settle({"lease": job["lease"], "action": "extend", "logs": ["one", "two \x1b[31m"]})
    assert said("job", "logs", jobs.name, id) == "one\ntwo \\u{1b}[31m\n"
    following = started("job", "logs", jobs.name, id, "--follow")
    # All that is printed by now is read here: what a line of it leaves in the reader's buffer would be lost below.
    assert [following.stdout.readline() for _ in range(2)] == ["one\n", "two \\u{1b}[31m\n"]
    jobs.settle({"lease": job["lease"], "action": "extend", "logs": ["three"]})
    jobs.complete(job)
    out, err = following.communicate(timeout=PATIENCE_SECONDS)
    assert (following.returncode, out) == (0, "three\n"), err


def test_what_happens_to_jobs_is_watched(started, jobs):
    watching = started("job", "watch", jobs.name, "-n", "2", "--type", "started,completed", "--json")

    def sees():
        # It may not have been there yet when the job came.
        jobs.add({})
        jobs.complete(leased(jobs), result="done")
        return watching.poll() is not None

    eventually(sees, "two events are seen")
    out, err = watching.communicate(timeout=PATIENCE_SECONDS)
    first, second = map(json.loads, out.splitlines())
    assert (watching.returncode, err) == (0, "")
    assert first["type"] == "started" or second["type"] == "started"
    assert first["queue"] == jobs.name and first["event_id"] != second["event_id"]


def test_queues_are_paused_drained_and_cleaned(said, jobs):
    [first, *_] = jobs.add({}, {}, {"delay_ms": 3_600_000})
    assert said("queue", "pause", jobs.name) == f"paused {jobs.name}\n"
    assert jobs.lease() == []
    assert re.search(r"^paused +until it is resumed$", said("queue", "show", jobs.name), re.M)
    assert said("queue", "resume", jobs.name) == f"resumed {jobs.name}\n"
    said("job", "cancel", jobs.name, first)
    assert said("queue", "drain", jobs.name, "--dry-run") == "would remove 1 job of 1\n"
    assert said("queue", "drain", jobs.name, "--yes") == "removed 1 job of 1 that were looked at\n"
    assert said("queue", "clean", jobs.name, "--older-than", "1d", "--yes").startswith("removed 0 jobs")
    assert said("queue", "clean", jobs.name, "--yes") == "removed 1 job of 1 that were looked at\n"
    counters = jobs.counters()
    assert (counters["ready"], counters["delayed"], counters["failed"]) == (0, 1, 0)


def test_a_queue_has_settings_for_jobs(said):
    url = said(
        *("queue", "create", "cli-settings", "--visibility", "1m", "--attempts", "5", "--backoff", "1s,1m"),
        *("--keep-failed", "1h,10", "--timeout", "5m", "--limiter", "mail:key=data.customer", "--tag", "team=mail"),
    )
    assert url.endswith("/cli-settings\n")
    shown = json.loads(said("queue", "show", "cli-settings", "--json"))
    assert shown["retry"]["attempts_max"] == 5 and shown["retry"]["backoff"] == {"list_ms": [1_000, 60_000]}
    assert shown["keep_failed"] == {"age_ms": 3_600_000, "count": 10}
    assert (shown["timeout_ms"], shown["visibility_s"], shown["tags"]) == (300_000, 60, {"team": "mail"})
    assert shown["limiters"] == [{"limiter": "mail", "key": "data.customer"}]
    said("queue", "set", "cli-settings", "--timeout", "none", "--no-limiters")
    told = said("queue", "show", "cli-settings")
    assert "timeout" not in told and not re.search("^limiter ", told, re.M)
    assert re.search("^failed kept +for 1h, the last 10$", told, re.M)
    assert re.search("^tried again +after 1s, 1m", told, re.M)
    said("queue", "delete", "cli-settings", "--yes")


def test_a_limiter_is_put_shown_and_deleted(cli, said):
    put = ["limiter", "put", "cli-mail", "--max", "50", "--per", "10s", "--max", "1000units", "--per", "1m"]
    told = said(*put, "--concurrency", "4", "--reserve", "20%:0")
    assert told == "created cli-mail: 50 per 10s, 1000 units per 1m; 4 at once; 20% for priority 0\n"
    assert said(*put) == "changed cli-mail: 50 per 10s, 1000 units per 1m\n"
    assert "cli-mail" in said("limiter", "list", "--names").splitlines()
    shown = said("limiter", "get", "cli-mail")
    assert re.search(r"^window +50 per 10s: 0 now$", shown, re.M) and re.search(r"^next start +now$", shown, re.M)
    assert json.loads(said("limiter", "get", "cli-mail", "--json"))["limiter"]["version"] == 2
    assert said("limiter", "delete", "cli-mail") == "deleted cli-mail\n"
    assert cli("limiter", "get", "cli-mail").returncode == NOT_FOUND
    wrong = cli("limiter", "put", "cli-mail", "--max", "0", "--per", "1s")
    assert wrong.returncode == FAILED and "limiter.out_of_range" in wrong.stderr


def test_permits_are_taken_and_settled_and_keys_paused(cli, said):
    said("limiter", "put", "cli-permits", "--concurrency", "1")
    permit = said("limiter", "acquire", "cli-permits", "--key", "ada").strip()
    full = cli("limiter", "acquire", "cli-permits", "--key", "ada")
    assert (full.returncode, full.stdout) == (LATE, "") and "as many run as may" in full.stderr
    assert said("limiter", "settle", "cli-permits", permit) == f"settled {permit}\n"
    assert cli("limiter", "settle", "cli-permits", permit).returncode == NOT_FOUND
    said("limiter", "pause", "cli-permits", "ada", "--for", "1h")
    paused = cli("limiter", "acquire", "cli-permits", "--key", "ada", "--wait", "10ms")
    assert paused.returncode == LATE and "it is paused, until 2" in paused.stderr
    said("limiter", "resume", "cli-permits", "ada")
    said("limiter", "acquire", "cli-permits", "--key", "ada")
    assert said("limiter", "pause", "cli-permits", "--for", "1h") == "paused cli-permits for 1h\n"
    assert "it is paused" in cli("limiter", "acquire", "cli-permits").stderr
    assert said("limiter", "resume", "cli-permits") == "resumed cli-permits\n"
    said("limiter", "acquire", "cli-permits")
    said("limiter", "delete", "cli-permits")


KEYS = """
[[keys]]
id = "ops"
secret = "0123456789abcdef-ops"
role = "admin"

[[keys]]
id = "mail"
secret = "0123456789abcdef-mail"
role = "write"
"""


def test_requests_are_signed_with_their_queries_and_odd_names(own_weir, cli, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text(KEYS)
    weir = own_weir("--config", str(file))

    def run(key, *arguments):
        environment = {"WEIR_ACCESS_KEY_ID": key, "WEIR_SECRET_ACCESS_KEY": f"0123456789abcdef-{key}"}
        return cli(*arguments, WEIR_URL=weir.url, **environment)

    name = "eu:mail/größe 1"
    made = run("ops", "queue", "create", name, "--attempts", "2")
    assert (made.returncode, made.stdout) == (0, f"{name}\n"), made.stderr
    added = run("mail", "job", "add", name, "--id", "a b/c+d")
    assert added.returncode == 0, added.stderr
    listed = run("mail", "job", "list", name, "--filter", 'not body contains "+ &=%"', "--ids")
    assert listed.stdout == added.stdout, listed.stderr
    assert run("mail", "job", "get", name, "a b/c+d", "--json").returncode == 0
    assert run("mail", "job", "remove", name, "a b/c+d").returncode == 0
    denied = run("mail", "queue", "pause", name)
    assert denied.returncode == DENIED and "its role must be admin" in denied.stderr
