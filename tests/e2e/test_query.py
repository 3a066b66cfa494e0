"""The Query protocol, byte for byte as SDKs before 2023 sent it: forms in, XML out."""

import hashlib
import http.client
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest

SPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


class Query:
    """Old calls on a server."""

    def __init__(self, weir):
        self.weir = weir

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.weir.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def call(self, action, path="/", status=200, **parameters):
        """Posts a form; the root of the answer."""
        form = {"Action": action, "Version": "2012-11-05"}
        form |= {key.replace("__", "."): value for key, value in parameters.items()}
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        found, answered, text = self.raw("POST", path, urllib.parse.urlencode(form), headers)
        assert found == status, text
        assert answered["Content-Type"].startswith("text/xml")
        root = ElementTree.fromstring(text)
        if status == 200:
            assert root.tag == f"{SPACE}{action}Response"
            assert root.find(f"{SPACE}ResponseMetadata/{SPACE}RequestId").text
        return root

    def refused(self, action, path="/", status=400, **parameters):
        """Posts a form that must be refused; the code and the text of the error."""
        root = self.call(action, path, status, **parameters)
        assert root.tag == f"{SPACE}ErrorResponse"
        error = root.find(f"{SPACE}Error")
        assert error.find(f"{SPACE}Type").text == "Sender"
        assert error.find(f"{SPACE}Detail") is not None
        assert root.find(f"{SPACE}RequestId").text
        return error.find(f"{SPACE}Code").text, error.find(f"{SPACE}Message").text


@pytest.fixture(scope="session")
def query(weir):
    return Query(weir)


@pytest.fixture
def make(query, request):
    """Makes a queue named after the test; its path."""

    def make(suffix="", **parameters):
        name = request.node.name[:70].replace("[", "-").replace("]", "").replace(".", "-") + suffix
        root = query.call("CreateQueue", QueueName=name, **parameters)
        url = root.find(f"{SPACE}CreateQueueResult/{SPACE}QueueUrl").text
        return urllib.parse.urlsplit(url).path

    return make


def texts(root, *names):
    path = "/".join(SPACE + name for name in names)
    return [element.text for element in root.findall(path)]


def pairs(root, *path):
    found = root.findall("/".join(SPACE + name for name in path))
    return {pair.find(f"{SPACE}Name").text: pair.find(f"{SPACE}Value").text for pair in found}


