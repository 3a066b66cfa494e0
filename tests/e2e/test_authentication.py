"""Signed requests: whose they are, what their holder may, and what was changed on the way."""

import datetime
import json
import re
import subprocess

import pytest

import signatures
from signatures import Key, form_request, json_request, presigned, signed, url_request
from sqs_words import counts, delete, receive, refused, send
from weir_process import BINARY, Weir, eventually

ADMIN = Key("ADMIN", "admin")
WRITER = Key("WRITER", "write")
READER = Key("READER", "read")
STRANGER = Key("STRANGER", "admin", namespace="111122223333")
KEYS = [ADMIN, WRITER, READER, STRANGER]
NOBODY = Key("NOBODY", "admin")
MINUTE = datetime.timedelta(minutes=1)


def liar(key):
    """The key with a wrong secret."""
    other = Key(key.id, key.role)
    other.secret = key.secret[:-1] + "!"
    return other


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "weir.toml"
    file.write_text("\n".join(key.table for key in KEYS))
    return str(file)


@pytest.fixture(scope="module")
def weir(tmp_path_factory, configuration):
    with Weir(tmp_path_factory.mktemp("weir") / "data", "--config", configuration) as server:
        yield server


@pytest.fixture(scope="module")
def sqs(weir):
    return weir.sqs(ADMIN.pair)


@pytest.fixture(scope="module")
def aging_queues():
    """These tests wait for no minute."""


def code(answer):
    """The error code in an answer of either protocol."""
    status, text = answer
    assert status >= 400, text
    if text.startswith("{"):
        return status, json.loads(text)["__type"].split("#")[1]
    return status, re.search(r"<Code>(.*?)</Code>", text).group(1)


def body_of(queue, **more):
    return json.dumps({"QueueUrl": queue} | more)


def path_of(queue):
    return "/" + queue.split("/", 3)[3]


def test_boto3_sends_receives_and_deletes_signed(weir, queue):
    sqs = weir.sqs(WRITER.pair)
    send(sqs, queue, "signed")
    [message] = receive(sqs, queue)
    assert message["Body"] == "signed"
    delete(sqs, queue, message)
    assert counts(sqs, queue) == (0, 0, 0)
    assert "/000000000000/" in queue


def test_forms_of_old_clients_are_verified(weir):
    made = form_request(weir, ADMIN, Action="CreateQueue", QueueName="old-form").send(weir)
    assert made[0] == 200, made
    path = path_of(re.search("<QueueUrl>(.*)</QueueUrl>", made[1]).group(1))
    words = "a b+c/d=e&f%20ä~*'"
    status, text = form_request(weir, WRITER, path=path, Action="SendMessage", MessageBody=words).send(weir)
    assert status == 200, text
    status, text = url_request(weir, WRITER, path=path, Action="SendMessage", MessageBody=words).send(weir)
    assert status == 200, text
    sqs = weir.sqs(WRITER.pair)
    assert [message["Body"] for message in receive(sqs, f"{weir.url}{path}", 10)] == [words] * 2


def test_a_wrong_secret_is_refused_in_both_protocols(weir, queue):
    with refused("SignatureDoesNotMatch", 403) as error:
        send(weir.sqs(liar(ADMIN).pair), queue, "x")
    assert "does not match" in error.message
    body = body_of(queue, MessageBody="x")
    assert code(json_request(weir, liar(ADMIN), "SendMessage", body).send(weir)) == (403, "InvalidSignatureException")
    form = form_request(weir, liar(ADMIN), path=path_of(queue), Action="SendMessage", MessageBody="x")
    assert code(form.send(weir)) == (403, "SignatureDoesNotMatch")
    assert counts(weir.sqs(ADMIN.pair), queue) == (0, 0, 0)


def test_an_unknown_key_is_refused(weir, queue):
    with refused("InvalidClientTokenId", 403):
        send(weir.sqs(NOBODY.pair), queue, "x")
    answer = json_request(weir, NOBODY, "ListQueues", "{}").send(weir)
    assert code(answer) == (403, "UnrecognizedClientException")
    assert code(url_request(weir, NOBODY, Action="ListQueues").send(weir)) == (403, "InvalidClientTokenId")


