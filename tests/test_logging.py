"""The Request-ID in the host project's own logs. The servers' ways are in tests/test_frameworks.py."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.test import RequestFactory

import gatebook
from gatebook.logs import RequestIdFilter
from gatebook.middleware import GatebookMiddleware


@pytest.fixture(autouse=True)
def project(settings, tmp_path):
    """Record into a temporary directory."""
    settings.GATEBOOK = {"SPOOL": tmp_path, "SHIP": False}


@pytest.fixture
def lines():
    """Return what the logger "shop" wrote, as a project formats it."""
    written = []

    class Handler(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    handler = Handler()
    handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
    handler.addFilter(RequestIdFilter())
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


def serve(view):
    return GatebookMiddleware(view)(RequestFactory().get("/"))


def log(message):
    logging.getLogger("shop").warning(message)


def view(request):
    log("sold")
    return HttpResponse(gatebook.request_id())


def test_each_request_logs_under_its_own_id(lines):
    first, second = serve(view), serve(view)
    assert lines == [f"{answer['X-Request-Id']} sold" for answer in (first, second)]
    assert first["X-Request-Id"] != second["X-Request-Id"]
    assert first.text == first["X-Request-Id"]


def test_outside_of_requests_there_is_no_id(lines):
    log("started")
    assert gatebook.request_id() is None
    assert lines == ["- started"]


def test_no_id_outlives_its_request_in_a_thread(lines):
    def broken(request):
        raise ArithmeticError

    serve(view)
    with pytest.raises(ArithmeticError):
        serve(broken)
    log("idle")
    assert lines[-1] == "- idle"
    assert gatebook.request_id() is None


def test_a_request_within_a_request_gives_the_id_back():
    def outer(request):
        serve(view)
        return HttpResponse(gatebook.request_id())

    answer = serve(outer)
    assert answer.text == answer["X-Request-Id"]


def test_requests_that_are_served_at_once_keep_their_ids_apart(lines):
    async def slow(request):
        mine = gatebook.request_id()
        await asyncio.sleep(0.01)
        await sync_to_async(log)("in a thread")
        await asyncio.create_task(in_a_task())
        assert gatebook.request_id() == mine
        return HttpResponse()

    async def in_a_task():
        log("in a task")

    async def both():
        answers = await asyncio.gather(serve(slow), serve(slow))
        assert gatebook.request_id() is None
        return [answer["X-Request-Id"] for answer in answers]

    ids = asyncio.run(both())
    assert sorted(lines) == sorted(f"{one} {message}" for one in ids for message in ("in a thread", "in a task"))


def test_an_asynchronous_request_that_the_client_leaves_takes_its_id_along():
    async def leave():
        async def endless(request):
            await asyncio.sleep(60)

        async def serving():
            try:
                await serve(endless)
            finally:
                left.append(gatebook.request_id())

        task = asyncio.create_task(serving())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    left = []
    asyncio.run(leave())
    assert left == [None]


def broken_user(request):
    """Fail."""
    raise ArithmeticError


def test_what_capture_complains_of_has_the_id_of_its_request(lines, settings):
    settings.GATEBOOK = {**settings.GATEBOOK, "USER": "tests.test_logging.broken_user"}
    logging.getLogger("gatebook").addHandler(logging.getLogger("shop").handlers[-1])
    answer = serve(lambda request: HttpResponse())
    logging.getLogger("gatebook").handlers.pop()
    assert lines[0].startswith(f"{answer['X-Request-Id']} The user of a request could not be found out")


def test_a_record_that_names_its_request_has_its_id_later_too(lines):
    request = RequestFactory().get("/")
    answer = GatebookMiddleware(view)(request)
    logging.getLogger("shop").warning("late", extra={"request": request})
    logging.getLogger("shop").warning("of a socket", extra={"request": object()})
    assert lines[1:] == [f"{answer['X-Request-Id']} late", "- of a socket"]
