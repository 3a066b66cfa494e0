"""The AWS SDK for Rust: a program of its own, built and run against our server."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent / "rust"


def test_the_rust_sdk_works(weir):
    environment = {**os.environ, "WEIR_URL": weir.url}
    command = ["cargo", "run", "--quiet", "--locked"]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1:] == ["5 passed, 0 failed"]
