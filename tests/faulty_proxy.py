"""A TCP proxy that misbehaves on demand, to stand in front of a real S3 server.

It can let all pass, stall, cut a request after some bytes, swallow an answer, answer 503 itself, or refuse to be
connected to. A change of mind closes what is open, so that no kept-alive connection lives under an older rule.
"""

import contextlib
import dataclasses
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

_CHUNK = 65_536
_SLOW_DOWN = b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>told by the proxy</Message></Error>"


@dataclass(frozen=True)
class _Rule:
    do: str = "pass"
    after_bytes: int = 0
    code: bytes = b""
    method: bytes = b""
    times: int | None = None


class FaultyProxy:
    """`url` is an endpoint in front of `target`; the methods say what becomes of requests from now on.

    `times`: only so many requests fare so, then all pass again. `method`: only requests of that HTTP method.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._lock = threading.Lock()
        self._rule = _Rule()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._port = 0
        self.struck = 0
        self._listen()
        self.url = f"http://127.0.0.1:{self._port}"

    def heal(self) -> None:
        """All passes."""
        self._become(_Rule())
        self._listen()

    def stall(self, *, method: str = "", times: int | None = None) -> None:
        """Requests are taken and never answered."""
        self._become(_Rule("stall", method=method.encode(), times=times))

    def cut(self, after_bytes: int, *, method: str = "", times: int | None = None) -> None:
        """A connection is reset when so many bytes of a request have gone through."""
        self._become(_Rule("cut", after_bytes, method=method.encode(), times=times))

    def cut_answer(self, after_bytes: int, *, method: str = "", times: int | None = None) -> None:
        """A request arrives and is done; of its answer so many bytes go through, then the connection is reset."""
        self._become(_Rule("cut_answer", after_bytes, method=method.encode(), times=times))

    def swallow(self, *, method: str = "", times: int | None = None) -> None:
        """A request arrives and is done; its answer is lost."""
        self.cut_answer(0, method=method, times=times)

    def answer_503(self, code: str = "SlowDown", *, method: str = "", times: int | None = None) -> None:
        """The proxy answers 503 with S3's `code`; nothing reaches the server."""
        self._become(_Rule("answer", code=code.encode(), method=method.encode(), times=times))

    def refuse(self) -> None:
        """Nobody listens."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Closing alone would leave the port listening while a thread waits in accept().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._become(_Rule())

    def close(self) -> None:
        self.refuse()

    # --- connections ---

    def _listen(self) -> None:
        if self._listener is not None:
            return
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _become(self, rule: _Rule) -> None:
        with self._lock:
            self._rule, self.struck = rule, 0
            for one in self._open:
                _reset(one)
            self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request after the other, each with a connection of its own to the server."""
        with self._lock:
            self._open.add(client)
        with contextlib.suppress(OSError), client:
            while head := _head(client):
                rule = self._rule_for(head)
                if rule.do == "stall":
                    while client.recv(_CHUNK):
                        pass
                    return
                if rule.do == "answer":
                    _drain(client, head)
                    body = b"" if head.startswith(b"HEAD") else _SLOW_DOWN % rule.code
                    client.sendall(
                        b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                    )
                    return
                if not self._forward(client, head, rule):
                    _reset(client)
                    return
        with self._lock:
            self._open.discard(client)

    def _rule_for(self, head: bytes) -> _Rule:
        with self._lock:
            rule = self._rule
            if rule.do == "pass" or not head.startswith(rule.method):
                return _Rule()
            if rule.times is not None:
                if rule.times <= 0:
                    return _Rule()
                self._rule = dataclasses.replace(rule, times=rule.times - 1)
            self.struck += 1
            return rule

    def _forward(self, client: socket.socket, head: bytes, rule: _Rule) -> bool:
        """Whether the client may ask again on its connection."""
        head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
        with socket.create_connection(self._target) as server:
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            if re.search(rb"(?i)\r\nexpect: *100-continue", head):
                client.sendall(server.recv(_CHUNK))
            sent, size = 0, _body_bytes(head)
            while sent < size:
                most = min(_CHUNK, size - sent, rule.after_bytes - sent if rule.do == "cut" else size)
                if most <= 0:
                    return False
                data = client.recv(most)
                if not data:
                    return False
                server.sendall(data)
                sent += len(data)
            if rule.do == "cut":
                return False
            answered = 0
            while data := server.recv(_CHUNK):
                if rule.do == "cut_answer" and answered + len(data) > rule.after_bytes:
                    client.sendall(data[: rule.after_bytes - answered])
                    return False
                client.sendall(data)
                answered += len(data)
        client.shutdown(socket.SHUT_RDWR)  # the server said when it was done by closing
        return True


@contextlib.contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """A proxy in front of the endpoint `target`, gone afterwards."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


def _head(client: socket.socket) -> bytes:
    """A request's head, empty when there is no other request; byte by byte, so that none of the body is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        one = client.recv(1)
        if not one:
            return b""
        head += one
    return head


def _body_bytes(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


def _drain(client: socket.socket, head: bytes) -> None:
    """Reads a body, so that the answer is not lost to a reset. Who waits for leave to send one has sent none."""
    left = 0 if re.search(rb"(?i)\r\nexpect: *100-continue", head) else _body_bytes(head)
    while left > 0 and (data := client.recv(min(_CHUNK, left))):
        left -= len(data)


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
        one.close()
