"""An HTTP server under a test's control: what the URL behind a queue may turn out to be."""

import http.server
import json
import queue
import socket
import threading

from weir_process import PATIENCE_SECONDS


class Request:
    """A request that came."""

    def __init__(self, path, headers, body, connection):
        self.path, self.headers, self.body, self.connection = path, headers, body, connection

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """Answers every request by `answer`, which a test may change: a function from a request to a status, or to a status,
    headers and a body; or to a function that has the bare socket."""

    def __init__(self):
        self.answer = lambda request: 200
        self.requests = queue.Queue()
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                request = Request(self.path, self.headers, body, self.client_address)
                with receiver.lock:
                    receiver.under_way += 1
                    receiver.most_under_way = max(receiver.most_under_way, receiver.under_way)
                try:
                    receiver.requests.put(request)
                    answer = receiver.answer(request)
                finally:
                    with receiver.lock:
                        receiver.under_way -= 1
                if callable(answer):
                    answer(self.connection)
                    self.close_connection = True
                    return
                status, headers, content = answer if isinstance(answer, tuple) else (answer, {}, b"")
                if not isinstance(content, bytes):
                    headers, content = {"content-type": "application/json"} | headers, json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, str(value))
                if status != 204:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_):
                """A client that goes away is a part of the test."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def next(self):
        """The next request."""
        return self.requests.get(timeout=PATIENCE_SECONDS)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(PATIENCE_SECONDS)


def break_off(raw):
    """An answer of these bytes, behind which the connection ends."""

    def answer(connection):
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_RDWR)

    return answer
