"""A worker for Weir's native API, with nothing but the standard library."""

import json
import os
import urllib.request


def batches(queue, **lease):
    """Batches of jobs, one after the other. A batch is settled, as done, by the request for the next one."""
    url = f"{os.environ['WEIR_URL']}/v1/queues/{queue}/lease"
    done = []
    while True:
        body = json.dumps({**lease, "wait_ms": 20_000, "settle": done}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            jobs = json.load(answer)["jobs"]
        if jobs:
            yield [job["data"] for job in jobs]
        done = [{"lease": job["lease"]} for job in jobs]


def say(**what):
    print(json.dumps(what), flush=True)
