"""BullMQ itself on Weir: the tests beside the package, each file with servers of its own."""

import os
import pathlib
import re
import subprocess

import pytest

from weir_process import BINARY, ROOT

PACKAGE = ROOT / "clients" / "bullmq"
FILES = sorted((PACKAGE / "test").glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_bullmq_runs_on_weir(file: pathlib.Path):
    command = ["node", "--test", "--test-reporter=tap", str(file.relative_to(PACKAGE))]
    environment = {**os.environ, "WEIR_BIN": BINARY}
    done = subprocess.run(command, cwd=PACKAGE, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.search(r"^# pass (\d+)$", done.stdout, re.M).group(1))
    written = len(re.findall(r"^test\(", file.read_text(), re.M))
    assert passed == written, done.stdout
