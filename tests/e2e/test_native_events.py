"""What happens to jobs, as server-sent events."""

import http.client
import json
import threading

import pytest

from native_words import JobQueue, Native, Problem
from weir_process import PATIENCE_SECONDS, eventually


class Stream:
    """A stream of events, read one by one."""

    def __init__(self, weir, path, last=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=PATIENCE_SECONDS)
        self.connection.request("GET", path, headers={"Last-Event-ID": last} if last else {})
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["Content-Type"] == "text/event-stream"
        # The preamble comes once the queue is watched.
        assert "retry" in self.block()

    def block(self):
        """The fields up to an empty line."""
        fields = {}
        while line := self.response.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    def next(self):
        """Id, type and data of the next event."""
        while True:
            fields = self.block()
            if "event" in fields:
                return fields.get("id"), fields["event"], json.loads(fields["data"])

    def close(self):
        self.connection.close()


def test_a_life_of_a_job_is_told_and_a_lost_connection_goes_on_where_it_was(weir, jobs, native):
    stream = Stream(weir, f"{jobs.path}/events")
    [id] = jobs.add({"data": 1, "name": "mail", "custom_id": "mail-1"})
    [job] = jobs.lease()
    told = [stream.next() for _ in range(2)]
    stream.close()
    assert [(kind, data["id"], data["queue"]) for _, kind, data in told] == [
        ("added", id, jobs.name),
        ("started", id, jobs.name),
    ]
    assert (told[0][2]["name"], told[0][2]["custom_id"]) == ("mail", "mail-1")
    jobs.settle({"lease": job["lease"], "action": "extend", "progress": {"percent": 50}})
    jobs.complete(job, result={"ok": True})
    stream = Stream(weir, f"{jobs.path}/events", last=told[-1][0])
    _, kind, data = stream.next()
    assert (kind, data["progress"]) == ("progress", {"percent": 50})
    _, kind, data = stream.next()
    assert (kind, data["result"]) == ("completed", {"ok": True})
    native.check(data, {"$ref": "#/components/schemas/JobHappening"}, "event")
    stream.close()


def test_events_of_all_queues_include_those_of_queues_that_come_later(weir, make_jobs):
    old = make_jobs("old")
    stream = Stream(weir, "/v1/events?types=completed,added")
    seen = []

    def read():
        try:
            while True:
                seen.append(stream.next())
        except (OSError, ValueError, AttributeError):
            pass

    # It reads until the server ends the stream.
    threading.Thread(target=read, daemon=True).start()

    def is_told(jobs):
        # A queue that is new is watched once its creation was seen: its first jobs may not be told of.
        [id] = jobs.add({})
        jobs.complete(*jobs.lease(max=100))
        return {("added", jobs.name), ("completed", jobs.name)} <= {(kind, data["queue"]) for _, kind, data in seen}

    eventually(lambda: is_told(old), "events of a queue that was there")
    new = make_jobs("new")
    eventually(lambda: is_told(new), "events of a queue that came later")
    assert {kind for _, kind, _ in seen} == {"added", "completed"}


def test_an_unknown_place_in_the_stream_is_told_as_a_gap(weir, jobs):
    stream = Stream(weir, f"{jobs.path}/events", last="00000000-1")
    _, kind, _ = stream.next()
    assert kind == "gap"
    stream.close()


def test_an_end_of_the_server_ends_the_stream(own_weir):
    server = own_weir()
    jobs = JobQueue(Native(server), "q")
    jobs.native.put(jobs.path)
    stream = Stream(server, f"{jobs.path}/events")
    assert server.end() == 0
    assert stream.response.read() in (b"", b":\n\n")


def test_pauses_and_what_programs_say_are_told_in_order(weir, jobs, native):
    stream = Stream(weir, f"{jobs.path}/events")
    native.post(f"{jobs.path}/pause")
    native.patch(jobs.path, {"lease_ms": 5_000})
    published = native.post(f"{jobs.path}/events", {"name": "import-done", "data": {"rows": 7}})
    native.post(f"{jobs.path}/resume")
    native.post(f"{jobs.path}/pause", {"for_ms": 3_600_000})
    told = [stream.next() for _ in range(4)]
    assert [kind for _, kind, _ in told] == ["paused", "published", "resumed", "paused"]
    assert told[1][0] == published["id"]
    assert (told[1][2]["name"], told[1][2]["data"]) == ("import-done", {"rows": 7})
    assert "until_ms" not in told[0][2] and told[3][2]["until_ms"] > told[3][2]["at_ms"]
    for _, _, data in told:
        assert data["queue"] == jobs.name and "id" not in data
        native.check(data, {"$ref": "#/components/schemas/JobHappening"}, "event")
    stream.close()


def test_events_that_are_too_long_are_refused(jobs, native):
    for name, data, field in (("", 1, "name"), ("x" * 257, 1, "name"), ("x", "y" * (64 << 10), "data")):
        with pytest.raises(Problem) as refused:
            native.post(f"{jobs.path}/events", {"name": name, "data": data})
        assert (refused.value.code, refused.value.field) == ("request.invalid", field)
