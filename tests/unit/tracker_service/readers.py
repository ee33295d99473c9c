"""Reads exported files as their users do, and puts the facts of records together again.

Every reader returns the rows of `facts.rows_of`, so that one comparison proves every format.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import duckdb
import openpyxl
import pandas
import polars
from openpyxl.utils.escape import unescape
from prov.model import ProvActivity, ProvDocument, ProvEntity

from tracker_service.export.csv_file import original
from tracker_service.export.facts import COLUMNS, ITEM_COLUMNS, NAMES, RECORD_COLUMNS, Kind
from tracker_service.export.prov_file import EXECUTIONS, TERMS

if TYPE_CHECKING:
    from pathlib import Path

    from tracker_service.export.facts import Column

Row = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Return a time as the tracker counts it."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def value_of(text: Any, column: Column) -> Any:
    """Return the value that a cell stands for."""
    if text in ("", None):
        return () if column.kind is Kind.NUMBERS and text == "" else None
    if column.kind is Kind.TIME:
        return microseconds(datetime.fromisoformat(text))
    if column.kind is Kind.FLAG:
        return text if isinstance(text, bool) else {"true": True, "false": False}[text]
    if column.kind is Kind.NUMBERS:
        return tuple(map(int, str(text).split()))
    return {Kind.INTEGER: int, Kind.SECONDS: float}.get(column.kind, str)(text)


def without_empty(rows: list[Row]) -> list[Row]:
    """Make no difference between an empty list and none, which a cell cannot tell."""
    return [tuple(None if value == () else value for value in row) for row in rows]


def read_csv(path: Path) -> list[Row]:
    """Read by the csv module of Python."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names, *rows = csv.reader(file)
    assert tuple(names) == NAMES
    return [_row_of_cells(row) for row in rows]


def read_csv_by_polars(path: Path) -> list[Row]:
    """Read by polars, everything as text."""
    frame = polars.read_csv(path, infer_schema=False)
    assert tuple(frame.columns) == NAMES
    return [_row_of_cells(row) for row in frame.rows()]


def _row_of_cells(cells: Any) -> Row:
    values = []
    for column, cell in zip(COLUMNS, cells, strict=True):
        value = value_of(cell, column)
        values.append(original(value) if column.kind is Kind.TEXT and value else value)
    return tuple(values)


def read_xlsx(path: Path) -> list[Row]:
    """Read by openpyxl."""
    book = openpyxl.load_workbook(path, read_only=True)
    rows: list[Row] = []
    for sheet in book.worksheets:
        names, *lines = sheet.iter_rows(values_only=True)
        assert tuple(names) == (*NAMES, "cut")
        rows += [
            tuple(_xlsx_value(cell, column) for column, cell in zip(COLUMNS, line, strict=False))
            for line in lines
        ]
    book.close()
    return rows


def _xlsx_value(cell: Any, column: Column) -> Any:
    """Control characters stand as `_x000D_` in a workbook; Excel shows them as they were."""
    return value_of(unescape(cell) if isinstance(cell, str) else cell, column)


def read_parquet_by_polars(path: Path) -> list[Row]:
    """Read by polars."""
    return [_row_of_values(row) for row in polars.read_parquet(path).rows()]


def read_parquet_by_duckdb(path: Path) -> list[Row]:
    """Read by DuckDB."""
    # Times as numbers: DuckDB's own Python form needs a library of time zones.
    chosen = ", ".join(
        f'epoch_us("{column.name}")' if column.kind is Kind.TIME else f'"{column.name}"'
        for column in COLUMNS
    )
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {chosen} FROM read_parquet(?)", [str(path)])
        return [_row_of_values(row) for row in found.fetchall()]


def read_csv_by_duckdb(path: Path) -> list[Row]:
    """Read by DuckDB, everything as text."""
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT * FROM read_csv(?, header = true, all_varchar = true)", [str(path)]
        )
        return [_row_of_cells(row) for row in found.fetchall()]


def read_csv_by_pandas(path: Path) -> list[Row]:
    """Read by pandas, everything as text."""
    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    assert tuple(frame.columns) == NAMES
    return [_row_of_cells(row) for row in frame.itertuples(index=False, name=None)]


def read_parquet_by_pandas(path: Path) -> list[Row]:
    """Read by pandas, with the types of the file, so that a missing number stays none."""
    frame = pandas.read_parquet(path, dtype_backend="pyarrow")
    return [
        _row_of_values(tuple(_of_pandas(value) for value in row))
        for row in frame.itertuples(index=False, name=None)
    ]


def _of_pandas(value: Any) -> Any:
    if hasattr(value, "tolist"):  # an array
        return value.tolist()
    return None if value is pandas.NA or value is pandas.NaT else value


def _row_of_values(row: Row) -> Row:
    return tuple(
        microseconds(value)
        if isinstance(value, datetime)
        else tuple(value)
        if isinstance(value, list)
        else value
        for value in row
    )


def read_prov(path: Path) -> list[Row]:
    """Read by `prov`: attributes of the activity of the execution and of its entities."""
    rows = []
    for bundle in ProvDocument.deserialize(str(path), format="json").bundles:
        assert bundle.identifier is not None
        name = bundle.identifier.localpart.removesuffix("/record")
        (execution,) = (
            one for one in bundle.get_records(ProvActivity) if one.identifier == EXECUTIONS[name]
        )
        head = _attributes(execution, RECORD_COLUMNS)
        entities = list(bundle.get_records(ProvEntity))
        rows += [head + _attributes(entity, ITEM_COLUMNS) for entity in entities]
        if not entities:
            rows.append(head + (None,) * len(ITEM_COLUMNS))
    return rows


def _attributes(record: Any, columns: tuple[Column, ...]) -> Row:
    values = []
    for column in columns:
        found = list(record.get_attribute(TERMS[column.name]))
        value = found[0] if found else None
        if isinstance(value, datetime):
            values.append(microseconds(value))
        else:
            value = getattr(value, "value", value)
            values.append(value_of(value, column))
    return tuple(values)


def read_manifest(path: Path) -> dict[str, str]:
    """Return the sums of a `manifest-sha256.txt`, by name."""
    lines = path.read_text().splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))
