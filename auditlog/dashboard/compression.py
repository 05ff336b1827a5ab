"""Pages are compressed on their way; downloads and the API's answers go as they were made."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressedPagesMiddleware(GZipMiddleware):
    """Compress pages and their parts: a log page of 50 rows is 150 kB, and 18 kB so.

    Its random padding and Django's masked CSRF tokens keep their length from telling what is in them.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Compress a page for who accepts that."""
        is_page = response.get("Content-Type", "").startswith("text/html")
        return super().process_response(request, response) if is_page else response
