"""What is wrong with a question, in words for the person who asked."""

from __future__ import annotations

from collections.abc import Mapping


class QuestionError(ValueError):
    """A question that cannot be asked. `errors` maps each key at fault to one sentence."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(f"{key}: {sentence}" for key, sentence in self.errors.items()))
