"""Parquet: typed columns for pandas, polars and DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tracker_service.export.facts import COLUMNS, Kind, rows_of
from tracker_service.export.writers import WithoutMedia

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker_service.export.facts import Row
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
SCHEMA: Final = pa.schema([(column.name, _TYPES[column.kind]) for column in COLUMNS])

_CONTENT: Final = SCHEMA.get_field_index("content")
_METADATA: Final = SCHEMA.get_field_index("metadata")


class ParquetWriter(WithoutMedia):
    """Writes row groups of bounded size, so that memory does not grow with the file."""

    def __init__(self, path: Path, note: ExportNote) -> None:
        """Begin the file; see `WriterFactory`."""
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._rows: list[Row] = []
        self._text = 0

    def write(self, records: Sequence[ExecutionRecord]) -> None:
        """Write a row per item."""
        for record in records:
            for row in rows_of(record):
                self._rows.append(row)
                self._text += len(row[_CONTENT] or "") + len(row[_METADATA] or "")
                if len(self._rows) >= GROUP_ROWS or self._text >= GROUP_TEXT:
                    self._flush()

    def _flush(self) -> None:
        columns: list[tuple[Any, ...]] = list(zip(*self._rows, strict=True))
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)
        ]
        self._rows.clear()
        self._text = 0
        self._writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))

    def close(self) -> None:
        """Write what is left and the index of the file."""
        if self._rows:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the file."""
        self._rows.clear()
        self._writer.close()
