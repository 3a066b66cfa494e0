"""The native API over one kept connection, as lean as Python allows."""

import http.client
import json

# What happens to a connection whose server is killed.
GONE = (ConnectionError, TimeoutError, http.client.HTTPException, OSError)


class Refused(Exception):
    """An answer that is no success, as problem+json tells it."""

    def __init__(self, status, problem):
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem

    @property
    def code(self):
        return self.problem.get("code")


class Native:
    """A client of the server at `port`."""

    def __init__(self, port, timeout=60):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def call(self, method, path, body=None):
        content = None if body is None else json.dumps(body)
        self.connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        value = json.loads(text) if text else {}
        if answer.status >= 300:
            raise Refused(answer.status, value)
        return value

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, **body):
        return self.call("POST", path, body)

    def put(self, path, **body):
        return self.call("PUT", path, body)

    def close(self):
        self.connection.close()


def granted_at_ms(job, lease_ms):
    """When a leased job was granted, by the server's clock."""
    return job["lease_until_ms"] - lease_ms
