"""Runs the tests that are written in JavaScript."""

import os
import pathlib
import re
import subprocess

CLIENTS = pathlib.Path(__file__).parent / "clients"


def run(file, weir, **environment):
    """Runs all tests of a file against a server; none may fail, and none be left out."""
    command = ["node", "--test", "--test-reporter=tap", file]
    environment = {**os.environ, "WEIR_URL": weir.url} | environment
    done = subprocess.run(command, cwd=CLIENTS, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name: int(count) for name, count in re.findall(r"^# (\w+) (\d+)$", done.stdout, re.M)}
    assert counts["tests"] == counts["pass"] > 0, done.stdout
