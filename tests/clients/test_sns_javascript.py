"""The AWS SDK for JavaScript and the validator of notifications, against a server with TLS."""

import ssl
import subprocess
import urllib.error
import urllib.request

import javascript
import pytest

from weir_process import PATIENCE_SECONDS, Weir


class SecureWeir(Weir):
    """A server that speaks TLS with a certificate of its own."""

    def __init__(self, directory, *arguments):
        self.certificate, key = directory / "certificate.pem", directory / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", str(key), "-out", str(self.certificate), "-days", "2", "-subj", "/CN=weir"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        tls = ["--tls-certificate", str(self.certificate), "--tls-key", str(key)]
        super().__init__(directory / "data", *tls, *arguments)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def get(self, path):
        try:
            trusted = ssl.create_default_context(cafile=self.certificate)
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE_SECONDS, context=trusted) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError:
            return None, ""


@pytest.fixture
def secure(tmp_path):
    with SecureWeir(tmp_path, "--push-allow-networks", "127.0.0.0/8") as server:
        yield server


def test_the_validator_takes_what_the_server_sends(secure):
    javascript.run("sns.test.mjs", secure, NODE_EXTRA_CA_CERTS=str(secure.certificate))
