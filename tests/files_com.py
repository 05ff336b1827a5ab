"""A small Files.com that can be told to misbehave."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

KEY = "a1b2c3d4e5f6"
Mishap = Callable[["Handler"], None]


@dataclass
class FilesCom:
    """What it holds, what it is to do wrong next, and what it was asked."""

    address: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)
    users: dict[str, str | None] = field(default_factory=dict)
    """Names; None is one whom the key may not see."""
    mishaps: list[Mishap | None] = field(default_factory=list)
    """One for each coming question; None lets it answer well."""
    asked: list[tuple[float, str]] = field(default_factory=list)
    """When, and for which address."""
    most: int = 0
    """Questions that it was asked at one time."""
    per_page: int = 50

    def pages(self) -> list[str]:
        """The questions for whole pages."""
        return [address for _, address in self.asked if "per_page=1000" in address]


class Handler(BaseHTTPRequestHandler):
    """Answers a question, or does what the next mishap says."""

    book: FilesCom
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body at once
    _busy = 0

    def do_GET(self) -> None:
        """Answer."""
        book = self.book
        book.asked.append((time.monotonic(), self.path))
        type(self)._busy += 1
        book.most = max(book.most, type(self)._busy)
        try:
            mishap = book.mishaps.pop(0) if book.mishaps else None
            if mishap is not None:
                mishap(self)
            elif self.headers["X-FilesAPI-Key"] != KEY:
                refused(401, "not-authenticated/invalid-credentials", f"No such key: {self.headers['X-FilesAPI-Key']}")(
                    self
                )
            elif user := re.search(r"/users/(\d+)$", urlsplit(self.path).path):
                self._user(user[1])
            else:
                self._list()
        finally:
            type(self)._busy -= 1

    def _user(self, user_id: str) -> None:
        if user_id not in self.book.users:
            refused(404, "not-found/user-not-found", "User not found")(self)
        elif (name := self.book.users[user_id]) is None:
            refused(403, "not-authorized/insufficient-permission-for-params", "No")(self)
        else:
            self.answer({"id": int(user_id), "username": name})

    def _list(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        since, until = (datetime.fromisoformat(query[f"filter_{side}[created_at]"]) for side in ("gteq", "lt"))
        found = [each for each in self.book.records if since <= datetime.fromisoformat(each["created_at"]) < until]
        found.sort(key=lambda each: str(each["created_at"]), reverse=True)
        start, size = int(query.get("cursor", 0)), min(int(query["per_page"]), self.book.per_page)
        cursor = {"X-Files-Cursor": str(start + size)} if len(found) > start + size else {}
        self.answer(found[start : start + size], cursor)

    def answer(self, body: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        """Send an answer: bytes as they are, else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def refused(status: int, kind: str, message: str, **headers: str) -> Mishap:
    """An error as Files.com writes it."""
    body = {"error": message, "http-code": status, "title": message, "type": kind}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(body, named, status)


def broken(body: bytes, status: int = 200, **headers: str) -> Mishap:
    """An answer that is none."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(body, named, status)


def cut_off(handler: Handler) -> None:
    """Close the connection in the middle of the body."""
    handler.answer(b'[{"request_id": "half', {"Content-Length": "5000"})
    handler.close_connection = True


@pytest.fixture
def files_com(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[FilesCom]:
    """Run it; sites may be copied from it."""
    monkeypatch.setenv("NO_PROXY", "*")
    settings.FILESCOM_HOSTS = ["localhost", "127.0.0.1"]
    book = FilesCom()
    handler = type("BoundHandler", (Handler,), {"book": book})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    book.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield book
    server.shutdown()
    thread.join()
    server.server_close()
