"""`weir listen`: a queue's jobs go to a URL of this machine, by the rules of push."""

import itertools
import signal
import subprocess

import pytest

from native_words import Native
from weir_process import BINARY, PATIENCE_SECONDS, eventually

_numbers = itertools.count(1)


@pytest.fixture
def listen(weir, receiver):
    """Starts `weir listen` on a queue of its own; the queue's path and the process."""
    api, running = Native(weir), []

    def start(*arguments, **settings):
        name = f"listened-{next(_numbers)}"
        api.put(f"/v1/queues/{name}", {"retry": {"attempts_max": 2, "backoff": {"fixed_ms": 0}}} | settings)
        command = [BINARY, "listen", name, "--forward", receiver.url, "--url", weir.url, *arguments]
        running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        assert "forwarding jobs" in running[-1].stderr.readline()
        return Listened(api, f"/v1/queues/{name}", running[-1])

    yield start
    for process in running:
        process.kill()
        process.wait()


class Listened:
    def __init__(self, api, path, process):
        self.api, self.path, self.process = api, path, process

    def add(self, data, **more):
        return self.api.post(f"{self.path}/jobs", {"jobs": [{"data": data} | more]})["jobs"][0]["id"]

    def ended(self, job):
        def state():
            found = self.api.get(f"{self.path}/jobs/{job}")
            return found["state"] in ("completed", "failed") and found

        return eventually(state, f"job {job} has ended")


def test_a_job_is_sent_as_push_sends_it_and_the_answer_is_its_result(listen, receiver):
    receiver.answer = lambda request: (200, {}, {"sent": request.json["data"]["to"]})
    queue = listen()
    job = queue.add({"to": "ada"}, name="welcome", attributes={"tries": 3})
    request = receiver.next()
    assert (request.path, request.json["id"], request.json["name"]) == ("/hook", job, "welcome")
    assert request.json["attributes"]["tries"] in (3, "3")
    # Nobody can call back to who listens, and nothing is signed.
    assert not {"weir-callback-token", "webhook-signature"} & {name.lower() for name in request.headers}
    found = queue.ended(job)
    assert (found["state"], found["result"]) == ("completed", {"sent": "ada"})


def test_a_refusal_is_final_and_an_error_is_tried_again(listen, receiver):
    receiver.answer = lambda request: {"bad": 422, "down": 500}[request.json["data"]]
    queue = listen()
    for data, failures, status in [("bad", 1, 422), ("down", 2, 500)]:
        found = queue.ended(queue.add(data))
        assert (found["state"], found["failures"]) == ("failed", failures)
        assert {entry["error"]["status"] for entry in found["history"]} == {status}


def test_throttling_costs_no_attempt(listen, receiver):
    answers = iter([(429, {"retry-after": "0"}, b""), 200])
    receiver.answer = lambda request: next(answers)
    queue = listen()
    found = queue.ended(queue.add("x"))
    assert receiver.requests.qsize() == 2
    assert (found["state"], found["leases"], found["stalls"], found["history"]) == ("completed", 1, 0, [])


def test_nobody_at_the_url_is_a_failed_attempt_that_says_so(listen, receiver):
    receiver.close()
    queue = listen()
    found = queue.ended(queue.add("x"))
    assert found["state"] == "failed"
    assert "refused" in str(found["history"]).lower()


def test_asked_to_end_it_finishes_what_it_has(listen, receiver):
    queue = listen()
    receiver.answer = lambda request: queue.process.send_signal(signal.SIGTERM) or 200
    first = queue.add(1)
    assert queue.ended(first)["state"] == "completed"
    assert queue.process.wait(PATIENCE_SECONDS) == 0
    second = queue.add(2)
    assert queue.api.get(f"{queue.path}/jobs/{second}")["state"] == "ready"
