"""A Weir process of our own: started on a port that the system picks, asked over HTTP, ended by its own id."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("WEIR_BIN", str(ROOT / "target" / "release" / "weir"))
# Bounds of waiting for something that must happen; a failure takes this long, a success never does.
PATIENCE_SECONDS = 30


def eventually(condition, what, patience=PATIENCE_SECONDS):
    """Asks until the answer is true, and returns it; fails when it is not within bounds."""
    deadline = time.monotonic() + patience
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.01)


class Weir:
    """`weir serve` over a data directory."""

    def __init__(self, data_dir, *arguments, listen="127.0.0.1:0"):
        self.data_dir = pathlib.Path(data_dir)
        self.arguments = arguments
        self.listen = listen
        self.process = None
        self.port = None
        self.log_path = self.data_dir.with_name(self.data_dir.name + ".log")

    def start(self, wait=True):
        """Starts the process; unless told otherwise, returns once it serves."""
        place = [] if "--memory" in self.arguments else ["--data-dir", str(self.data_dir)]
        started_at = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", *place, "--listen", self.listen, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if not wait:
            return self

        def address():
            assert self.process.poll() is None, f"the server ended at its start:\n{self.log()}"
            with open(self.log_path, "rb") as log:
                log.seek(started_at)
                return re.search(r"(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", uncolored(log.read()))

        self.port = int(eventually(address, "the server logs its address").group(1))
        eventually(lambda: self.get("/health/ready")[0] == 200, "the server is ready")
        return self

    def log(self):
        return uncolored(self.log_path.read_bytes())

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path):
        """Status and text of a GET; neither when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError):
            # Refused, or accepted by a server that ended before it looked.
            return None, ""

    def sqs(self, key=("test", "test"), token=None, url=None, **options):
        """A boto3 client that shows every error instead of trying again. It signs with `key`, id and secret."""
        return self.client("sqs", key, token, url, **options)

    def sns(self, key=("test", "test"), **options):
        """The same for SNS."""
        return self.client("sns", key, **options)

    def client(self, service, key=("test", "test"), token=None, url=None, **options):
        """A boto3 client of a service."""
        config = {
            "retries": {"total_max_attempts": 1},
            "read_timeout": 90,
            "max_pool_connections": 64,
        }
        config.update(options)
        return boto3.client(
            service,
            endpoint_url=url or self.url,
            region_name="us-east-1",
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=token,
            config=botocore.config.Config(**config),
        )

    def connect(self):
        """A bare socket to the server."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def end(self):
        """Asks the server to end, and waits until it has; its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        """`kill -9`."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.end()


def uncolored(raw):
    return re.sub(r"\x1b\[[0-9;]*m", "", raw.decode(errors="replace"))
