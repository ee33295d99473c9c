"""Parquet: typed columns for pandas, polars and DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tracker_service.export.facts import (
    COLUMNS,
    ITEM_COLUMNS,
    RECORD_COLUMNS,
    Kind,
    table_of,
)
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tracker_service.export.facts import Column
    from tracker_service.export.writers import ExportNote
    from tracker_service.records import ExecutionRecord

GROUP_ROWS: Final = 16_384
GROUP_BYTES: Final = 32 * 1024 * 1024
"""Memory after which a row group is written, however few its rows."""

_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.SECONDS: pa.float64(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.FLAG: pa.bool_(),
    Kind.NUMBERS: pa.list_(pa.int64()),
    Kind.JSON: pa.string(),
}


def _schema(columns: Sequence[Column]) -> Any:
    return pa.schema([(column.name, _TYPES[column.kind]) for column in columns])


RECORD_SCHEMA: Final = _schema(RECORD_COLUMNS)
ITEM_SCHEMA: Final = _schema(ITEM_COLUMNS)
SCHEMA: Final = _schema(COLUMNS)


def _arrays(columns: Iterable[Sequence[Any]], schema: Any) -> list[Any]:
    return [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]


class ParquetWriter(WithoutMedia):
    """Writes row groups of bounded size, so that memory does not grow with the file."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._waiting: list[Any] = []
        self._rows = 0
        self._bytes = 0

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write a row per item."""
        table = table_of(records)
        # What is said of an execution is converted once, and repeated by the library.
        repeated = pa.array(table.head_of_row, pa.int32())
        heads = _arrays(zip(*table.heads, strict=True), RECORD_SCHEMA)
        arrays = [head.take(repeated) for head in heads] + _arrays(table.columns, ITEM_SCHEMA)
        self._waiting.append(pa.table(arrays, schema=SCHEMA))
        self._rows += len(repeated)
        self._bytes += self._waiting[-1].nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting.clear()
        self._rows = self._bytes = 0

    def close(self) -> None:
        """Write what is left and the index of the file."""
        if self._waiting:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the file."""
        self._waiting.clear()
        self._writer.close()