def test_a_request_without_signature_is_refused(weir, queue):
    bare = json_request(weir, ADMIN, "SendMessage", body_of(queue, MessageBody="x"))
    bare.headers = [(name, value) for name, value in bare.headers if name.lower() != "authorization"]
    assert code(bare.send(weir)) == (403, "MissingAuthenticationTokenException")
    form = form_request(weir, ADMIN, path=path_of(queue), Action="SendMessage", MessageBody="x")
    form.headers = [(name, value) for name, value in form.headers if name.lower() != "authorization"]
    assert code(form.send(weir)) == (403, "MissingAuthenticationToken")
    assert code(form.add("Authorization", "Basic YTpi").send(weir)) == (400, "IncompleteSignature")
    # The operation does not even have to exist.
    assert code(form_request(weir, liar(ADMIN), Action="Fly").send(weir)) == (403, "SignatureDoesNotMatch")
    assert counts(weir.sqs(ADMIN.pair), queue) == (0, 0, 0)


@pytest.mark.parametrize("minutes, status", [(-20, 403), (-10, 200), (10, 200), (20, 403)])
def test_a_clock_may_differ_by_a_quarter_of_an_hour(weir, minutes, status):
    at = signatures.now() + minutes * MINUTE
    answer = json_request(weir, READER, "ListQueues", "{}", at=at).send(weir)
    assert answer[0] == status, answer
    if status == 403:
        assert code(answer)[1] == "InvalidSignatureException"
        assert ("not yet current" if minutes > 0 else "expired") in answer[1]


def test_a_session_token_is_tolerated_and_covered(weir, queue):
    send(weir.sqs(WRITER.pair, token="FwoGZXIvYXdzEXAMPLE//+="), queue, "x")
    request = json_request(weir, WRITER, "SendMessage", body_of(queue, MessageBody="x"), token="a token")
    assert "x-amz-security-token" in request.header("Authorization")
    changed = request.change("X-Amz-Security-Token", "another")
    assert code(changed.send(weir)) == (403, "InvalidSignatureException")
    assert counts(weir.sqs(ADMIN.pair), queue) == (1, 0, 0)


def test_a_presigned_url_works_as_often_as_it_is_called_until_it_expires(weir, queue):
    url = url_request(weir, WRITER, path_of(queue), presigned, Action="SendMessage", MessageBody="again")
    assert "X-Amz-Signature=" in url.path and all(name != "Authorization" for name, _ in url.headers)
    assert [url.send(weir)[0] for _ in range(3)] == [200] * 3
    assert counts(weir.sqs(ADMIN.pair), queue) == (3, 0, 0)
    # It is for a GET.
    url.method = "POST"
    assert code(url.add("Content-Length", "0").send(weir)) == (403, "SignatureDoesNotMatch")


def test_the_replay_of_a_presigned_url_ends_when_it_says(weir, queue):
    lifetime = 2
    signed_at = signatures.now().replace(microsecond=0)
    until = signed_at + datetime.timedelta(seconds=lifetime)
    url = url_request(
        weir, READER, path_of(queue), presigned, Action="GetQueueAttributes", expires=lifetime, at=signed_at
    )

    def ended():
        before = signatures.now()
        answer = url.send(weir)
        if answer[0] == 200:
            # Times are whole seconds: the last one counts to its end.
            assert before < until + datetime.timedelta(seconds=1)
            return False
        assert code(answer) == (403, "SignatureDoesNotMatch") and "valid until" in answer[1]
        assert signatures.now() >= until
        return True

    eventually(ended, "the URL expires")


@pytest.mark.parametrize(
    "expires, signed_ago, status",
    [(60, 2, 403), (600, 2, 200), (3600, 50, 200), (604_800, 0, 200), (604_801, 0, 400), (60, -20, 403)],
)
def test_a_presigned_url_is_valid_for_as_long_as_it_says(weir, expires, signed_ago, status):
    at = signatures.now() - signed_ago * MINUTE
    answer = url_request(weir, READER, "/", presigned, Action="ListQueues", expires=expires, at=at).send(weir)
    assert answer[0] == status, answer


