"""What the README tells a new user to type, typed."""

import json
import pathlib
import re
import subprocess

from weir_process import PATIENCE_SECONDS

README = pathlib.Path(__file__).resolve().parent.parent.parent / "README.md"


def commands(heading):
    """The lines for a shell under a heading."""
    section = README.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.S))


def typed(script):
    """What the commands write, as the JSON that it is."""
    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    answers, rest, decoder = [], done.stdout.strip(), json.JSONDecoder()
    while rest:
        answer, end = decoder.raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    return answers


def test_jobs_go_through_with_nothing_but_curl(own_weir):
    server = own_weir()
    script = commands("Jobs, with nothing but curl").replace("http://127.0.0.1:9324", server.url)
    answers = typed(script)
    assert len(answers) == script.count("curl -s")
    assert [answer for answer in answers if "code" in answer] == []
    _, _, _, leased, settled, _, waited, explained, retried, _, _ = answers
    assert len(leased["jobs"]) == 3
    assert [entry["state"] for entry in settled["settled"]] == ["completed", "delayed"]
    assert (waited["custom_id"], waited["result"]) == ("welcome-ada", {"sent": True})
    assert explained["state"] == "completed"
    assert retried["done"] is True


def test_an_event_comes_to_those_who_want_it(own_weir):
    server = own_weir()
    script = commands("One event, many consumers").replace("http://127.0.0.1:9324", server.url)
    answers = typed(script)
    assert len(answers) == script.count("curl -s")
    assert [answer for answer in answers if "code" in answer] == []
    *_, history, sales = answers
    assert [job["data"] for job in history["jobs"]] == [{"user": 17}]
    assert sales["jobs"] == []


def test_the_native_api_is_spoken_over_http_2_as_well(weir, jobs):
    jobs.add({"data": 1})
    url = f"{weir.url}{jobs.path}/lease"
    for version in ("--http2-prior-knowledge", "--http1.1"):
        written = subprocess.run(
            ["curl", "-s", version, url, "--json", '{"max": 1}', "-w", "\n%{http_version}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        ).stdout
        answer, spoken = written.rsplit("\n", 1)
        assert "jobs" in json.loads(answer)
        assert spoken == ("2" if "http2" in version else "1.1")
