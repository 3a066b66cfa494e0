"""Functions with a command behind them, whose processes the server runs."""

import base64
import json
import os
import signal
import threading

import pytest

from native_words import Native, Problem
from weir_process import Weir, eventually


@pytest.fixture(scope="module")
def calling(tmp_path_factory):
    """A server that may run commands."""
    with Weir(tmp_path_factory.mktemp("commands") / "data", "--functions-allow-commands") as server:
        yield server


@pytest.fixture(scope="module")
def api(calling):
    return Native(calling)


def shell(script):
    return {"command": ["sh", "-c", script]}


def gone(pid):
    """Whether there is no such process any more, or nothing but its exit code that nobody has asked for."""
    try:
        with open(f"/proc/{pid.strip()}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def ended(api, queue, job):
    """A job, once it has ended."""
    job = api.get(f"/v1/queues/{queue}/jobs/{job}")
    return job if job["state"] in ("completed", "failed") else None


def failure(api, name, job):
    with pytest.raises(Problem) as refused:
        api.post(f"/v1/functions/{name}/call", job)
    assert refused.value.code == "function.failed"
    return refused.value.answer


def test_a_process_answers_a_call(api):
    name = "doubles"
    api.put(f"/v1/functions/{name}", shell('read n; echo "logged" >&2; echo "{\\"doubled\\": $((2 * n))}"'))
    assert api.get(f"/v1/functions/{name}")["behind"] == "command"
    answer = api.post(f"/v1/functions/{name}/call", {"data": 21})
    assert answer["result"] == {"doubled": 42}
    assert api.get(f"/v1/queues/{name}/jobs/{answer['id']}/logs")["lines"] == ["logged"]


def test_a_process_knows_its_call_by_its_environment(api):
    name = "tells"
    script = 'echo "\\"$WEIR_QUEUE $WEIR_JOB_ID $WEIR_JOB_NAME $WEIR_JOB_ATTEMPT $WEIR_ATTRIBUTE_TENANT_ID\\""'
    api.put(f"/v1/functions/{name}", shell(script))
    answer = api.post(f"/v1/functions/{name}/call", {"name": "once", "attributes": {"tenant-id": "acme"}})
    assert answer["result"] == f"tells {answer['id']} once 1 acme"


def test_an_exit_code_says_what_becomes_of_the_call(api, calling):
    api.put("/v1/functions/fails", shell("echo oh >&2; exit 3"))
    told = failure(api, "fails", {})["error"]
    assert (told["message"], told["exit_code"], told["stderr"]) == ("the process ended with code 3", 3, "oh")
    twice = {"retry": {"attempts_max": 2, "backoff": {"fixed_ms": 0}}}
    assert len(api.get(f"/v1/queues/fails/jobs/{failure(api, 'fails', twice)['job']}")["history"]) == 2
    api.put("/v1/functions/fails", shell("exit 65"))
    assert len(api.get(f"/v1/queues/fails/jobs/{failure(api, 'fails', twice)['job']}")["history"]) == 1
    told = calling.client("lambda").invoke(FunctionName="fails")
    assert told["FunctionError"] == "Unhandled"
    assert json.load(told["Payload"])["errorMessage"] == "the process ended with code 65"


def test_a_process_that_takes_too_long_is_ended_with_all_that_it_started(api, calling, tmp_path):
    pid = tmp_path / "pid"
    api.put("/v1/functions/stalls", shell(f"echo begun >&2; sleep 600 & echo $! > {pid}; wait") | {"timeout_ms": 500})
    told = failure(api, "stalls", {})
    assert told["failure"] == "timed_out"
    eventually(lambda: pid.exists() and gone(pid.read_text()), "what it started ends")
    logs = f"/v1/queues/stalls/jobs/{told['job']}/logs"
    eventually(lambda: api.get(logs)["lines"] == ["begun"], "its log is kept")
    told = calling.client("lambda").invoke(FunctionName="stalls")
    assert told["FunctionError"] == "Unhandled"
    assert json.load(told["Payload"])["errorMessage"] == "Task timed out after 0.50 seconds"


def test_invoke_runs_a_process(api, calling):
    api.put("/v1/functions/adds", shell('read n; echo "working on $n" >&2; echo $((n + 1))'))
    client = calling.client("lambda")
    told = client.invoke(FunctionName="adds", Payload="41", LogType="Tail")
    assert ("FunctionError" in told, json.load(told["Payload"])) == (False, 42)
    assert base64.b64decode(told["LogResult"]).decode().strip() == "working on 41"
    assert client.invoke(FunctionName="adds", Payload="1", InvocationType="Event")["StatusCode"] == 202
    eventually(lambda: api.get("/v1/queues/adds")["counters"]["completed"] == 2, "the event is worked on")
    assert client.invoke(FunctionName="adds", Payload="1", InvocationType="DryRun")["StatusCode"] == 204
    assert client.get_function(FunctionName="adds")["Configuration"]["Timeout"] == 60


def test_what_reads_nothing_and_prints_too_much_ends_and_fails_for_good(api):
    script = "yes oh | head -c 2000000 >&2; yes result | head -c 17000000; exit 0"
    api.put("/v1/functions/floods", shell(script))
    told = failure(api, "floods", {"data": "x" * 1_000_000, "retry": {"attempts_max": 3}})
    assert told["error"]["message"] == "it printed more than a result may have: 16777216 bytes"
    job = api.get(f"/v1/queues/floods/jobs/{told['job']}")
    assert len(job["history"]) == 1
    assert set(api.get(f"/v1/queues/floods/jobs/{told['job']}/logs")["lines"]) == {"oh"}


def test_a_result_of_many_bytes_arrives(api, calling):
    api.put("/v1/functions/writes", shell("head -c 4000000 /dev/zero | tr '\\0' x") | {"concurrency": 8})
    answers = []
    calls = [
        threading.Thread(target=lambda: answers.append(Native(calling).post("/v1/functions/writes/call")["result"]))
        for _ in range(8)
    ]
    for thread in calls:
        thread.start()
    for thread in calls:
        thread.join(60)
    assert [len(answer) for answer in answers] == [4_000_000] * 8


def test_a_process_ends_when_its_call_is_cancelled(api, tmp_path):
    pid = tmp_path / "pid"
    api.put("/v1/functions/cancelled", shell(f"echo $$ > {pid}; exec sleep 600"))
    (added,) = api.post("/v1/functions/cancelled/enqueue")["jobs"]
    eventually(lambda: pid.exists() and pid.read_text().strip(), "the process runs")
    api.post(f"/v1/queues/cancelled/jobs/{added['id']}/cancel")
    eventually(lambda: gone(pid.read_text()), "the process ends")
    job = eventually(lambda: ended(api, "cancelled", added["id"]), "so does the call")
    assert (job["state"], job["failed"]) == ("failed", "cancelled")


def test_a_process_ends_when_its_function_is_deleted(api, tmp_path):
    pid = tmp_path / "pid"
    api.put("/v1/functions/deleted", shell(f"echo $$ > {pid}; exec sleep 600"))
    api.post("/v1/functions/deleted/enqueue")
    eventually(lambda: pid.exists() and pid.read_text().strip(), "the process runs")
    api.delete("/v1/functions/deleted")
    eventually(lambda: gone(pid.read_text()), "the process ends")


def test_a_process_knows_nothing_of_the_settings_of_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIR_SECRET_ACCESS_KEY", "kept to itself")
    monkeypatch.setenv("OF_THE_SERVER", "known")
    with Weir(tmp_path / "data", "--functions-allow-commands") as weir:
        api = Native(weir)
        api.put("/v1/functions/environment", shell('echo "\\"$OF_THE_SERVER$WEIR_SECRET_ACCESS_KEY\\""'))
        assert api.post("/v1/functions/environment/call")["result"] == "known"


def test_limiters_are_those_of_the_function(api, calling, tmp_path):
    gate = tmp_path / "gate"
    api.put("/v1/limiters/narrow-one", {"concurrency": 1})
    settings = {"concurrency": 4, "limiters": [{"limiter": "narrow-one"}]}
    api.put("/v1/functions/limited", shell(f"until test -e {gate}; do sleep 0.05; done; echo 1") | settings)
    for _ in range(3):
        api.post("/v1/functions/limited/enqueue")

    def counters():
        return api.get("/v1/queues/limited")["counters"]

    eventually(lambda: counters()["leased"] == 1, "one runs")
    assert api.get("/v1/functions/limited")["processes"]["in_flight"] == 1
    gate.touch()
    eventually(lambda: counters()["completed"] == 3, "all are done")


def test_no_more_processes_run_than_the_server_allows(tmp_path):
    gate = tmp_path / "gate"
    with Weir(tmp_path / "data", "--functions-allow-commands", "--functions-processes-max", "1") as weir:
        api = Native(weir)
        for name in ("one", "other"):
            api.put(f"/v1/functions/{name}", shell(f"until test -e {gate}; do sleep 0.05; done; echo 1"))
        api.post("/v1/functions/one/enqueue")
        eventually(lambda: api.get("/v1/queues/one")["counters"]["leased"] == 1, "one runs")
        (added,) = api.post("/v1/functions/other/enqueue")["jobs"]
        troubles = eventually(lambda: api.get("/v1/functions/other")["processes"]["last_errors"], "the other cannot")
        assert troubles[0]["error"] == "as many processes run as functions.processes_max allows"
        gate.touch()
        job = api.get(f"/v1/queues/other/jobs/{added['id']}?wait_ms=60000")
        assert (job["state"], job["failures"]) == ("completed", 0)


def test_commands_are_not_run_for_everybody_who_can_reach_the_server(tmp_path):
    weir = Weir(tmp_path / "data", "--functions-allow-commands", "--insecure", listen="0.0.0.0:0").start(wait=False)
    assert weir.process.wait(30) == 2
    assert "functions.allow_commands" in weir.log()


def test_what_runs_may_finish_when_the_server_ends(tmp_path):
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    with Weir(tmp_path / "data", "--functions-allow-commands") as weir:
        api = Native(weir)
        script = f"touch {begun}; until test -e {gate}; do sleep 0.05; done; echo 5"
        api.put("/v1/functions/finishes", shell(script))
        (added,) = api.post("/v1/functions/finishes/enqueue")["jobs"]
        eventually(begun.exists, "the process runs")
        weir.process.terminate()
        eventually(lambda: "ending" in weir.log(), "the server was told to end")
        gate.touch()
        assert weir.process.wait(30) == 0
        weir.start()
        job = Native(weir).get(f"/v1/queues/finishes/jobs/{added['id']}")
        assert (job["state"], job["result"], job["failures"]) == ("completed", 5, 0)


def test_what_does_not_finish_ends_with_the_server_at_no_cost(tmp_path):
    pid = tmp_path / "pid"
    with Weir(tmp_path / "data", "--functions-allow-commands", "--http-stop-timeout", "1s") as weir:
        api = Native(weir)
        api.put("/v1/functions/lasting", shell(f"echo $$ > {pid}; exec sleep 600"))
        (added,) = api.post("/v1/functions/lasting/enqueue")["jobs"]
        eventually(lambda: pid.exists() and pid.read_text().strip(), "the process runs")
        first = pid.read_text()
        assert weir.end() == 0
        assert gone(first), "a process outlived its server"
        weir.start()
        api = Native(weir)
        eventually(lambda: pid.read_text() not in ("", first), "it is run again")
        job = api.get(f"/v1/queues/lasting/jobs/{added['id']}")
        assert (job["state"], job["failures"], job["stalls"]) == ("leased", 0, 0)


def test_no_more_processes_run_than_the_function_allows(api, calling, tmp_path):
    gate = tmp_path / "gate"
    script = f"until test -e {gate}; do sleep 0.05; done; echo 1"
    api.put("/v1/functions/narrow", shell(script) | {"concurrency": 2})

    def call():
        Native(calling).post("/v1/functions/narrow/call")

    calls = [threading.Thread(target=call) for _ in range(5)]
    for thread in calls:
        thread.start()

    def counters():
        return api.get("/v1/queues/narrow")["counters"]

    eventually(lambda: (counters()["leased"], counters()["ready"]) == (2, 3), "two run and three wait")
    gate.touch()
    for thread in calls:
        thread.join(60)
    assert counters()["completed"] == 5


def test_processes_end_with_their_server_and_the_call_is_made_again(tmp_path):
    started = tmp_path / "started"
    script = f"echo $$ >> {started}; test -e {tmp_path}/go && echo 7 || sleep 600"
    with Weir(tmp_path / "data", "--functions-allow-commands") as weir:
        api = Native(weir)
        api.put("/v1/functions/lasting", shell(script))
        (added,) = api.post("/v1/functions/lasting/enqueue")["jobs"]
        eventually(lambda: started.exists() and started.read_text(), "the process runs")
        weir.kill()
        first = started.read_text().split()[0]
        eventually(lambda: gone(first), "the process ends")
        (tmp_path / "go").touch()
        weir.start()
        job = Native(weir).get(f"/v1/queues/lasting/jobs/{added['id']}?wait_ms=90000")
        assert (job["state"], job["result"]) == ("completed", 7)


def guardian(weir):
    """The guardian of a server's processes, if there is one."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline") as words:
                parent = int(stat.read().rpartition(")")[2].split()[1])
                if parent == weir.process.pid and "work-guardian" in words.read():
                    return int(entry)
        except (FileNotFoundError, ProcessLookupError):
            pass


def test_a_guardian_that_is_killed_is_replaced_and_guards_what_ran_before(tmp_path):
    started = tmp_path / "started"
    with Weir(tmp_path / "data", "--functions-allow-commands") as weir:
        api = Native(weir)
        api.put("/v1/functions/lasting", shell(f"echo $$ >> {started}; exec sleep 600"))
        api.put("/v1/functions/quick", shell("echo 3"))
        api.post("/v1/functions/lasting/enqueue")
        eventually(lambda: started.exists() and started.read_text(), "the process runs")
        for _ in range(3):
            before = guardian(weir)
            os.kill(before, signal.SIGKILL)
            eventually(lambda: guardian(weir) not in (None, before), "there is another")
        assert "the guardian of processes has ended" in weir.log()
        assert api.post("/v1/functions/quick/call")["result"] == 3
        assert not gone(started.read_text().split()[0])
        weir.kill()
        eventually(lambda: gone(started.read_text().split()[0]), "the process ends with its server")


def test_a_server_that_may_run_no_commands_says_so(tmp_path):
    with Weir(tmp_path / "data", "--functions-allow-commands") as weir:
        Native(weir).put("/v1/functions/stored", shell("echo 1"))
    with Weir(tmp_path / "data") as weir:
        api = Native(weir)
        assert api.get("/v1/functions/stored")["behind"] == "command"
        with pytest.raises(Problem) as refused:
            api.put("/v1/functions/other", shell("true"))
        assert "functions.allow_commands" in refused.value.detail and refused.value.field == "command"
        with pytest.raises(Problem) as refused:
            api.post("/v1/functions/stored/call?wait_ms=200")
        assert refused.value.code == "function.timeout"


def test_a_command_that_cannot_be_run_is_refused(api):
    with pytest.raises(Problem) as refused:
        api.put("/v1/functions/nothing", {"command": ["no-such-program"]})
    assert refused.value.detail == "command[0]: cannot run no-such-program: no folder of PATH has it"
