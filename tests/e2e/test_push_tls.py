"""Pushes over TLS and HTTP/2: which certificates are trusted, which version is spoken, which networks are reached."""

import itertools
import json
import pathlib
import subprocess

import pytest
import trustme

from native_words import Native, Problem
from weir_process import eventually

RECEIVER = pathlib.Path(__file__).resolve().parent.parent / "h2_receiver.mjs"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api(pushing):
    return Native(pushing)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


class Receiver:
    """Node's own HTTP/2 server."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["node", RECEIVER, *arguments], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def next(self):
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def plain():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def secure(authority, tmp_path_factory):
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    receiver = Receiver(pem)
    yield receiver
    receiver.close()


def pem_of(authority):
    return authority.cert_pem.bytes().decode()


def push(api, url, **settings):
    """Makes a queue with this target and one job; the job, once it has ended."""
    path = f"/v1/queues/tls-{next(_numbers)}"
    api.put(path, {"retry": {"attempts_max": 1}})
    api.put(f"{path}/push", {"url": url} | settings)
    job = api.post(f"{path}/jobs", {"jobs": [{"data": "hello"}]})["jobs"][0]["id"]
    ended = lambda: (found := api.get(f"{path}/jobs/{job}"))["state"] in ("completed", "failed") and found  # noqa: E731
    return eventually(ended, "the job has ended")


@pytest.mark.parametrize(
    ("protocol", "version"), [("auto", "2.0"), ("http2", "2.0"), ("http1", "1.1")], ids=["chosen", "http2", "http1"]
)
def test_over_tls_the_version_is_chosen_by_both(api, authority, secure, protocol, version):
    url = f"https://localhost:{secure.port}/hook"
    assert push(api, url, ca=pem_of(authority), protocol=protocol)["state"] == "completed"
    request = secure.next()
    assert (request["version"], request["path"]) == (version, "/hook")
    assert json.loads(request["body"])["data"] == "hello"


def test_without_tls_http_2_is_spoken_where_it_is_asked_for(api, plain):
    assert push(api, f"http://127.0.0.1:{plain.port}/h2c", protocol="http2")["state"] == "completed"
    request = plain.next()
    assert (request["version"], request["path"]) == ("2.0", "/h2c")


@pytest.mark.parametrize("trusts_another", [False, True], ids=["the system's", "another one"])
def test_a_certificate_that_nobody_vouches_for_is_refused(api, secure, trusts_another):
    trusted = {"ca": pem_of(trustme.CA())} if trusts_another else {}
    job = push(api, f"https://localhost:{secure.port}/hook", **trusted)
    assert job["state"] == "failed"
    assert "certificate" in json.dumps(job["history"]), job


def test_a_certificate_of_another_name_is_refused(api, authority, secure, tmp_path):
    pem = tmp_path / "other.pem"
    authority.issue_cert("example.com").private_key_and_cert_chain_pem.write_to_path(pem)
    other = Receiver(pem)
    try:
        job = push(api, f"https://localhost:{other.port}/hook", ca=pem_of(authority))
    finally:
        other.close()
    assert job["state"] == "failed"
    assert "certificate" in json.dumps(job["history"]), job


def test_what_is_no_certificate_is_refused_by_name(api):
    api.put("/v1/queues/no-certificate", {})
    with pytest.raises(Problem) as caught:
        api.put("/v1/queues/no-certificate/push", {"url": "https://localhost/hook", "ca": "hello"})
    assert caught.value.status == 400
    assert "ca" in str(caught.value)


def test_a_target_keeps_to_its_own_networks(api, plain):
    url = f"http://127.0.0.1:{plain.port}/h2c"
    job = push(api, url, protocol="http2", networks=["127.1.0.0/16"])
    assert job["state"] == "failed"
    assert "127.0.0.1" in json.dumps(job["history"]), job
    assert push(api, url, protocol="http2", networks=["127.0.0.0/24"])["state"] == "completed"
    assert plain.next()["version"] == "2.0"
