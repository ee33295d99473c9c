"""Each format, read by its real readers: every fact of three records, field by field."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import openpyxl
import pypdf
import pypdfium2
import pytest
import requests
import requests_cache
import rocrate
from openpyxl.utils.escape import unescape
from prov.model import PROV, ProvDerivation, ProvDocument, ProvEntity
from rocrate.rocrate import ROCrate
from rocrate_validator import models, services
from urllib3.response import HTTPResponse

from servicekit.errors import InvalidArgumentError
from tests.unit.tracker_service import readers
from tests.unit.tracker_service.builders import make_item, make_start
from tests.unit.tracker_service.export_records import (
    IDEA,
    PICTURES,
    START_US,
    FolderMedia,
    all_three,
    blocked,
    multi_output,
    record_of,
)
from tracker_service.export.building import Progress, build_file
from tracker_service.export.facts import COLUMNS, rows_of
from tracker_service.export.formats import ExportFormat
from tracker_service.export.json_form import from_json
from tracker_service.export.prov_file import TERMS
from tracker_service.export.writers import ExportNote
from tracker_service.export.xlsx_file import MAX_CELL, cut_to_cell
from tracker_service.records import ExecutionState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tracker_service.records import ExecutionRecord

NOTE = ExportNote(START_US, {"config_name": None}, "0.1.0")


def build(
    form: ExportFormat,
    folder: Path,
    records: Sequence[ExecutionRecord],
    media: dict[str, bytes] | None = None,
) -> Path:
    """Build a file and return it."""

    async def source() -> AsyncIterator[ExecutionRecord]:
        for record in records:
            yield record

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"file-{form.filename}"
    files = FolderMedia(PICTURES if media is None else media)
    progress = Progress()
    asyncio.run(build_file(form, source(), files, path, NOTE, progress))
    assert progress.record_count == len(records)
    return path


def facts(records: Sequence[ExecutionRecord]) -> list[readers.Row]:
    """Return all rows of all records."""
    return [row for record in records for row in rows_of(record)]


TABLES: list[tuple[ExportFormat, Callable[[Path], list[readers.Row]]]] = [
    (ExportFormat.CSV, readers.read_csv),
    (ExportFormat.CSV, readers.read_csv_by_polars),
    (ExportFormat.CSV, readers.read_csv_by_duckdb),
    (ExportFormat.CSV, readers.read_csv_by_pandas),
    (ExportFormat.XLSX, readers.read_xlsx),
    (ExportFormat.PARQUET, readers.read_parquet_by_polars),
    (ExportFormat.PARQUET, readers.read_parquet_by_duckdb),
    (ExportFormat.PARQUET, readers.read_parquet_by_pandas),
    (ExportFormat.PROV_JSON, readers.read_prov),
]


@pytest.mark.parametrize(("form", "read"), TABLES)
def test_reader_rebuilds_every_fact(
    form: ExportFormat, read: Callable[[Path], list[readers.Row]], tmp_path: Path
) -> None:
    """What the real reader finds is what the records say, in every row and column."""
    records = all_three()
    path = build(form, tmp_path, records)
    assert readers.without_empty(read(path)) == readers.without_empty(facts(records))


@pytest.mark.parametrize(("form", "read"), [TABLES[0], TABLES[3]])
def test_rows_of_many_records_stay_apart(
    form: ExportFormat, read: Callable[[Path], list[readers.Row]], tmp_path: Path
) -> None:
    """Records that are written together keep their own rows; one without items has one, too."""
    first, *others = all_three()
    records = [first, replace(first, items=()), *others] * 40
    path = build(form, tmp_path, records)
    assert readers.without_empty(read(path)) == readers.without_empty(facts(records))


def test_parquet_is_typed(tmp_path: Path) -> None:
    """Numbers, times and flags are columns of their own types, so notebooks need no parsing."""
    path = build(ExportFormat.PARQUET, tmp_path, [multi_output()])
    with duckdb.connect() as connection:
        found = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
        types = {name: kind for name, kind, *_ in found.fetchall()}
    assert types["sequence_number"] == "BIGINT"
    assert types["timestamp"] == "TIMESTAMP WITH TIME ZONE"
    assert types["execution_time"] == "DOUBLE"
    assert types["late"] == "BOOLEAN"
    assert types["missing"] == "BIGINT[]"


@pytest.mark.parametrize("form", [ExportFormat.CSV, ExportFormat.XLSX, ExportFormat.PARQUET])
def test_export_of_nothing_has_its_columns(form: ExportFormat, tmp_path: Path) -> None:
    """A table without rows still says what its columns are."""
    path = build(form, tmp_path, [])
    read = {form: read for form, read in TABLES}[form]
    assert read(path) == []


# --- spreadsheets --------------------------------------------------------------------------------

DANGEROUS = ["=1+1", "+1", "-1", "@SUM(1)", "\tx", "\rx", "'=1+1", "''-1"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_runs_as_a_formula(text: str, tmp_path: Path) -> None:
    """In CSV such a cell begins with an apostrophe, in XLSX it is marked as text."""
    item = make_item("e", 1, "user_input_text", stage=1, content=text, model_used=text)
    record = record_of([item])
    path = build(ExportFormat.CSV, tmp_path, [record])
    assert f"'{text}".encode() in path.read_bytes()
    assert readers.read_csv(path)[0][_place("content")] == text
    path = build(ExportFormat.XLSX, tmp_path, [record])
    cell = openpyxl.load_workbook(path).worksheets[0].cell(2, _place("content") + 1)
    assert (unescape(cell.value), cell.data_type, cell.quotePrefix) == (text, "s", True)


@pytest.mark.parametrize("letter", ["x", "😀", "\x07"])
def test_long_cells_are_cut_and_say_so(letter: str, tmp_path: Path) -> None:
    """A spreadsheet's cell ends at 32 767 units; the mark and a column tell, CSV has it whole."""
    long = letter * 40_000
    record = record_of([make_item("e", 1, "user_input_text", stage=1, content=long)])
    path = build(ExportFormat.XLSX, tmp_path, [record])
    sheet = openpyxl.load_workbook(path).worksheets[0]
    shown = unescape(sheet.cell(2, _place("content") + 1).value)
    assert shown.endswith(" … [cut]")
    assert len(shown.encode("utf-16-le")) // 2 <= MAX_CELL
    assert long.startswith(shown.removesuffix(" … [cut]"))
    assert sheet.cell(2, len(COLUMNS) + 1).value == "content"
    path = build(ExportFormat.CSV, tmp_path, [record])
    assert readers.read_csv(path)[0][_place("content")] == long


