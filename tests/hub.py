"""A little server that speaks as much of a model hub's protocol as its client needs to fetch a snapshot.

Invariant: it serves folders as they are, under one commit each, and answers with the hub's own error codes.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0de"


@dataclass
class Hub:
    """Where it answers, and every path that was asked of it."""

    endpoint: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def running_hub(repos: Mapping[str, Path], gated: frozenset[str] = frozenset()) -> Iterator[Hub]:
    """Serves each repository's folder at COMMIT, which `main` is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *args: object) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            hub.asked.append(path)
            parts = path.removeprefix("api/models/").split("/")
            repo, kind, revision, name = "/".join(parts[:2]), parts[2], parts[3], "/".join(parts[4:])
            if repo not in repos:
                return self._refuse(404, "RepoNotFound")
            if repo in gated:
                return self._refuse(403, "GatedRepo")
            if revision not in {"main", COMMIT}:
                return self._refuse(404, "RevisionNotFound")
            files = {file.relative_to(repos[repo]).as_posix(): file for file in repos[repo].rglob("*.*")}
            if kind == "revision":
                return self._send(json.dumps({"id": repo, "sha": COMMIT}).encode(), with_body)
            if kind == "tree":
                return self._send(
                    json.dumps([_entry(name, file) for name, file in files.items()]).encode(), with_body
                )
            if name not in files:
                return self._refuse(404, "EntryNotFound")
            return self._send(files[name].read_bytes(), with_body)

        def _send(self, body: bytes, with_body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server.RequestHandlerClass = Answers
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _entry(name: str, file: Path) -> dict[str, object]:
    data = file.read_bytes()
    return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
