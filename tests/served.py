"""A server on this machine, whose files arrive as they should or don't, and what its tests look at."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """A file on the server, and how the server behaves.

    breaks: how many answers are broken off in the middle; fails: how many are errors.
    """

    content: bytes
    tag: str | None = '"one"'
    ranges: bool = True
    heeds_if_range: bool = True
    breaks: int = 0
    fails: int = 0
    says_length: bool = True
    kind: str = "application/octet-stream"
    asked: list[str | None] = field(default_factory=list)
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answers GET for what is in `files`, by its path."""

    files: dict[str, Served]

    def do_GET(self) -> None:
        file = self.files.get(self.path)
        if file is None:
            return self.send_error(404)
        asked = self.headers.get("Range")
        file.asked.append(asked)
        if file.fails:
            file.fails -= 1
            return self.send_error(503)
        total, start = len(file.content), 0
        unchanged = self.headers.get("If-Range") in (None, file.tag) or not file.heeds_if_range
        if asked and file.ranges and unchanged:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # pyright: ignore[reportOptionalSubscript]
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if file.says_length:
            self.send_header("Content-Length", str(total - start))
        self.send_header("Content-Type", file.kind)
        if file.tag:
            self.send_header("ETag", file.tag)
        self.end_headers()
        body = file.content[start:]
        if file.breaks:
            file.breaks -= 1
            body = body[: len(body) // 2]
        file.sent += len(body)
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


Server = tuple[str, dict[str, Served]]
"""Its address, and its files, to be put there."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server as long as the block lasts."""
    files: dict[str, Served] = {}
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"files": files}))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", files
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def silent(text: str) -> None:
    """Where remarks go that no test asks for."""


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
