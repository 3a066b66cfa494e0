"""A campaign under a limiter, and what is urgent meanwhile: only its order. How fast that is, `weir-bench campaign` tells."""

import threading

from native import Native, granted_at_ms

MAILS, URGENT = 1_000, 5
LEASE_MS = 60_000


def test_an_urgent_job_starts_before_all_that_is_left_of_a_campaign(own_weir):
    weir = own_weir()
    native = Native(weir.port)
    native.put(
        "/v1/limiters/provider",
        windows=[{"max": 100, "per_ms": 200}],
        pacing=True,
        reserves=[{"priority_max": 0, "share": 10}],
    )
    native.put("/v1/queues/mails", limiters=[{"limiter": "provider"}])
    native.post("/v1/queues/mails/jobs", jobs=[{"data": n, "priority": 10} for n in range(MAILS)])

    leased, changed = [], threading.Condition()

    def work():
        wire = Native(weir.port)
        settle = []
        while True:
            answer = wire.post("/v1/queues/mails/lease", max=5, wait_ms=500, lease_ms=LEASE_MS, settle=settle)
            settle = [{"lease": job["lease"]} for job in answer["jobs"]]
            with changed:
                leased.extend(answer["jobs"])
                changed.notify_all()
                if len(leased) == MAILS + URGENT and not settle:
                    return

    workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for worker in workers:
        worker.start()
    for part in range(1, URGENT + 1):
        with changed:
            assert changed.wait_for(lambda: len(leased) >= MAILS * part // (URGENT + 1), 60)
        native.post("/v1/queues/mails/jobs", data="urgent")
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()

    assert sorted(job["data"] for job in leased if job["data"] != "urgent") == list(range(MAILS))
    urgent = [job for job in leased if job["data"] == "urgent"]
    assert len(urgent) == URGENT
    starts = [granted_at_ms(job, LEASE_MS) for job in leased if job["data"] != "urgent"]
    for job in urgent:
        start = granted_at_ms(job, LEASE_MS)
        assert [at for at in starts if job["added_at_ms"] < at < start] == [], "nothing starts between"
        assert any(at > start for at in starts), "there was more to do"
    assert native.get("/v1/queues/mails")["counters"]["completed"] == MAILS + URGENT
