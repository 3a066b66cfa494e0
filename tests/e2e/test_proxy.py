"""A reverse proxy before the server: what queue URLs name, and what of a signature it may change."""

import http.client
import http.server
import threading

import pytest

from signatures import Key
from sqs_words import bodies, counts, delete, receive, refused, send
from weir_process import PATIENCE_SECONDS, eventually

ADMIN = Key("ADMIN", "admin")
# Headers that speak of one connection alone.
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


class Proxy:
    """Passes requests on to a server, each on a connection of its own."""

    def __init__(self, weir, keeps_host=True, headers=()):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(handler):
                length = int(handler.headers.get("Content-Length", 0))
                body = handler.rfile.read(length)
                onward = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=PATIENCE_SECONDS)
                try:
                    onward.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
                    if not keeps_host:
                        onward.putheader("Host", f"127.0.0.1:{weir.port}")
                    for name, value in [*handler.headers.items(), *headers]:
                        if name.lower() not in OF_THE_CONNECTION and (keeps_host or name.lower() != "host"):
                            onward.putheader(name, value)
                    onward.endheaders(body)
                    answer = onward.getresponse()
                    content = answer.read()
                finally:
                    onward.close()
                self.passed += 1
                handler.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in OF_THE_CONNECTION | {"content-length", "date"}:
                        handler.send_header(name, value)
                handler.send_header("Content-Length", str(len(content)))
                handler.end_headers()
                handler.wfile.write(content)

            do_GET = do_POST = forward

            def log_message(self, *_):
                pass

        self.passed = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def named_url(self):
        """The same by a name."""
        return f"http://localhost:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def proxy():
    """Makes proxies, which end with the test."""
    proxies = []

    def make(weir, **options):
        proxies.append(Proxy(weir, **options))
        return proxies[-1]

    yield make
    for each in proxies:
        each.close()


@pytest.fixture
def configuration(tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text(ADMIN.table)
    return str(file)


def goes_through(sqs, queue):
    """A message's life by the queue's own URL."""
    send(sqs, queue, "through")
    [message] = receive(sqs, queue, wait=5)
    assert message["Body"] == "through"
    delete(sqs, queue, message)
    assert counts(sqs, queue) == (0, 0, 0)


def test_queue_urls_name_the_proxy_that_keeps_the_host(weir, proxy):
    by_name = proxy(weir)
    sqs = weir.sqs(url=by_name.named_url)
    queue = sqs.create_queue(QueueName="proxied")["QueueUrl"]
    assert queue == f"{by_name.named_url}/000000000000/proxied"
    passed = by_name.passed
    goes_through(sqs, queue)
    assert by_name.passed > passed
    assert sqs.get_queue_url(QueueName="proxied")["QueueUrl"] == queue
    assert sqs.list_queues(QueueNamePrefix="proxied")["QueueUrls"] == [queue]
    # Who comes past the proxy is told of the server itself; both mean one queue.
    direct = weir.sqs().get_queue_url(QueueName="proxied")["QueueUrl"]
    assert direct == f"{weir.url}/000000000000/proxied"
    send(weir.sqs(), queue, "by the other's URL")
    assert bodies(receive(sqs, direct)) == ["by the other's URL"]


def test_a_forwarded_host_is_nobodys_word(weir, proxy):
    through = proxy(weir, headers=[("X-Forwarded-Host", "evil.test"), ("Forwarded", "host=evil.test;proto=https")])
    queue = weir.sqs(url=through.url).create_queue(QueueName="forwarded")["QueueUrl"]
    assert queue == f"{through.url}/000000000000/forwarded"


def test_public_url_is_what_queue_urls_name(own_weir, proxy):
    weir = own_weir("--public-url", "https://queues.example.com:8443")
    through = proxy(weir, keeps_host=False)
    sqs = weir.sqs(url=through.url)
    queue = sqs.create_queue(QueueName="public")["QueueUrl"]
    assert queue == "https://queues.example.com:8443/000000000000/public"
    assert weir.sqs().list_queues()["QueueUrls"] == [queue]
    # SDKs send to the endpoint, whatever host the URL names; it is the path that tells the queue.
    goes_through(sqs, queue)
    goes_through(sqs, f"{through.url}/000000000000/public")


def test_a_queue_url_of_public_url_leads_back_through_the_proxy(own_weir, proxy, tmp_path):
    # The port of a proxy is known before the server's that it is for.
    weir = own_weir()
    through = proxy(weir, keeps_host=False)
    assert weir.end() == 0
    weir.arguments = ("--public-url", through.named_url)
    weir.start()
    queue = weir.sqs(url=through.url).create_queue(QueueName="led-back")["QueueUrl"]
    assert queue == f"{through.named_url}/000000000000/led-back"
    goes_through(weir.sqs(url=queue.rsplit("/", 2)[0]), queue)


def test_signed_requests_pass_a_proxy_that_keeps_the_host(own_weir, proxy, configuration):
    weir = own_weir("--config", configuration)
    through = proxy(weir, headers=[("X-Forwarded-For", "192.0.2.7"), ("Via", "1.1 proxy")])
    sqs = weir.sqs(ADMIN.pair, url=through.named_url)
    queue = sqs.create_queue(QueueName="signed")["QueueUrl"]
    assert queue == f"{through.named_url}/000000000000/signed"
    goes_through(sqs, queue)


def test_a_proxy_that_changes_the_host_breaks_signatures(own_weir, proxy, configuration):
    weir = own_weir("--config", configuration)
    through = proxy(weir, keeps_host=False)
    with refused("SignatureDoesNotMatch", 403):
        weir.sqs(ADMIN.pair, url=through.named_url).list_queues()
    assert weir.sqs(ADMIN.pair).list_queues()


def test_a_long_poll_waits_behind_a_proxy(weir, waiting_receivers, proxy):
    through = proxy(weir)
    sqs = weir.sqs(url=through.url)
    queue = sqs.create_queue(QueueName="polled")["QueueUrl"]
    got = []
    poller = threading.Thread(target=lambda: got.extend(bodies(receive(sqs, queue, wait=20))))
    poller.start()
    eventually(lambda: waiting_receivers() == 1, "the receiver waits")
    send(weir.sqs(), queue, "awaited")
    poller.join()
    assert got == ["awaited"]


def test_an_absolute_target_names_the_host_as_proxies_send_it(weir):
    body = b'{"QueueName":"absolute"}'
    with weir.connect() as connection:
        connection.sendall(
            b"POST http://queues.test:8080/ HTTP/1.1\r\nHost: queues.test:8080\r\n"
            b"X-Amz-Target: AmazonSQS.CreateQueue\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    assert b"http://queues.test:8080/000000000000/absolute" in answer
