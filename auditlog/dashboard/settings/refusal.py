"""What the book says of a change that was refused."""

from __future__ import annotations

from django.forms import Form
from django.http import HttpRequest

from gatebook.capture import capture_of


def note_refusal(request: HttpRequest, sentence: str, error_type: str = "bad-request") -> None:
    """Let the entry of this request say what the administrator was told."""
    capture = capture_of(request)
    capture.error_type, capture.error_message = error_type, sentence


def note_faults(request: HttpRequest, form: Form) -> None:
    """Let the entry of this request say which fields were at fault, and why."""
    faults = (f"{name}: {' '.join(map(str, sentences))}" for name, sentences in form.errors.items())
    note_refusal(request, " ".join(faults))
