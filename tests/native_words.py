"""What tests say to the native API. Every answer is held against the document that the server gives of itself."""

import functools
import http.client
import json
import re
import select
import urllib.parse

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


class Problem(Exception):
    """A refusal."""

    def __init__(self, status, answer, headers):
        super().__init__(f"{status} {answer}")
        self.status = status
        self.code = answer.get("code")
        self.detail = answer.get("detail")
        self.field = answer.get("field")
        self.answer = answer
        self.headers = headers


class Native:
    """The native API of a server, on one connection."""

    def __init__(self, weir):
        self.port = weir.port
        self.connection = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=60)

    @functools.cached_property
    def document(self):
        return json.loads(self.raw("GET", "/v1/openapi.json")[2])

    @functools.cached_property
    def routes(self):
        """Method, pattern of the address, and operation; addresses with more words first."""
        found = []
        for path, methods in self.document["paths"].items():
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$")
            found += [(method.upper(), pattern, operation) for method, operation in methods.items()]
        return sorted(found, key=lambda route: route[1].pattern.count("[^/]+"))

    def operation(self, method, path):
        path = path.split("?")[0]
        return next(found for known, pattern, found in self.routes if known == method and pattern.match(path))

    def raw(self, method, path, body=None, headers=None):
        """Status, headers and bytes of an answer."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        # Between two answers nothing comes but the end, which the server puts to a connection that was idle for long.
        if self.connection.sock is not None and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection.close()
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()

    def call(self, method, path, body=None, headers=None):
        """The JSON of a success, which must be what the document says; a refusal is raised."""
        status, found, answer = self.raw(method, path, body, headers)
        answer = json.loads(answer)
        if status >= 400:
            assert found["Content-Type"] == "application/problem+json"
            self.check(answer, {"$ref": "#/components/schemas/Problem"}, "problem")
            operation = self.operation(method, path)
            listed = operation["responses"][str(status)]["description"]
            assert f"`{answer['code']}`" in listed, f"{operation['operationId']} does not list {answer['code']}"
            raise Problem(status, answer, found)
        schema = self.operation(method, path)["responses"]["200"]["content"]["application/json"]["schema"]
        self.check(answer, schema, path)
        return answer

    def get(self, path, **query):
        return self.call("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def pages(self, path, member, **query):
        """All that a listing has under a member, page by page."""
        found, cursor = [], {}
        while True:
            page = self.get(path, **query, **cursor)
            assert len(page[member]) <= query.get("limit", 1_000)
            found += page[member]
            if "cursor" not in page:
                return found
            cursor = {"cursor": page["cursor"]}

    def post(self, path, body=None, **headers):
        return self.call("POST", path, {} if body is None else body, {k.replace("_", "-"): v for k, v in headers.items()})

    def put(self, path, body=None):
        return self.call("PUT", path, {} if body is None else body)

    def patch(self, path, body):
        return self.call("PATCH", path, body)

    def delete(self, path):
        return self.call("DELETE", path)

    def check(self, value, schema, place):
        """Refuses a value that is not what a schema says, and members that it does not name."""
        if schema is True or schema == {}:
            return
        if "$ref" in schema:
            found = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return self.check(value, found, place)
        if "const" in schema:
            assert value == schema["const"], f"{place}: {value} is not {schema['const']}"
        if "enum" in schema:
            assert value in schema["enum"], f"{place}: {value} is none of {schema['enum']}"
        for several in ("anyOf", "oneOf"):
            if several in schema:
                failures = []
                for choice in schema[several]:
                    try:
                        self.check(value, choice, place)
                        break
                    except AssertionError as error:
                        failures.append(str(error))
                else:
                    raise AssertionError(f"{place}: {failures}")
        kinds = schema.get("type")
        if kinds is not None:
            kinds = [kinds] if isinstance(kinds, str) else kinds
            assert any(is_a(value, kind) for kind in kinds), f"{place}: {value!r} is none of {kinds}"
        if isinstance(value, dict) and "properties" in schema:
            missing = set(schema.get("required", [])) - value.keys()
            assert not missing, f"{place}: {missing} are missing"
            for name, member in value.items():
                known = schema["properties"].get(name, schema.get("additionalProperties"))
                assert known is not None, f"{place}: {name} is not in the document"
                self.check(member, known, f"{place}.{name}")
        elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
            for name, member in value.items():
                self.check(member, schema["additionalProperties"], f"{place}.{name}")
        if isinstance(value, list) and "items" in schema:
            for at, item in enumerate(value):
                self.check(item, schema["items"], f"{place}[{at}]")


def is_a(value, kind):
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


class JobQueue:
    """A queue of a test's own."""

    def __init__(self, native, name):
        self.native = native
        self.name = name
        self.path = "/v1/queues/" + urllib.parse.quote(name, safe="")

    def add(self, *jobs, **headers):
        """Adds jobs, and returns their ids."""
        added = self.native.post(f"{self.path}/jobs", {"jobs": list(jobs)}, **headers)["jobs"]
        assert len(added) >= len(jobs)
        return [job["id"] for job in added]

    def lease(self, max=1, **rest):
        return self.native.post(f"{self.path}/lease", {"max": max, **rest})["jobs"]

    def settle(self, *entries):
        return self.native.post(f"{self.path}/settle", {"settle": list(entries)})["settled"]

    def complete(self, *jobs, **rest):
        return self.settle(*({"lease": job["lease"], **rest} for job in jobs))

    def fail(self, job, **rest):
        [settled] = self.settle({"lease": job["lease"], "action": "fail", **rest})
        return settled

    def job(self, id, **query):
        return self.native.get(f"{self.path}/jobs/{id}", **query)

    def list(self, **query):
        return self.native.get(f"{self.path}/jobs", **query)

    def counters(self):
        return self.native.get(self.path)["counters"]
