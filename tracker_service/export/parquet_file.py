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
    item_rows,
    record_values,
)
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker_service.export.facts import Column, Row
    from tracker_service.export.writers import ExportNote
    from tracker_service.records import ExecutionRecord

GROUP_ROWS: Final = 16_384
GROUP_TEXT: Final = 32 * 1024 * 1024
"""Code points of texts and metadata after which a row group is written, however few its rows."""

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

_CONTENT: Final = ITEM_SCHEMA.get_field_index("content")
_METADATA: Final = ITEM_SCHEMA.get_field_index("metadata")


def _arrays(rows: Sequence[Row], schema: Any) -> list[Any]:
    columns = zip(*rows, strict=True)
    return [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]


class ParquetWriter(WithoutMedia):
    """Writes row groups of bounded size, so that memory does not grow with the file."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._heads: list[Row] = []
        self._head_of_row: list[int] = []
        self._items: list[Row] = []
        self._text = 0

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write a row per item."""
        for record in records:
            self._heads.append(record_values(record.summary))
            for row in item_rows(record):
                self._items.append(row)
                self._head_of_row.append(len(self._heads) - 1)
                self._text += len(row[_CONTENT] or "") + len(row[_METADATA] or "")
                if self._text >= GROUP_TEXT:
                    self._flush()
                    self._heads.append(record_values(record.summary))
            if len(self._items) >= GROUP_ROWS:
                self._flush()

    def _flush(self) -> None:
        # What is said of an execution is converted once, and repeated by the library.
        repeated = pa.array(self._head_of_row, pa.int32())
        arrays = [array.take(repeated) for array in _arrays(self._heads, RECORD_SCHEMA)]
        arrays += _arrays(self._items, ITEM_SCHEMA)
        for done in (self._heads, self._head_of_row, self._items):
            done.clear()
        self._text = 0
        self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))

    def close(self) -> None:
        """Write what is left and the index of the file."""
        if self._items:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the file."""
        self._items.clear()
        self._writer.close()
