"""The native API's description of itself, and how it refuses what makes no sense."""

import json
import pathlib

import pytest

from native_words import Problem

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test_the_served_document_is_the_one_in_the_repository(native):
    assert native.document == json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert native.document["openapi"] == "3.1.0"


def test_the_page_needs_no_script_and_has_a_place_for_every_operation(weir, native):
    status, page = weir.get("/v1/docs")
    assert status == 200
    assert "<script" not in page
    for _, _, operation in native.routes:
        assert f'id="{operation["operationId"]}"' in page


def test_every_error_code_is_in_the_list_with_cause_and_cure(native):
    page = (ROOT / "docs" / "errors.md").read_text()
    for entry in native.document["x-weir-errors"]:
        assert f"| `{entry['code']}` | {entry['status']} | {entry['cause']} | {entry['cure']} |" in page


def test_an_address_tells_which_methods_it_takes(native):
    status, headers, body = native.raw("DELETE", "/v1/queues")
    assert (status, headers["Allow"]) == (405, "GET, POST")
    assert json.loads(body)["code"] == "request.method"
    status, _, body = native.raw("GET", "/v1/nothing/here")
    assert (status, json.loads(body)["code"]) == (404, "request.not_found")


@pytest.mark.parametrize(
    "body, field, words",
    [
        ({"name": 7}, "name", "expected a string"),
        ({"priority": -1}, "priority", "from 0 to 4294967295"),
        ({"prioriti": 1}, "prioriti", "unknown field"),
        ({"jobs": [{}, {"custom_id": "17"}]}, "jobs[1].custom_id", "digits"),
        ({"jobs": [{"retry": {"attempts_max": 0}}]}, "jobs[0].retry.attempts_max", "from 1 to 1000000, found 0"),
        ({"delay_ms": 1, "run_at_ms": 2}, "run_at_ms", "delay_ms"),
        ({"attributes": {"weir.name": "x"}}, "attributes.weir.name", "server's own"),
        ({"jobs": []}, "jobs", "from 1 to 10000"),
    ],
)
def test_a_refusal_names_field_limit_and_value(native, jobs, body, field, words):
    with pytest.raises(Problem) as refused:
        native.post(f"{jobs.path}/jobs", body)
    assert (refused.value.status, refused.value.code, refused.value.field) == (400, "request.invalid", field)
    assert words in refused.value.detail
    assert jobs.counters()["ready"] == 0


def test_curls_own_type_is_refused_with_a_cure(native, jobs):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, body = native.raw("POST", f"{jobs.path}/jobs", b"{}", headers)
    assert (status, json.loads(body)["code"]) == (415, "request.media_type")
    assert "--json" in next(e["cure"] for e in native.document["x-weir-errors"] if e["code"] == "request.media_type")


def test_a_page_of_another_origin_cannot_add_jobs(native, jobs):
    status, _, body = native.raw("POST", f"{jobs.path}/jobs", b"{}", {"Origin": "http://evil.test"})
    assert (status, json.loads(body)["code"]) == (403, "access.foreign_origin")
    assert jobs.counters()["ready"] == 0


def test_what_is_not_there_is_told(native, jobs):
    for path in ("/v1/queues/none", "/v1/queues/none/jobs/1", f"{jobs.path}/jobs/1", "/v1/limiters/none"):
        with pytest.raises(Problem) as refused:
            native.get(path)
        assert refused.value.status == 404
