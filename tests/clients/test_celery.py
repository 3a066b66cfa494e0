"""Celery over its SQS transport: real workers run real tasks."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).parent / "celery_app"
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def tasks(weir, tmp_path_factory):
    """The application, with a worker of two processes beside it."""
    folder = tmp_path_factory.mktemp("celery")
    (folder / "results").mkdir()
    os.environ["CELERY_FOLDER"] = str(folder)
    os.environ["CELERY_BROKER"] = f"sqs://test:test@127.0.0.1:{weir.port}//"
    os.environ["CELERY_QUEUE"] = "celery-tasks"
    sys.path.insert(0, str(HERE))
    import tasks

    command = [sys.executable, "-m", "celery", "--app", "tasks", "worker", "--concurrency", "2", "--loglevel", "INFO"]
    with open(folder / "worker.log", "wb") as log:
        worker = subprocess.Popen(
            [*command, "--without-mingle", "--without-gossip"], cwd=HERE, stdout=log, stderr=log
        )
    try:
        yield tasks
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
            raise
        finally:
            print((folder / "worker.log").read_text())
            sys.path.remove(str(HERE))


def test_many_tasks_run_and_answer(tasks):
    answers = [tasks.add.delay(n, n) for n in range(100)]
    assert [answer.get(timeout=PATIENCE_SECONDS) for answer in answers] == [2 * n for n in range(100)]


def test_a_failing_task_is_tried_again(tasks):
    assert tasks.third_time.delay("tries").get(timeout=PATIENCE_SECONDS) == 2


def test_a_countdown_holds_a_task_back(tasks):
    sent_at = time.time()
    assert tasks.now.apply_async(countdown=2).get(timeout=PATIENCE_SECONDS) >= sent_at + 2


def test_a_chord_runs_its_body_once_after_all_of_its_header(tasks):
    from celery import chord

    answer = chord((tasks.add.s(n, 1) for n in range(10)), tasks.total.s())()
    assert answer.get(timeout=PATIENCE_SECONDS) == sum(n + 1 for n in range(10))


def test_a_chain_passes_results_on(tasks):
    from celery import chain

    assert chain(tasks.add.s(1, 2), tasks.add.s(3), tasks.add.s(4))().get(timeout=PATIENCE_SECONDS) == 10


def test_nothing_is_left_in_the_queue(tasks, sqs):
    queue = sqs.get_queue_url(QueueName="celery-tasks")["QueueUrl"]

    def left():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]

    from weir_process import eventually

    eventually(lambda: set(left().values()) == {"0"}, "every task's message is deleted")