def test_the_body_of_a_signed_request_cannot_be_left_open(weir, queue):
    open_body = {"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "X-Amz-Target": "AmazonSQS.SendMessage"}
    answer = signed(weir, WRITER, headers=open_body, body=body_of(queue, MessageBody="x")).send(weir)
    assert code(answer) == (403, "InvalidSignatureException") and "UNSIGNED-PAYLOAD" in answer[1]
    assert counts(weir.sqs(ADMIN.pair), queue) == (0, 0, 0)


SIGNED_WRONGLY = {
    (403, "InvalidSignatureException"),
    (403, "SignatureDoesNotMatch"),
    (400, "IncompleteSignatureException"),
    (400, "IncompleteSignature"),
}


def tampered_body(request):
    request.body = request.body.replace(b"kept", b"lost")


JSON_TAMPERINGS = {
    "body": tampered_body,
    "operation": lambda request: request.change("X-Amz-Target", "AmazonSQS.PurgeQueue"),
    "host": lambda request: request.change("Host", "elsewhere.test"),
    "second host": lambda request: request.add("Host", "elsewhere.test"),
    "type": lambda request: request.change("Content-Type", "application/x-amz-json-1.1"),
    "date": lambda request: request.change(
        "X-Amz-Date", (signatures.now() - MINUTE).strftime("%Y%m%dT%H%M%SZ")
    ),
    "path": lambda request: setattr(request, "path", "/x"),
    "query": lambda request: setattr(request, "path", "/?x=y"),
    "payload hash": lambda request: request.add("X-Amz-Content-Sha256", "0" * 64),
    "unsigned payload": lambda request: request.add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
    "second authorization": lambda request: request.add("Authorization", request.header("Authorization")),
    "fewer signed headers": lambda request: request.change(
        "Authorization", request.header("Authorization").replace(";x-amz-target", "")
    ),
    "other key": lambda request: request.change(
        "Authorization", request.header("Authorization").replace("WRITER/", "ADMIN/")
    ),
    "other region": lambda request: request.change(
        "Authorization", request.header("Authorization").replace("us-east-1", "eu-west-1")
    ),
    "other service": lambda request: request.change(
        "Authorization", request.header("Authorization").replace("/sqs/", "/weir/")
    ),
    "cut signature": lambda request: request.change("Authorization", request.header("Authorization")[:-1]),
}


@pytest.mark.parametrize("tamper", JSON_TAMPERINGS.values(), ids=JSON_TAMPERINGS)
def test_a_request_that_was_changed_on_the_way_is_refused(weir, queue, tamper):
    admin = weir.sqs(ADMIN.pair)
    send(admin, queue, "kept")
    request = json_request(weir, WRITER, "SendMessage", body_of(queue, MessageBody="kept"))
    tamper(request)
    assert code(request.send(weir)) in SIGNED_WRONGLY
    assert counts(admin, queue) == (1, 0, 0)


FORM_TAMPERINGS = {
    "action": lambda request: request.replace("Action=SendMessage", "Action=ReceiveMessage"),
    "queue": lambda request: request.replace("/000000000000/", "/000000000000/x"),
    "account": lambda request: request.replace("/000000000000/", "/111122223333/"),
    "value": lambda request: request.replace("MessageBody=kept", "MessageBody=lost"),
    "more": lambda request: request.replace("Action=", "DelaySeconds=5&Action="),
    "fewer": lambda request: request.replace("&DelaySeconds=0", ""),
    "expiry": lambda request: request.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
    "operation by header": lambda request: request.add("X-Amz-Target", "AmazonSQS.ListQueues"),
    "body": lambda request: setattr(request, "body", b"x") or request.add("Content-Length", "1"),
    "host": lambda request: request.change("Host", "elsewhere.test"),
    "second signature": lambda request: request.add("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
}


@pytest.mark.parametrize("tamper", FORM_TAMPERINGS.values(), ids=FORM_TAMPERINGS)
def test_a_presigned_url_that_was_changed_on_the_way_is_refused(weir, queue, tamper):
    parameters = {"Action": "SendMessage", "MessageBody": "kept", "DelaySeconds": "0"}
    request = url_request(weir, WRITER, path_of(queue), presigned, **parameters)
    tamper(request)
    assert code(request.send(weir)) in SIGNED_WRONGLY
    assert counts(weir.sqs(ADMIN.pair), queue) == (0, 0, 0)
    untouched = url_request(weir, WRITER, path_of(queue), presigned, **parameters)
    assert untouched.send(weir)[0] == 200


READS = {
    "get_queue_url": {"QueueName": "no-such-queue"},
    "list_queues": {},
    "get_queue_attributes": {},
    "list_queue_tags": {},
    "list_dead_letter_source_queues": {},
}
ENTRY = {"Id": "e", "ReceiptHandle": "x"}
WRITES = {
    "send_message": {"MessageBody": "x"},
    "send_message_batch": {"Entries": [{"Id": "e", "MessageBody": "x"}]},
    "receive_message": {},
    "delete_message": {"ReceiptHandle": "x"},
    "delete_message_batch": {"Entries": [ENTRY]},
    "change_message_visibility": {"ReceiptHandle": "x", "VisibilityTimeout": 1},
    "change_message_visibility_batch": {"Entries": [ENTRY | {"VisibilityTimeout": 1}]},
}
ADMINISTERS = {
    "create_queue": {"QueueName": "another"},
    "delete_queue": {},
    "set_queue_attributes": {"Attributes": {"DelaySeconds": "1"}},
    "purge_queue": {},
    "add_permission": {"Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]},
    "remove_permission": {"Label": "l"},
    "tag_queue": {"Tags": {"a": "b"}},
    "untag_queue": {"TagKeys": ["a"]},
    "start_message_move_task": {"SourceArn": "arn:aws:sqs:us-east-1:000000000000:x"},
    "cancel_message_move_task": {"TaskHandle": "x"},
}
WITHOUT_QUEUE = ("get_queue_url", "list_queues", "create_queue", "start_message_move_task", "cancel_message_move_task")


def denied(weir, key, operations, queue):
    """Those of the operations that the key's holder may not call."""
    sqs = weir.sqs(key.pair)

    def is_denied(name, parameters):
        if name not in WITHOUT_QUEUE:
            parameters = {"QueueUrl": queue} | parameters
        try:
            getattr(sqs, name)(**parameters)
        except sqs.exceptions.ClientError as error:
            return error.response["Error"]["Code"] == "AccessDenied"
        return False

    return {name for name, parameters in operations.items() if is_denied(name, parameters)}


def test_a_reader_may_neither_send_nor_change(weir, queue):
    admin = weir.sqs(ADMIN.pair)
    send(admin, queue, "kept")
    assert denied(weir, READER, READS, queue) == set()
    assert denied(weir, READER, WRITES | ADMINISTERS, queue) == set(WRITES | ADMINISTERS)
    assert counts(admin, queue) == (1, 0, 0)
    with refused("AccessDenied", 403) as error:
        send(weir.sqs(READER.pair), queue, "x")
    assert "SendMessage" in error.message and "write" in error.message


def test_a_writer_may_send_and_not_create(weir, queue):
    admin = weir.sqs(ADMIN.pair)
    assert denied(weir, WRITER, READS | WRITES, queue) == set()
    assert denied(weir, WRITER, ADMINISTERS, queue) == set(ADMINISTERS)
    assert queue in admin.list_queues()["QueueUrls"]
    assert not admin.list_queue_tags(QueueUrl=queue).get("Tags")


def test_an_administrator_may_everything(weir, make_queue):
    queue = make_queue()
    order = sorted(READS | WRITES | ADMINISTERS, key=lambda name: name == "delete_queue")
    operations = {name: (READS | WRITES | ADMINISTERS)[name] for name in order}
    assert denied(weir, ADMIN, operations, queue) == set()


def test_the_roles_speak_of_every_operation(weir):
    operations = set(weir.sqs(ADMIN.pair).meta.method_to_api_mapping)
    assert operations == set(READS | WRITES | ADMINISTERS) | {"list_message_move_tasks"}


def test_namespaces_are_apart(weir):
    ours, theirs = weir.sqs(ADMIN.pair), weir.sqs(STRANGER.pair)
    url = ours.create_queue(QueueName="same-name")["QueueUrl"]
    other = theirs.create_queue(QueueName="same-name", Attributes={"DelaySeconds": "7"})["QueueUrl"]
    assert path_of(url) == "/000000000000/same-name" and path_of(other) == "/111122223333/same-name"
    arn = theirs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert arn.endswith(":111122223333:same-name")
    send(ours, url, "ours")
    assert receive(theirs, other) == []
    assert theirs.list_queues()["QueueUrls"] == [other]
    assert other not in ours.list_queues()["QueueUrls"]
    for sqs, foreign in [(ours, other), (theirs, url)]:
        for call in (
            lambda: send(sqs, foreign, "x"),
            lambda: receive(sqs, foreign),
            lambda: sqs.delete_queue(QueueUrl=foreign),
            lambda: sqs.get_queue_attributes(QueueUrl=foreign),
            lambda: sqs.get_queue_attributes(QueueUrl=foreign.replace("same-name", "no-such-name")),
        ):
            with refused("AccessDenied", 403) as error:
                call()
    assert "000000000000" in error.message
    with refused("AccessDenied", 403):
        theirs.get_queue_url(QueueName="same-name", QueueOwnerAWSAccountId="000000000000")
    answer = form_request(weir, STRANGER, path=path_of(url), Action="PurgeQueue").send(weir)
    assert code(answer) == (403, "AccessDenied")
    assert counts(ours, url) == (1, 0, 0)


def test_dead_letters_do_not_cross_namespaces(weir, queue):
    theirs = weir.sqs(STRANGER.pair)
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue.rsplit('/', 1)[1]}"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    with pytest.raises(theirs.exceptions.ClientError) as error:
        theirs.create_queue(QueueName="leaking", Attributes={"RedrivePolicy": policy})
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    assert not any(url.endswith("/leaking") for url in theirs.list_queues().get("QueueUrls", []))


def test_a_backup_is_for_administrators(weir, tmp_path):
    def ask(key, directory, sign=True):
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"directory": str(directory)})
        request = signed(weir, key, path="/v1/admin/backup", headers=headers, body=body, service="weir")
        if not sign:
            request.headers = [(name, value) for name, value in request.headers if name.lower() != "authorization"]
        return request.send(weir)[0]

    assert ask(ADMIN, tmp_path / "unsigned", sign=False) == 403
    assert ask(liar(ADMIN), tmp_path / "wrong") == 403
    assert ask(WRITER, tmp_path / "writer") == 403
    assert not list(tmp_path.iterdir())
    assert ask(ADMIN, tmp_path / "copy") == 200
    assert list((tmp_path / "copy").iterdir())


