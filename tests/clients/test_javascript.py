"""The AWS SDK for JavaScript, sqs-consumer and sqs-producer: their own test runner, against our server."""

import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).parent


def test_the_javascript_clients_work(weir):
    command = ["node", "--test", "--test-reporter=tap", "sqs.test.mjs"]
    environment = {**os.environ, "WEIR_URL": weir.url}
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.search(r"^# pass (\d+)$", done.stdout, re.M).group(1))
    written = len(re.findall(r"^test\(", (HERE / "sqs.test.mjs").read_text(), re.M))
    assert passed == written, done.stdout
