"""Refusals under `/api/`: what a program is told, in the words that clients of Files.com read."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from gatebook.capture import capture_of


class Refused(Exception):
    """A request that is not served: the status, the kind of error, a sentence, and headers of the answer."""

    def __init__(self, status: int, error_type: str, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.error_type = error_type
        self.headers = headers

    def answer(self, request: HttpRequest) -> JsonResponse:
        """Return the answer; the entry that this request becomes says the same."""
        self.note(request)
        return self.unnoted_answer(request)

    def unnoted_answer(self, request: HttpRequest) -> JsonResponse:
        """Return the answer alone, for a request that may be tried again."""
        body = {
            "error": str(self),
            "http-code": self.status,
            "instance": capture_of(request).request_id,
            "title": self.error_type.rpartition("/")[2].replace("-", " ").title(),
            "type": self.error_type,
        }
        headers = {"X-Files-Error-Class": self.error_type, "Cache-Control": "no-store", **(self.headers or {})}
        return JsonResponse(body, status=self.status, headers=headers)

    def note(self, request: HttpRequest) -> None:
        """Let the entry that this request becomes say why it was refused."""
        capture = capture_of(request)
        capture.error_type, capture.error_message = self.error_type, str(self)