def test_each_operation_of_the_native_api_needs_its_role(weir):
    def ask(key, method, path, body=None):
        headers = {"Content-Type": "application/json"}
        body = json.dumps({} if body is None else body) if method == "POST" else b""
        status, text = signed(weir, key, method=method, path=path, headers=headers, body=body, service="weir").send(weir)
        answer = json.loads(text)
        assert status != 403 or (answer["code"], answer["status"]) == ("access.denied", 403)
        return status

    queue = {"name": "roles"}
    assert [ask(key, "POST", "/v1/queues", queue) for key in (READER, WRITER, ADMIN)] == [403, 403, 200]
    assert [ask(key, "POST", "/v1/queues/roles/jobs") for key in (READER, WRITER, ADMIN)] == [403, 200, 200]
    assert [ask(key, "POST", "/v1/queues/roles/lease") for key in (READER, WRITER)] == [403, 200]
    assert [ask(key, "POST", "/v1/queues/roles/purge") for key in (READER, WRITER, ADMIN)] == [403, 403, 200]
    assert [ask(key, "GET", "/v1/queues/roles") for key in (READER, WRITER, ADMIN)] == [200, 200, 200]
    assert ask(STRANGER, "GET", "/v1/queues/roles") == 404
    assert [ask(liar(key), "GET", "/v1/queues/roles") for key in (READER, ADMIN)] == [403, 403]


