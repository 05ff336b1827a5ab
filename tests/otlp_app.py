"""A Django site that OpenTelemetry watches: serves one request after the other until its input ends.

It is configured by OTEL_EXPORTER_OTLP_… alone, like any other; the port it listens on is the first line of its output.
"""

from __future__ import annotations

import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def file_page(request: HttpRequest, name: str) -> HttpResponse:
    """Answer, after some work inside that is a span of its own."""
    trace.get_current_span().set_attributes({"user.name": "bob", "gatebook.impersonator_username": "alice"})
    with trace.get_tracer(__name__).start_as_current_span("work inside"):
        return HttpResponse(name)


def broken_page(request: HttpRequest) -> HttpResponse:
    """Fail."""
    raise LookupError("no such shelf")


urlpatterns = [path("files/<str:name>", file_page), path("broken", broken_page)]


class Handler(WSGIRequestHandler):
    """Hands over the address as it was sent, as most servers do."""

    def get_environ(self) -> dict[str, str]:
        """Return the WSGI environment."""
        return {**super().get_environ(), "RAW_URI": self.path}

    def log_message(self, *arguments: object) -> None:
        """Be quiet."""


def main() -> None:
    """Serve until the input ends, then send what is left."""
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="-", MIDDLEWARE=[], LOGGING_CONFIG=None)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    with make_server("127.0.0.1", 0, WSGIHandler(), handler_class=Handler) as server:
        print(server.server_port, flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        server.shutdown()
    provider.shutdown()


if __name__ == "__main__":
    sys.modules["tests.otlp_app"] = sys.modules[__name__]
    main()
