"""`weir work`: scripts as workers, and what becomes of them when anything dies."""

import os
import pathlib
import signal
import subprocess
import uuid

import pytest

from native import Native
from weir_process import BINARY, Weir, eventually


class Worker:
    """`weir work` in a process of its own."""

    def __init__(self, weir, queue, command, *options):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("WEIR_", "AWS_"))}
        self.process = subprocess.Popen(
            [BINARY, "work", queue, *options, "--", *command],
            env=environment | {"WEIR_URL": weir.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self):
        """Asks it to end; what it wrote."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=60)


@pytest.fixture
def native(weir):
    client = Native(weir.port)
    yield client
    client.close()


@pytest.fixture
def queue(native):
    name = f"work-{uuid.uuid4().hex[:12]}"
    native.put(f"/v1/queues/{name}", retry={"attempts_max": 2, "backoff": {"fixed_ms": 0}})
    return name


@pytest.fixture
def work(weir):
    """Starts workers, and ends those that are left."""
    started = []

    def start(queue, script, *options):
        started.append(Worker(weir, queue, ["sh", "-c", script], *options))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def add(native, queue, *jobs):
    return [job["id"] for job in native.post(f"/v1/queues/{queue}/jobs", jobs=list(jobs))["jobs"]]


def finished(native, queue, id):
    job = native.get(f"/v1/queues/{queue}/jobs/{id}?wait=30")
    assert job["state"] in ("completed", "failed"), job
    return job


def marked(mark, script):
    """The script in a shell that has `mark` in its environment from its start, as all that it starts has."""
    return f"exec env MARK={mark} sh -c '{script}'"


def marked_with(mark):
    """Processes that have `mark` in their environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in environment:
                found.append(int(entry.name))
    return found


def test_a_script_reads_its_job_and_prints_the_result(native, queue, work):
    script = """
        read -r data
        echo "weir:progress {\\"half\\": true}" >&2
        echo "$WEIR_JOB_NAME of $WEIR_ATTRIBUTE_CUSTOMER_ID" >&2
        echo "{\\"got\\": $data, \\"attempt\\": $WEIR_JOB_ATTEMPT, \\"queue\\": \\"$WEIR_QUEUE\\"}"
    """
    worker = work(queue, script)
    [id] = add(native, queue, {"name": "hello", "data": {"n": [1, 2]}, "attributes": {"customer-id": "ada"}})
    job = finished(native, queue, id)
    assert job["result"] == {"got": {"n": [1, 2]}, "attempt": 1, "queue": queue}
    assert job["progress"] == {"half": True}
    assert native.get(f"/v1/queues/{queue}/jobs/{id}/logs")["lines"] == ["hello of ada"]
    assert "1 completed, 0 failed" in worker.end()


def test_what_is_no_json_is_a_text(native, queue, work):
    work(queue, "cat; echo; echo done")
    ids = add(native, queue, {"data": "quoted"}, {"data": None})
    assert [finished(native, queue, id)["result"] for id in ids] == ['"quoted"\ndone', "null\ndone"]


def test_exit_codes_retry_fail_and_give_back(native, queue, work, tmp_path):
    script = f"""
        read -r code
        echo "attempt $WEIR_JOB_ATTEMPT" >&2
        if [ "$code" = 75 ]; then mkdir {tmp_path}/once || exit 0; fi
        exit "$code"
    """
    work(queue, script, "--concurrency", "3")
    again, fatal, later = add(native, queue, {"data": 3}, {"data": 65}, {"data": 75})
    job = finished(native, queue, again)
    assert (job["state"], job["failures"]) == ("failed", 2)
    error = {"message": "the process ended with code 3", "exit_code": 3, "signal": None}
    assert [attempt["error"] for attempt in job["history"]] == [
        error | {"stderr": "attempt 1"},
        error | {"stderr": "attempt 2"},
    ]
    assert finished(native, queue, fatal)["failures"] == 1
    job = finished(native, queue, later)
    assert (job["state"], job["failures"]) == ("completed", 0)


def test_a_timeout_ends_all_that_a_process_started(native, queue, work, tmp_path):
    mark = uuid.uuid4().hex
    # The child of the shell holds its output open and does not hear of SIGTERM.
    script = marked(mark, 'sh -c "trap : TERM; while :; do sleep 1; done" & wait')
    work(queue, script, "--timeout", "200ms", "--grace", "100ms")
    [id] = add(native, queue, {"data": None, "retry": {"attempts_max": 1}})
    job = finished(native, queue, id)
    assert job["history"][0]["error"]["message"] == "the process took too long and was ended"
    eventually(lambda: not marked_with(mark), "nothing of it is left")


def test_a_cancelled_job_ends_its_process(native, queue, work):
    mark = uuid.uuid4().hex
    work(queue, marked(mark, "sleep 1000 & wait"), "--lease", "300ms", "--grace", "100ms")
    [id] = add(native, queue, {"data": None})
    eventually(lambda: marked_with(mark), "it runs")
    native.post(f"/v1/queues/{queue}/jobs/{id}/cancel")
    job = finished(native, queue, id)
    assert job["failed"] == "cancelled"
    eventually(lambda: not marked_with(mark), "nothing of it is left")


def test_a_killed_worker_leaves_no_process_and_loses_no_job(native, queue, work):
    mark = uuid.uuid4().hex
    # One stays in its group, one leaves it.
    script = marked(mark, "sleep 1000 & setsid sleep 1000 & wait")
    worker = work(queue, script, "--lease", "500ms", "--grace", "100ms")
    [id] = add(native, queue, {"data": 1})
    eventually(lambda: len(marked_with(mark)) == 3, "all of it runs")
    worker.kill()
    eventually(lambda: not marked_with(mark), "nothing of it is left")
    work(queue, "cat")
    job = finished(native, queue, id)
    assert (job["state"], job["failures"], job["stalls"]) == ("completed", 0, 1)


def test_the_end_of_a_worker_waits_for_what_runs(native, queue, work, tmp_path):
    go, begun = tmp_path / "go", tmp_path / "begun"
    worker = work(queue, f"touch {begun}; while ! [ -e {go} ]; do sleep 0.02; done; echo 5")
    [id] = add(native, queue, {"data": 1})
    eventually(begun.exists, "it has begun")
    worker.process.send_signal(signal.SIGTERM)
    [other] = add(native, queue, {"data": 2})
    go.touch()
    _, said = worker.process.communicate(timeout=60)
    assert worker.process.returncode == 0, said
    assert finished(native, queue, id)["result"] == 5
    assert native.get(f"/v1/queues/{queue}/jobs/{other}")["state"] == "ready"


def test_what_does_not_end_in_time_goes_back(native, queue, work, tmp_path):
    begun = tmp_path / "begun"
    worker = work(queue, f"touch {begun}; exec sleep 1000", "--drain", "0s", "--grace", "100ms")
    [id] = add(native, queue, {"data": 1})
    eventually(begun.exists, "it has begun")
    assert "1 given back" in worker.end()
    job = native.get(f"/v1/queues/{queue}/jobs/{id}")
    assert (job["state"], job["failures"], job["stalls"]) == ("ready", 0, 0)


def test_a_batch_is_answered_line_by_line(native, queue, work):
    program = """
import json, os, sys
jobs = [json.loads(line) for line in sys.stdin]
assert len(jobs) == int(os.environ["WEIR_BATCH"])
for job in jobs:
    if job["data"] == 3:
        print(json.dumps({"id": job["id"], "error": "three", "retry": False}))
    elif job["data"] != 4:
        print(json.dumps({"id": job["id"], "result": job["data"] * 2}))
"""
    ids = add(native, queue, *({"data": n} for n in range(25)))
    work(queue, f"exec python3 -c '{program}'", "--batch", "10")
    results = [finished(native, queue, id) for id in ids]
    assert [job.get("result") for job in results] == [None if n in (3, 4) else 2 * n for n in range(25)]
    assert [job["state"] for job in results].count("completed") == 24
    assert results[3]["history"][0]["error"] == {"message": "three"}


def test_many_jobs_go_through_a_script_while_everything_is_killed(tmp_path):
    """Kills of the server, of workers and of their processes; nothing is lost and nothing is left."""
    count = int(os.environ.get("WEIR_PROCESS_JOBS", "1000"))
    mark, ledger = uuid.uuid4().hex, tmp_path / "ledger"
    ledger.touch()
    script = marked(mark, f"read -r n; echo $n >> {ledger}; echo $n")
    server = Weir(tmp_path / "data").start()
    # The same port again after a kill, as for any server.
    server.listen = f"127.0.0.1:{server.port}"
    workers = []

    def start():
        worker = Worker(server, "many", ["sh", "-c", script], "-c", "4", "--lease", "1s")
        workers.append(worker)
        return worker

    try:
        client = Native(server.port)
        # A process that is killed has failed an attempt; a worker that is killed is a stall for each of its jobs.
        client.put("/v1/queues/many", retry={"attempts_max": 50, "backoff": {"fixed_ms": 0}}, stalls_max=50,
                   keep_completed={"count": count})
        for first in range(0, count, 500):
            jobs = [{"data": n, "custom_id": f"job-{n}"} for n in range(first, min(first + 500, count))]
            client.post("/v1/queues/many/jobs", jobs=jobs)
        client.close()
        first = start()
        start()
        done = lambda: len(set(ledger.read_text().split()))
        eventually(lambda: done() > count // 5, "some are done", patience=300)
        first.kill()
        start()
        for pid in eventually(lambda: marked_with(mark), "a process runs")[:2]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        eventually(lambda: done() > count // 2, "half of them are done", patience=300)
        server.kill()
        server.start()
        client = Native(server.port)

        def completed():
            counters = client.get("/v1/queues/many")["counters"]
            return counters["completed"] == count and counters

        counters = eventually(completed, "all are done", patience=300)
        assert counters["failed"] == 0
        client.close()
        for worker in workers[1:]:
            worker.end()
        assert {int(n) for n in ledger.read_text().split()} == set(range(count))
        eventually(lambda: not marked_with(mark), "no process is left")
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.kill()
        server.end()


def test_a_command_that_is_not_there_is_refused_before_a_job_is_taken(cli, queue):
    done = cli("work", queue, "--", "no-such-command")
    assert done.returncode == 1
    assert "cannot run no-such-command: no folder of PATH has it" in done.stderr


def test_a_queue_that_is_not_there_is_an_error(cli):
    done = cli("work", "no-such-queue", "--", "true")
    assert done.returncode == 6
    assert "queue.not_found" in done.stderr