def test_the_reference_is_open_to_all(weir):
    assert weir.get("/v1/docs")[0] == 200
    assert json.loads(weir.get("/v1/openapi.json")[1])["openapi"] == "3.1.0"
    assert weir.get("/v1/queues")[0] == 403


def test_health_and_metrics_need_no_signature(weir):
    assert weir.get("/health/live") == (200, "live\n")
    assert weir.get("/health/ready") == (200, "ready\n")
    status, text = weir.get("/metrics")
    assert status == 200 and "weir_" in text


def test_addresses_that_others_reach_need_keys(own_weir, tmp_path, configuration):
    arguments = [BINARY, "serve", "--data-dir", tmp_path / "refused", "--listen", "0.0.0.0:0"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "no keys are configured" in done.stdout + done.stderr
    assert not (tmp_path / "refused").exists()
    weir = own_weir("--config", configuration, listen="0.0.0.0:0")
    sqs = weir.sqs(ADMIN.pair)
    assert weir.url in sqs.create_queue(QueueName="reached")["QueueUrl"]
    with refused("InvalidClientTokenId", 403):
        weir.sqs().list_queues()


def test_no_secret_is_logged_or_shown(weir, configuration):
    weir.sqs(ADMIN.pair).list_queues()
    shown = subprocess.run(
        [BINARY, "config", "show", "--config", configuration], capture_output=True, text=True, timeout=30
    )
    assert shown.returncode == 0 and "STRANGER" in shown.stdout
    answer = json_request(weir, liar(ADMIN), "ListQueues", "{}").send(weir)[1]
    for key in KEYS:
        for text in (weir.log(), shown.stdout, weir.get("/metrics")[1], answer):
            assert key.secret not in text
