"""Requests signed by hand, with botocore's own signers, so that a test can change them before they are sent."""

import datetime
import http.client
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from weir_process import PATIENCE_SECONDS

REGION = "us-east-1"


class Key:
    """An access key, as it stands in the server's configuration."""

    def __init__(self, id, role, namespace="000000000000"):
        self.id, self.role, self.namespace = id, role, namespace
        self.secret = f"the secret of {id} alone"

    @property
    def pair(self):
        return self.id, self.secret

    @property
    def table(self):
        return (
            f'[[keys]]\nid = "{self.id}"\nsecret = "{self.secret}"\n'
            f'namespace = "{self.namespace}"\nrole = "{self.role}"\n'
        )


class Request:
    """A request on its way: signed, and then perhaps tampered with."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def send(self, weir):
        """Sends it as it stands; status and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=PATIENCE_SECONDS)
        try:
            connection.putrequest(self.method, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers:
                connection.putheader(name, value)
            connection.endheaders(self.body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def header(self, name):
        return next(value for known, value in self.headers if known.lower() == name.lower())

    def change(self, name, value):
        """Gives the header `name` another value; the request."""
        assert self.header(name) != value
        self.headers = [(known, value if known.lower() == name.lower() else old) for known, old in self.headers]
        return self

    def add(self, name, value):
        self.headers.append((name, value))
        return self

    def replace(self, old, new):
        """Puts one text for another in the path; the request."""
        assert old in self.path
        self.path = self.path.replace(old, new)
        return self


def signed(weir, key, method="POST", path="/", headers=None, body=b"", token=None, service="sqs", at=None):
    """A request with its signature in the header Authorization; `at` is when it says that it was signed."""
    request = _request(weir, method, path, headers, body)
    with _clock(at):
        botocore.auth.SigV4Auth(_credentials(key, token), service, REGION).add_auth(request)
    return _prepared(weir, request)


def presigned(weir, key, method="GET", path="/", headers=None, body=b"", expires=300, at=None):
    """A request with its signature in its URL."""
    request = _request(weir, method, path, headers, body)
    with _clock(at):
        botocore.auth.SigV4QueryAuth(_credentials(key, None), "sqs", REGION, expires=expires).add_auth(request)
    return _prepared(weir, request)


def json_request(weir, key, operation, body, **options):
    """A signed request of the JSON protocol."""
    headers = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    return signed(weir, key, headers=headers, body=body, **options)


def form_request(weir, key, path="/", sign=signed, **parameters):
    """A signed request of the Query protocol, with its parameters in the body."""
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    return sign(weir, key, path=path, headers=headers, body=_form(parameters))


def url_request(weir, key, path="/", sign=signed, **parameters):
    """A signed GET of the Query protocol, with its parameters in the URL."""
    options = {name: parameters.pop(name) for name in ("expires", "at") if name in parameters}
    return sign(weir, key, method="GET", path=f"{path}?{_form(parameters, urllib.parse.quote)}", **options)


def now():
    """The time in UTC, as signers take it."""
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def _form(parameters, quote=urllib.parse.quote_plus):
    return urllib.parse.urlencode({"Version": "2012-11-05"} | parameters, quote_via=quote)


def _credentials(key, token):
    return botocore.credentials.Credentials(*key.pair, token=token)


def _request(weir, method, path, headers, body):
    return botocore.awsrequest.AWSRequest(method=method, url=weir.url + path, data=body, headers=dict(headers or {}))


def _prepared(weir, request):
    prepared = request.prepare()
    path = prepared.url.removeprefix(weir.url)
    text = [(name, value.decode() if isinstance(value, bytes) else value) for name, value in prepared.headers.items()]
    if all(name.lower() != "host" for name, _ in text):
        text.append(("Host", f"127.0.0.1:{weir.port}"))
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else body
    if all(name.lower() != "content-length" for name, _ in text) and request.method == "POST":
        text.append(("Content-Length", str(len(body))))
    return Request(request.method, path, text, body)


class _clock:
    """Has botocore take another time for the present one."""

    def __init__(self, at):
        self.at = at

    def __enter__(self):
        self.real = botocore.auth.get_current_datetime
        if self.at is not None:
            botocore.auth.get_current_datetime = lambda *_: self.at

    def __exit__(self, *_):
        botocore.auth.get_current_datetime = self.real