def test_text_that_fits_is_not_cut() -> None:
    """The limit itself still fits."""
    assert cut_to_cell("x" * MAX_CELL) == ("x" * MAX_CELL, False)


def _place(name: str) -> int:
    return [column.name for column in COLUMNS].index(name)


# --- archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [ExportFormat.ZIP, ExportFormat.RO_CRATE])
def test_archive_is_whole(form: ExportFormat, tmp_path: Path) -> None:
    """`unzip -t` is content, every sum of the manifest holds, the records read back equal."""
    records = all_three()
    path = build(form, tmp_path, records)
    subprocess.run(["unzip", "-tq", str(path)], check=True, capture_output=True)
    folder = unpacked(path, tmp_path)
    names = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    sums = readers.read_manifest(folder / "manifest-sha256.txt")
    assert names - sums.keys() == {"manifest-sha256.txt"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    read = [from_json(readers.read_json(one)) for one in sorted(folder.glob("records/*/*.json"))]
    assert {one.summary.execution_id: facts([one]) for one in read} == {
        one.summary.execution_id: facts([one]) for one in records
    }
    media = {hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.glob("media/*/*")}
    assert media == PICTURES.keys()


@pytest.mark.parametrize("form", [ExportFormat.ZIP, ExportFormat.RO_CRATE])
def test_archive_names_files_that_are_gone(form: ExportFormat, tmp_path: Path) -> None:
    """A picture that cannot be had is named, and the rest is there."""
    (here, data), (gone, _) = PICTURES.items()
    folder = unpacked(build(form, tmp_path, [multi_output()], {here: data}), tmp_path)
    assert gone in (folder / "missing-media.txt").read_text()
    assert len(list(folder.glob("media/*/*"))) == 1


def unpacked(path: Path, tmp_path: Path) -> Path:
    """Unpack an archive and return the folder."""
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")  # of the validator
def test_crate_is_a_process_run_crate(tmp_path: Path) -> None:
    """The validator of the RO-Crate community finds nothing that the profile requires missing."""
    folder = unpacked(build(ExportFormat.RO_CRATE, tmp_path, all_three()), tmp_path)
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="process-run-crate-0.5",
        requirement_severity=models.Severity.REQUIRED,
        offline=True,
        cache_path=_context_cache(tmp_path / "cache"),
    )
    result = services.validate(settings)
    assert [issue.message for issue in result.get_issues()] == []
    assert result.passed()


def test_crate_tells_who_made_what_from_what(tmp_path: Path) -> None:
    """From each picture one walks `isBasedOn` back to the idea; actions name model and person."""
    folder = unpacked(build(ExportFormat.RO_CRATE, tmp_path, [multi_output()]), tmp_path)
    crate = ROCrate(folder)
    pictures = [one for one in crate.data_entities if one.get("additionalType") == "output_image"]
    assert len(pictures) == 2
    for picture in pictures:
        entity, steps = picture, 0
        while entity.get("isBasedOn"):
            entity, steps = entity["isBasedOn"], steps + 1
        assert entity["additionalType"] == "user_input_text"
        assert entity["text"] == IDEA
        assert steps == 6
    actions = [one for one in crate.contextual_entities if one.type == "CreateAction"]
    (made,) = [one for one in actions if one["result"] is pictures[0] and "work" in one.id]
    assert made["instrument"]["name"] == "sdxl:1.0"
    assert made["agent"]["name"] == "anna (pseudonym)"


