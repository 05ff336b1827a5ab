"""Comparisons that Django lacks: LIKE patterns and networks."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Lookup


class _Infix(Lookup):
    """A comparison written between its two sides."""

    prepare_rhs = False
    operator: str
    right = "%s"

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, Any]:
        return self.right, [str(value)]

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} {self.operator} {right}", [*left_params, *right_params]


@models.CharField.register_lookup
@models.TextField.register_lookup
class Like(_Infix):
    """`username__like="svc-%"`: an SQL pattern, case-sensitive."""

    lookup_name = "like"
    operator = "LIKE"


@models.TextField.register_lookup
class LikeIgnoringCase(_Infix):
    """`error_type__ilike="%denied%"`: an SQL pattern in any case."""

    lookup_name = "ilike"
    operator = "ILIKE"


@models.GenericIPAddressField.register_lookup
class WithinNetwork(_Infix):
    """`request_ip__within="10.0.0.0/8"`: an address or network, already checked by the caller."""

    lookup_name = "within"
    operator = "<<="
    right = "%s::inet"