def test_a_message_goes_round_on_the_queues_own_address(query, make):
    path = make()
    body = "a <body> & more\r\n\ttab žluť"
    sent = query.call(
        "SendMessage",
        path,
        MessageBody=body,
        MessageAttribute__1__Name="kind",
        MessageAttribute__1__Value__DataType="String",
        MessageAttribute__1__Value__StringValue="mail",
    )
    assert texts(sent, "SendMessageResult", "MD5OfMessageBody") == [hashlib.md5(body.encode()).hexdigest()]
    assert texts(sent, "SendMessageResult", "MD5OfMessageAttributes")
    received = query.call(
        "ReceiveMessage",
        path,
        MaxNumberOfMessages="10",
        AttributeName__1="All",
        MessageAttributeName__1="All",
    )
    [message] = received.findall(f"{SPACE}ReceiveMessageResult/{SPACE}Message")
    assert texts(message, "Body") == [body]
    assert pairs(message, "Attribute")["ApproximateReceiveCount"] == "1"
    [attribute] = message.findall(f"{SPACE}MessageAttribute")
    assert texts(attribute, "Name") == ["kind"]
    assert texts(attribute, "Value", "StringValue") == ["mail"]
    [handle] = texts(message, "ReceiptHandle")
    query.call("ChangeMessageVisibility", path, ReceiptHandle=handle, VisibilityTimeout="60")
    query.call("DeleteMessage", path, ReceiptHandle=handle)
    attributes = query.call("GetQueueAttributes", path, AttributeName__1="All")
    found = pairs(attributes, "GetQueueAttributesResult", "Attribute")
    assert found["ApproximateNumberOfMessages"] == "0"
    assert found["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_the_queue_may_be_named_by_a_parameter(query, make, weir):
    path = make()
    query.call("SendMessage", QueueUrl=weir.url + path, MessageBody="by URL")
    query.call("SendMessage", QueueUrl=path.rsplit("/", 1)[1], MessageBody="by name")
    received = query.call("ReceiveMessage", path, MaxNumberOfMessages="10")
    assert texts(received, "ReceiveMessageResult", "Message", "Body") == ["by URL", "by name"]


def test_a_get_on_a_queues_address_works(query, make):
    path = make()
    status, _, text = query.raw("GET", path + "?Action=SendMessage&Version=2012-11-05&MessageBody=a%20b%2Bc+d")
    assert status == 200, text
    received = query.call("ReceiveMessage", path)
    assert texts(received, "ReceiveMessageResult", "Message", "Body") == ["a b+c d"]


def test_batches_answer_entry_by_entry(query, make):
    path = make()
    root = query.call(
        "SendMessageBatch",
        path,
        SendMessageBatchRequestEntry__1__Id="good",
        SendMessageBatchRequestEntry__1__MessageBody="body",
        SendMessageBatchRequestEntry__2__Id="bad",
        SendMessageBatchRequestEntry__2__MessageBody="body",
        SendMessageBatchRequestEntry__2__DelaySeconds="-1",
    )
    assert texts(root, "SendMessageBatchResult", "SendMessageBatchResultEntry", "Id") == ["good"]
    assert texts(root, "SendMessageBatchResult", "BatchResultErrorEntry", "Id") == ["bad"]
    assert texts(root, "SendMessageBatchResult", "BatchResultErrorEntry", "SenderFault") == ["true"]
    received = query.call("ReceiveMessage", path)
    [handle] = texts(received, "ReceiveMessageResult", "Message", "ReceiptHandle")
    root = query.call(
        "DeleteMessageBatch",
        path,
        DeleteMessageBatchRequestEntry__1__Id="one",
        DeleteMessageBatchRequestEntry__1__ReceiptHandle=handle,
    )
    assert texts(root, "DeleteMessageBatchResult", "DeleteMessageBatchResultEntry", "Id") == ["one"]


def test_attributes_and_tags_of_a_queue(query, make):
    path = make(
        Attribute__1__Name="VisibilityTimeout",
        Attribute__1__Value="45",
        Tag__1__Key="team",
        Tag__1__Value="mail",
    )
    query.call("SetQueueAttributes", path, Attribute__Name="DelaySeconds", Attribute__Value="3")
    root = query.call("GetQueueAttributes", path, AttributeName__1="VisibilityTimeout", AttributeName__2="DelaySeconds")
    assert pairs(root, "GetQueueAttributesResult", "Attribute") == {"VisibilityTimeout": "45", "DelaySeconds": "3"}
    query.call("TagQueue", path, Tag__1__Key="cost", Tag__1__Value="low")
    query.call("UntagQueue", path, TagKey__1="team")
    root = query.call("ListQueueTags", path)
    assert texts(root, "ListQueueTagsResult", "Tag", "Key") == ["cost"]
    assert texts(root, "ListQueueTagsResult", "Tag", "Value") == ["low"]


def test_permissions_are_stored_and_returned(query, make):
    path = make()
    query.call(
        "AddPermission",
        path,
        Label="send",
        AWSAccountId__1="123456789012",
        ActionName__1="SendMessage",
    )
    root = query.call("GetQueueAttributes", path, AttributeName__1="Policy")
    policy = pairs(root, "GetQueueAttributesResult", "Attribute")["Policy"]
    assert '"2008-10-17"' in policy and '"send"' in policy
    query.call("RemovePermission", path, Label="send")
    root = query.call("GetQueueAttributes", path, AttributeName__1="Policy")
    assert pairs(root, "GetQueueAttributesResult", "Attribute") == {}


def test_an_unknown_queue_has_the_old_code(query):
    code, message = query.refused("GetQueueUrl", QueueName="nobody-made-this")
    assert code == "AWS.SimpleQueueService.NonExistentQueue"
    assert message == "The specified queue does not exist for this wsdl version."
    code, _ = query.refused("SendMessage", "/000000000000/nobody-made-this", MessageBody="x")
    assert code == "AWS.SimpleQueueService.NonExistentQueue"


def test_what_xml_cannot_carry_is_left_to_the_other_protocol(query, make, sqs, weir):
    path = make()
    sqs.send_message(QueueUrl=weir.url + path, MessageBody="bell \x07")
    code, message = query.refused("ReceiveMessage", path, VisibilityTimeout="0")
    assert "JSON" in message, (code, message)
    [received] = sqs.receive_message(QueueUrl=weir.url + path)["Messages"]
    assert received["Body"] == "bell \x07"


def test_a_missing_parameter_and_an_unknown_action(query, make):
    path = make()
    assert query.refused("SendMessage", path)[0] == "MissingParameter"
    assert query.refused("Frobnicate", path)[0] == "InvalidAction"
    status, _, text = query.raw("GET", path)
    assert (status, "UnknownOperationException" in text) == (404, True) or status == 400


def test_hostile_forms_are_refused_cheaply(query, make):
    path = make()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for form in [
        "Action=SendMessage&MessageBody=%ZZ",
        "Action=SendMessage&MessageBody=%ff%fe",
        "Action=SendMessageBatch&" + "&".join(f"SendMessageBatchRequestEntry.{n}.Id=x" for n in range(100_000)),
        "Action=SendMessageBatch&SendMessageBatchRequestEntry.99999999999999999999.Id=x",
        "Action=CreateQueue&QueueName=a&QueueName=b",
        "&" * 100_000,
    ]:
        status, _, text = query.raw("POST", path, form, headers)
        assert 400 <= status < 500, (form[:60], status, text[:200])
        assert ElementTree.fromstring(text).tag.endswith("ErrorResponse")
    root = query.call("GetQueueAttributes", path, AttributeName__1="ApproximateNumberOfMessages")
    assert pairs(root, "GetQueueAttributesResult", "Attribute") == {"ApproximateNumberOfMessages": "0"}
