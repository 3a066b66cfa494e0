"""Push targets from the command line, against a running server."""

import json
import re

from native_words import JobQueue
from weir_process import eventually


def test_push_targets_are_listed_and_measured(said, weir, jobs):
    other = JobQueue(jobs.native, jobs.name + "-x")
    jobs.native.put(f"/v1/queues/{other.name}", {})
    for queue in [jobs, other]:
        jobs.native.put(f"/v1/queues/{queue.name}/push", {"url": "http://example.com/", "concurrency": {"max": 7}})
    listed = json.loads(said("push", "list", "--json", "--prefix", jobs.name))
    assert [each["queue"] for each in listed] == [jobs.name, other.name]
    assert re.search(rf"^{jobs.name} +http://example.com/ ", said("push", "list"), re.M)
    page = jobs.native.get("/v1/push", limit=1, prefix=jobs.name)
    assert [each["queue"] for each in page["targets"]] == [jobs.name]
    page = jobs.native.get("/v1/push", limit=1, prefix=jobs.name, cursor=page["cursor"])
    assert [each["queue"] for each in page["targets"]] == [other.name] and "cursor" not in page

    def measured():
        text = weir.get("/metrics")[1]
        return f'weir_push_deliveries_total{{queue="{jobs.name}",outcome="delivered"}} 0' in text and text

    text = eventually(measured, "the target is measured")
    assert f'weir_push_breaker{{queue="{jobs.name}",state="closed"}} 1' in text
    assert re.search(rf'^weir_push_concurrency{{queue="{jobs.name}"}} \d+$', text, re.M)
    assert f'weir_push_in_flight{{queue="{jobs.name}"}} 0' in text
    jobs.native.delete(f"/v1/queues/{other.name}")
