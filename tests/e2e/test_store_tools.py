"""`weir store`: a check finds what is damaged, a repair says what would be lost before it does anything."""

import hashlib
import subprocess
import urllib.error
import urllib.request

import pytest

from sqs_words import bodies, receive, send
from weir_process import BINARY, Weir

DAMAGED = 3


def tool(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def content(folder):
    """Every file with a digest of its content, apart from the lock, which tools take too."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def killed(own_weir):
    """A server that was killed after a hundred sends, each of which was acknowledged on its own."""
    weir = own_weir()
    queue = weir.sqs().create_queue(QueueName="checked")["QueueUrl"]
    send(weir.sqs(), queue, *(f"body {n}." for n in range(100)))
    weir.kill()
    return weir


def damage(weir, text):
    """Flips a bit of the file that holds `text`; the file."""
    for path in sorted(weir.data_dir.rglob("*.seg")):
        raw = bytearray(path.read_bytes())
        at = raw.find(text)
        if at >= 0:
            raw[at] ^= 1
            path.write_bytes(raw)
            return path
    raise AssertionError(f"{text} is in no file")


def everything(weir):
    queue = weir.sqs().get_queue_url(QueueName="checked")["QueueUrl"]
    return bodies(receive(weir.sqs(), queue, 1000))


def test_a_check_finds_a_killed_store_whole_and_changes_nothing(killed):
    before = content(killed.data_dir)
    whole = tool("store", "check", killed.data_dir)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert content(killed.data_dir) == before
    assert everything(killed.start()) == [f"body {n}." for n in range(100)]


def test_a_damaged_store_is_named_and_not_served(killed):
    path = damage(killed, b"body 50.")
    checked = tool("store", "check", killed.data_dir)
    assert checked.returncode == DAMAGED
    assert path.name in checked.stdout
    served = tool("serve", "--data-dir", killed.data_dir, "--listen", "127.0.0.1:0")
    assert served.returncode == DAMAGED
    assert path.name in served.stdout + served.stderr


def test_a_repair_says_what_would_be_lost_and_does_it_only_when_told_to(killed):
    damage(killed, b"body 50.")
    before = content(killed.data_dir)
    plan = tool("store", "repair", killed.data_dir)
    assert "lost" in plan.stdout
    assert content(killed.data_dir) == before
    done = tool("store", "repair", killed.data_dir, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert tool("store", "check", killed.data_dir).returncode == 0
    assert everything(killed.start()) == [f"body {n}." for n in range(50)]


def test_a_write_that_was_cut_short_at_the_end_is_cut_off_and_reported(killed):
    damage(killed, b"body 99.")
    checked = tool("store", "check", killed.data_dir)
    assert checked.returncode == 0, checked.stdout
    assert "torn" in checked.stdout
    assert everything(killed.start()) == [f"body {n}." for n in range(99)]
    assert "torn" in killed.log() or "cut" in killed.log()


def test_a_tool_does_not_touch_a_store_that_is_served(own_weir):
    weir = own_weir()
    for command in (["check"], ["repair"]):
        refused = tool("store", *command, weir.data_dir)
        assert refused.returncode == 4, refused.stdout + refused.stderr


def test_a_tool_makes_no_directory(tmp_path):
    assert tool("store", "check", tmp_path / "nowhere").returncode == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_store_that_was_closed_is_whole_and_damage_in_its_tables_is_found(own_weir):
    weir = own_weir()
    queue = weir.sqs().create_queue(QueueName="checked")["QueueUrl"]
    send(weir.sqs(), queue, *(f"body {n}." for n in range(100)))
    assert weir.end() == 0
    assert tool("store", "check", weir.data_dir).returncode == 0
    tables = weir.data_dir / "shards" / "0000" / "tables"
    raw = bytearray(tables.read_bytes())
    raw[raw.index(b"body 50.")] ^= 1
    tables.write_bytes(raw)
    checked = tool("store", "check", weir.data_dir)
    assert checked.returncode == DAMAGED, checked.stdout + checked.stderr
    assert "tables" in checked.stdout


def test_a_backup_of_a_serving_store_holds_what_was_acknowledged_and_can_be_served(own_weir, tmp_path):
    weir = own_weir()
    queue = weir.sqs().create_queue(QueueName="checked")["QueueUrl"]
    send(weir.sqs(), queue, *(f"body {n}." for n in range(100)))
    copy = tmp_path / "copy"
    copied = tool("store", "backup", copy, "--url", weir.url)
    assert copied.returncode == 0, copied.stdout + copied.stderr
    send(weir.sqs(), queue, "later")
    assert weir.get("/health/ready")[0] == 200

    again = tool("store", "backup", copy, "--url", weir.url)
    assert again.returncode == 1 and "not empty" in again.stderr, again.stderr
    assert tool("store", "check", copy).returncode == 0
    copied_weir = Weir(copy).start()
    try:
        assert everything(copied_weir) == [f"body {n}." for n in range(100)]
    finally:
        copied_weir.end()


def test_a_backup_needs_a_server_and_a_whole_request(own_weir, tmp_path):
    assert tool("store", "backup", tmp_path / "copy", "--url", "http://127.0.0.1:1").returncode == 8
    weir = own_weir()
    url = weir.url + "/v1/admin/backup"
    for headers, body, status in [
        ({"Content-Type": "text/plain"}, b'{"directory": "/x"}', 415),
        ({"Content-Type": "application/json"}, b'{"directory": "relative"}', 400),
        ({"Content-Type": "application/json"}, b"{", 400),
        ({"Content-Type": "application/json"}, b'{"directory": "/x", "other": 1}', 400),
    ]:
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        assert refused.value.code == status
    assert not (tmp_path / "copy").exists()
