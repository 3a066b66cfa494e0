"""A Celery application as one is written for SQS; only the broker's address names Weir."""

import os
import pathlib

from celery import Celery

FOLDER = pathlib.Path(os.environ["CELERY_FOLDER"])

app = Celery("tasks", broker=os.environ["CELERY_BROKER"], backend=(FOLDER / "results").as_uri())
app.conf.update(
    broker_transport_options={
        "region": "us-east-1",
        "is_secure": False,
        "polling_interval": 0,
        "wait_time_seconds": 20,
        "visibility_timeout": 60,
    },
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["CELERY_QUEUE"],
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def now():
    import time

    return time.time()


@app.task(bind=True, max_retries=3)
def third_time(self, name):
    """Fails twice; which try it is, is written down where every worker sees it."""
    with open(FOLDER / name, "a+") as tries:
        tries.write("x")
        tries.seek(0)
        count = len(tries.read())
    if count < 3:
        raise self.retry(countdown=0)
    return self.request.retries
