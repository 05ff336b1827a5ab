"""The column stores Gatebook is compared with, each set up as its documentation advises for such a log.

Both run in this process, on all cores, over the very rows of the book; they keep no history of answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec

from benchmarks.data import COLUMNS

Rows = list[tuple[Any, ...]]

COMPUTED = "success"
"""The one column that is not in the files."""


class Peer(Protocol):
    """A database that answers the same SQL over the same rows."""

    name: str

    def load(self, path: Path) -> None:
        """Add the rows of a file; the files come in the order of time."""

    def finish(self) -> None:
        """Bring the table into its best shape; all rows are there."""

    def ask(self, sql: str) -> Rows:
        """Return the whole answer."""

    def bucket(self, minutes: int) -> str:
        """Return the SQL of the time bucket, whole `minutes` since the epoch, that a row falls into."""

    def close(self) -> None:
        """Let go of everything."""


class DuckDB:
    """DuckDB: one table in a file, sorted by time."""

    def __init__(self, directory: Path) -> None:
        import duckdb

        self.name = f"DuckDB {duckdb.__version__}"
        self.connection = duckdb.connect(directory / "peer.duckdb")
        integers = {"site_id": "INTEGER", "response_code": "SMALLINT", "duration_ms": "INTEGER"}
        others = {"created_at": "TIMESTAMP", "user_is_from_parent_site": "BOOLEAN", "success": "BOOLEAN"}
        types = integers | others
        columns = ", ".join(f"{name} {types.get(name, 'VARCHAR')}" for name in (*COLUMNS, COMPUTED))
        self.connection.execute(f"CREATE TABLE log ({columns})")
        self.types = {name: types.get(name, "VARCHAR") for name in COLUMNS}

    def load(self, path: Path) -> None:
        """Add the rows of a file."""
        success = "coalesce(response_code < 400, error_type IS NULL AND error_message IS NULL)"
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in self.types.items())
        self.connection.execute(
            f"INSERT INTO log SELECT *, {success} FROM read_csv('{path}', header = false, columns = {{{columns}}})"  # noqa: S608
        )

    def finish(self) -> None:
        """Write everything to the file."""
        self.connection.execute("CHECKPOINT")

    def ask(self, sql: str) -> Rows:
        """Return the whole answer."""
        return self.connection.execute(sql).fetchall()  # type: ignore[no-any-return]

    def bucket(self, minutes: int) -> str:
        """Return the SQL of a row's time bucket."""
        return f"epoch_us(created_at) // {minutes * 60_000_000} * {minutes}"  # epoch_ms rounds up

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


class ClickHouse:
    """ClickHouse: a MergeTree in the order of site and time, merged whole, with Bloom filters for the look-ups.

    Absent values are empty, not null, as ClickHouse advises; few-valued texts are LowCardinality.
    """

    def __init__(self, directory: Path) -> None:
        from chdb.session import Session

        self.session = Session(str(directory / "clickhouse"))
        self.name = f"ClickHouse {self.session.query('SELECT version()').bytes().decode().strip().strip(chr(34))}"
        few = "LowCardinality(String)"
        types = {
            "site_id": "UInt32",
            "created_at": "DateTime64(6, 'UTC') CODEC(Delta, ZSTD)",
            "response_code": "UInt16",
            "duration_ms": "UInt32",
            "user_is_from_parent_site": "Bool",
            "request_id": "String",
            "request_path": "String",
            "error_message": "String",
            "details": "String",
            COMPUTED: "Bool DEFAULT if(response_code > 0, response_code < 400, error_type = '' AND error_message = '')",
        }
        columns = ", ".join(f"{name} {types.get(name, few)}" for name in (*COLUMNS, COMPUTED))
        indexes = ", ".join(
            f"INDEX by_{name} {name} TYPE bloom_filter GRANULARITY 1"
            for name in ("request_id", "username", "user_id", "request_ip", "api_key_id", "api_key_prefix")
        )
        self.session.query(f"CREATE TABLE log ({columns}, {indexes}) ENGINE = MergeTree ORDER BY (site_id, created_at)")

    def load(self, path: Path) -> None:
        """Add the rows of a file."""
        columns = ", ".join(COLUMNS)
        self.session.query(
            f"INSERT INTO log ({columns}) SELECT * FROM file('{path}', 'CSV', '{self._structure()}') "  # noqa: S608
            "SETTINGS format_csv_null_representation = '', input_format_csv_empty_as_default = 1"
        )

    def finish(self) -> None:
        """Merge all parts into one."""
        self.session.query("OPTIMIZE TABLE log FINAL")

    def ask(self, sql: str) -> Rows:
        """Return the whole answer."""
        settings = "SETTINGS use_query_cache = 0, use_query_condition_cache = 0"
        answer = self.session.query(f"{sql} {settings}", "JSONCompactEachRow")
        return [tuple(msgspec.json.decode(line)) for line in answer.bytes().splitlines()]

    def bucket(self, minutes: int) -> str:
        """Return the SQL of a row's time bucket."""
        return f"intDiv(toUnixTimestamp(created_at), {minutes * 60}) * {minutes}"

    def close(self) -> None:
        """End the engine."""
        self.session.close()

    @staticmethod
    def _structure() -> str:
        types = {
            "site_id": "UInt32",
            "created_at": "DateTime64(6, \\'UTC\\')",
            "response_code": "UInt16",
            "duration_ms": "UInt32",
            "user_is_from_parent_site": "Bool",
        }
        return ", ".join(f"{name} {types.get(name, 'String')}" for name in COLUMNS)