def _context_cache(path: Path) -> Path:
    """Let the validator find the JSON-LD context without the internet.

    It asks for that of RO-Crate 1.1; the one that the library `rocrate` brings is newer and says
    the same of all terms that a crate of ours has.
    """
    context = (Path(next(iter(rocrate.__path__))) / "data" / "ro-crate.jsonld").read_bytes()
    kind = {"Content-Type": "application/ld+json"}

    class Shelf(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.request = 200, request
            response.url = str(request.url)
            response.headers.update(kind)
            response.raw = HTTPResponse(
                io.BytesIO(context),
                status=200,
                headers=kind,
                preload_content=False,
                request_url=response.url,
            )
            return response

        def close(self) -> None:
            """Nothing is open."""

    with requests_cache.CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Shelf())
        session.get("https://w3id.org/ro/crate/1.1/context").close()
        session.get(
            "https://w3id.org/ro/crate/1.1/context", headers={"Accept": kind["Content-Type"]}
        )
    return path


# --- provenance ----------------------------------------------------------------------------------


def test_every_output_was_derived_from_the_input(tmp_path: Path) -> None:
    """In PROV one walks `wasDerivedFrom` from any output back to what the person wrote."""
    path = build(ExportFormat.PROV_JSON, tmp_path, all_three())
    bundle = next(iter(ProvDocument.deserialize(str(path), format="json").bundles))
    made_from = {}
    for relation in bundle.get_records(ProvDerivation):
        result, source = (value for _, value in relation.formal_attributes[:2])
        made_from[result] = source
    kinds = {
        one.identifier: {kind for kind in one.get_attribute(PROV["type"])}
        for one in bundle.get_records(ProvEntity)
    }
    outputs = [name for name, kind in kinds.items() if TERMS["output_image"] in kind]
    assert len(outputs) == 2
    for name in outputs:
        while name in made_from:
            name = made_from[name]
        assert kinds[name] == {TERMS["user_input_text"]}


# --- PDF -----------------------------------------------------------------------------------------


def test_pdf_holds_every_text_and_picture(tmp_path: Path) -> None:
    """All scripts can be read and copied, every field of every item is there, and both pictures."""
    record = multi_output()
    path = build(ExportFormat.PDF, tmp_path, [record])
    words = pdf_words(path)
    for text in (
        "Eine Blume auf der Wiese 🌸",
        "들판의 꽃",
        "घास के मैदान में एक फूल",
        "زهرة",
        "Ωμέγα",
        "花",
    ):
        assert _squeezed(text) in words
    for item in record.items:
        for fact in (item.item_id, item.item_type, item.metadata_json.strip("{}")):
            assert _squeezed(fact) in words
    pages = pypdf.PdfReader(path).pages
    assert sum(len(page.images) for page in pages) == 2


def test_pdf_says_what_is_missing(tmp_path: Path) -> None:
    """A gap, a verdict and a picture that cannot be had are told."""
    gap = blocked()
    words = pdf_words(build(ExportFormat.PDF, tmp_path / "a", [gap, multi_output()], {}))
    assert _squeezed("Items that never arrived: 4.") in words
    assert _squeezed("Blocked by a verdict") in words
    assert _squeezed("blume „1“.png") in words


def test_pdf_is_read_by_poppler(tmp_path: Path) -> None:
    """`pdftotext`, which archives index by, finds the texts, too."""
    pdftotext = shutil.which("pdftotext")
    if pdftotext is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    path = build(ExportFormat.PDF, tmp_path, [multi_output()])
    told = subprocess.run([pdftotext, str(path), "-"], check=True, capture_output=True)
    words = _squeezed(told.stdout.decode())
    for text in ("Eine Blume auf der Wiese", "들판의 꽃", "Ωμέγα", "花"):
        assert _squeezed(text) in words


def pdf_words(path: Path) -> str:
    """Return the text of all pages without spaces, as a viewer copies it."""
    document = pypdfium2.PdfDocument(path)
    try:
        pages = [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()
    return _squeezed("".join(pages))


def _squeezed(text: str) -> str:
    return "".join(text.replace("\u200b", "").split())


# --- bounds --------------------------------------------------------------------------------------


def test_format_that_is_kept_in_memory_has_a_limit(tmp_path: Path) -> None:
    """More executions than a PDF holds are refused, naming the way out."""
    records = [record_of([make_start(f"e-{number}")]) for number in range(101)]
    with pytest.raises(InvalidArgumentError) as raised:
        build(ExportFormat.PDF, tmp_path, records)
    assert raised.value.reason == "TOO_MANY_RECORDS"


def test_state_of_every_kind_can_be_written(tmp_path: Path) -> None:
    """No state breaks a writer, also those of executions that still run."""
    states = list(ExecutionState)
    records = [record_of([make_start(f"e-{state}")], state=state) for state in states]
    for form in ExportFormat:
        if not form.value.at_once:
            assert (build(form, tmp_path / form.name, records)).stat().st_size > 0
