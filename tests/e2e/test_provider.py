"""A provider that bans whoever starts too much within too short a time, several workers, and `kill -9` in the middle.

The provider is an HTTP server that looks at the times at which calls arrive: more than 50 within any window, and the
caller is banned for good. Eight workers lease jobs of mixed priorities from a queue under a limiter of the same numbers,
call the provider, and complete the jobs. Weir is killed twice while they work.

Ten seconds, as such providers have them, would take minutes, so the window is half a second unless
WEIR_PROVIDER_WINDOW_MS says otherwise; WEIR_PROVIDER_JOBS says how many jobs there are. What lies between a grant and the
arrival at the provider is covered by the limiter's guard; a worker that got its jobs later than that gives them back.
"""

import collections
import http.client
import http.server
import os
import random
import threading
import time

from native import GONE, Native, granted_at_ms
from weir_process import Weir, eventually

STARTS = 50
WINDOW_MS = int(os.environ.get("WEIR_PROVIDER_WINDOW_MS", "500"))
# What the way from a grant to the provider may differ by: two processes of a busy machine.
GUARD_MS = 250
JOBS = int(os.environ.get("WEIR_PROVIDER_JOBS", "2000"))
# Added while the others are worked on.
LATE_JOBS = JOBS // 10
PRIORITIES = [0, 1, 2, 5, 10]
WORKERS, BATCH = 8, 10
LEASE_MS = 5_000
# All jobs, were every window used in full, and as long again for restarts, leases that were lost, and slow machines.
PATIENCE_SECONDS = 2 * (JOBS / STARTS) * (WINDOW_MS + GUARD_MS) / 1000 + 120


class Provider:
    """Takes calls, and bans for more than `starts` within any `window` seconds."""

    def __init__(self, starts, window):
        self.starts, self.window = starts, window
        self.last = collections.deque(maxlen=starts)
        self.changed = threading.Condition()
        self.calls = []
        self.banned = None
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                refusal = provider.call(time.monotonic(), self.path.lstrip("/"))
                self.send_response(403 if refusal else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def call(self, now, name):
        """Notes a call; why it is refused, if it is."""
        with self.changed:
            if len(self.last) == self.starts and now - self.last[0] < self.window and not self.banned:
                self.banned = f"call {len(self.calls) + 1} came {now - self.last[0]:.3f} s after {self.starts} others"
            self.last.append(now)
            self.calls.append(name)
            self.changed.notify_all()
            return self.banned

    def wait_for_calls(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= count or self.banned, PATIENCE_SECONDS), count
            assert not self.banned, self.banned

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Worker(threading.Thread):
    """Leases, calls the provider, completes; over every death of the server."""

    def __init__(self, weir, serving, provider, stop):
        super().__init__(daemon=True)
        self.weir, self.serving, self.provider, self.stop = weir, serving, provider, stop
        self.settle, self.leased, self.failure = [], [], None

    def run(self):
        try:
            self.mail = http.client.HTTPConnection("127.0.0.1", self.provider.server.server_port, timeout=60)
            while not self.stop.is_set():
                assert self.serving.wait(PATIENCE_SECONDS), "the server came back"
                try:
                    self.work(Native(self.weir.port))
                except GONE:
                    # What was done is completed with the next server.
                    continue
        except BaseException as error:
            self.failure = error

    def work(self, native):
        while not self.stop.is_set():
            answer = native.post(
                "/v1/queues/mails/lease", max=BATCH, wait_ms=1000, lease_ms=LEASE_MS, settle=self.settle
            )
            self.settle = []
            for outcome in answer.get("settled", []):
                # A lease may be lost over a restart, or have been settled by a request whose answer was lost.
                assert "state" in outcome or outcome["code"] == "lease.lost", outcome
            self.leased += answer["jobs"]
            for job in answer["jobs"]:
                self.settle.append(self.send(job))

    def send(self, job):
        """Calls the provider; what becomes of the lease."""
        lease = {"lease": job["lease"]}
        if time.time() * 1000 > granted_at_ms(job, LEASE_MS) + GUARD_MS / 2:
            return lease | {"action": "release"}
        self.mail.request("POST", f"/{job['data']['mail']}")
        answer = self.mail.getresponse()
        answer.read()
        assert answer.status == 200, f"the provider answered {answer.status}: {self.provider.banned}"
        return lease


def mail(number, rng):
    return {"data": {"mail": number}, "priority": rng.choice(PRIORITIES)}


def out_of_order(leased):
    """Jobs that started although a more urgent one, ready before and never leased before, had to wait."""
    starts = sorted((granted_at_ms(job, LEASE_MS), job["priority"], job["id"]) for job in leased)
    waits = [job for job in leased if job["leases"] == 1 and "stalls" not in job]
    seen, found = set(), []
    for job in sorted(waits, key=lambda job: granted_at_ms(job, LEASE_MS)):
        # What was leased before, and lost or given back, became ready again at a time that nobody here knows.
        if job["id"] in seen:
            continue
        seen.add(job["id"])
        begin, end = job["added_at_ms"], granted_at_ms(job, LEASE_MS)
        found += [(job, start) for start in starts if begin < start[0] < end and start[1] > job["priority"]]
    return found


def test_a_provider_with_a_cap_never_bans_over_two_kills_and_gets_all_jobs_by_priority(tmp_path):
    rng = random.Random(1)
    weir = Weir(tmp_path / "data").start()
    serving, stop = threading.Event(), threading.Event()
    serving.set()
    native = Native(weir.port)
    native.put(
        "/v1/limiters/provider", windows=[{"max": STARTS, "per_ms": WINDOW_MS}], guard_ms=GUARD_MS
    )
    native.put("/v1/queues/mails", limiters=[{"limiter": "provider"}])
    native.post("/v1/queues/mails/jobs", jobs=[mail(number, rng) for number in range(JOBS - LATE_JOBS)])
    with Provider(STARTS, WINDOW_MS / 1000) as provider:
        workers = [Worker(weir, serving, provider, stop) for _ in range(WORKERS)]
        try:
            for worker in workers:
                worker.start()
            for part in (1, 2):
                provider.wait_for_calls(JOBS * part // 3)
                serving.clear()
                weir.kill()
                weir.start()
                native = Native(weir.port)
                serving.set()
                late = range(JOBS - LATE_JOBS * part // 2, JOBS - LATE_JOBS * (part - 1) // 2)
                native.post("/v1/queues/mails/jobs", jobs=[mail(number, rng) for number in late])

            def all_done():
                failures = [worker.failure for worker in workers if worker.failure]
                assert not failures, failures
                counters = native.get("/v1/queues/mails")["counters"]
                return counters["completed"] == JOBS and counters
            counters = eventually(all_done, "every job is completed", PATIENCE_SECONDS)
        finally:
            stop.set()
            serving.set()
            for worker in workers:
                worker.join(60)
            weir.end()
    assert not provider.banned, provider.banned
    assert {int(name) for name in provider.calls} == set(range(JOBS))
    assert (counters["ready"], counters["delayed"], counters["leased"], counters["failed"]) == (0, 0, 0, 0)
    leased = [job for worker in workers for job in worker.leased]
    assert {job["attempt"] for job in leased} == {1}, "throttling and lost workers cost no attempt"
    assert out_of_order(leased) == []
