"""Every template in every format: opens in a real reader, and all say the same."""

from __future__ import annotations

import csv
import zipfile
from typing import TYPE_CHECKING

import lxml.html
import openpyxl
import pypdf
import pytest

from tests.unit.tracker_service.deliverables.made import KeptMedia, make_data, make_source
from tests.unit.tracker_service.deliverables.reading import (
    compact,
    markdown_tokens,
    missing_from,
    read,
)
from tracker_service.export_workflow.deliverables import process
from tracker_service.export_workflow.deliverables.building import build
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.model import Document, Template
from tracker_service.export_workflow.deliverables.pictures import fetch_pictures

if TYPE_CHECKING:
    from pathlib import Path

MEDIA = KeptMedia()
DATA = make_data(MEDIA)
EACH_FORMAT = pytest.mark.parametrize("form", DeliverableFormat)


def journey() -> Document:
    """The document with texts, edits and pictures."""
    return build(make_source(DATA, Template.LEARNING_JOURNEY))


async def made(
    document: Document, form: DeliverableFormat, folder: Path, media: KeptMedia = MEDIA
) -> Path:
    """Make the file of a document as the process for it does."""
    (folder / "pictures").mkdir(parents=True)
    (folder / process.DOCUMENT).write_text(document.model_dump_json(), encoding="utf-8")
    await fetch_pictures(document, media, folder)
    target = folder / f"file{form.suffix}"
    process.main(folder, form, target)
    return target


@EACH_FORMAT
@pytest.mark.parametrize("template", Template)
async def test_a_file_says_all_that_the_document_says(
    template: Template, form: DeliverableFormat, tmp_path: Path
) -> None:
    """Every title, label, cell, text, caption and line of the document stands in the file."""
    document = build(make_source(DATA, template))
    text = read(await made(document, form, tmp_path / "made"), form)
    assert missing_from(text, document) == []


@EACH_FORMAT
async def test_the_same_document_gives_the_same_bytes(
    form: DeliverableFormat, tmp_path: Path
) -> None:
    """A file made again is equal, byte by byte, so that its hash means something."""
    first = await made(journey(), form, tmp_path / "first")
    again = await made(journey(), form, tmp_path / "again")
    assert first.read_bytes() == again.read_bytes()
    if form in (DeliverableFormat.DOCX, DeliverableFormat.XLSX):
        with zipfile.ZipFile(first) as archive:
            times = {entry.date_time for entry in archive.infolist()}
        assert times <= {(1980, 1, 31, 0, 0, 0), (2025, 10, 9, 8, 53, 20)}, "never the present"


async def test_pictures_are_inside(tmp_path: Path) -> None:
    """A reader without a network sees all ten pictures of the journey."""
    places = {
        DeliverableFormat.DOCX: "word/media/",
        DeliverableFormat.XLSX: "xl/media/",
    }
    for form, place in places.items():
        with zipfile.ZipFile(await made(journey(), form, tmp_path / form)) as archive:
            assert len([name for name in archive.namelist() if name.startswith(place)]) == 10
    pdf = await made(journey(), DeliverableFormat.PDF, tmp_path / "pdf")
    assert sum(len(page.images) for page in pypdf.PdfReader(pdf).pages) == 10
    html = await made(journey(), DeliverableFormat.HTML, tmp_path / "html")
    sources = [image.get("src") for image in lxml.html.parse(str(html)).iter("img")]
    assert [source[:23] for source in sources] == ["data:image/jpeg;base64,"] * 10
    markdown = await made(journey(), DeliverableFormat.MARKDOWN, tmp_path / "markdown")
    tokens = markdown_tokens(markdown.read_text(encoding="utf-8"))
    assert sum(token.type == "image" for token in tokens) == 10


async def test_html_runs_nothing_of_what_people_wrote(tmp_path: Path) -> None:
    """Scripts, handlers and links that somebody wrote are text, and the page forbids all code."""
    path = await made(journey(), DeliverableFormat.HTML, tmp_path / "html")
    page = lxml.html.parse(str(path))
    assert not list(page.iter("script", "a", "iframe", "object"))
    assert not [name for element in page.iter() for name in element.attrib if name[:2] == "on"]
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


async def test_markdown_is_text_where_people_wrote_markup(tmp_path: Path) -> None:
    """No link, code or HTML comes from a person's text; line breaks in tables are ours."""
    path = await made(journey(), DeliverableFormat.MARKDOWN, tmp_path / "markdown")
    tokens = list(markdown_tokens(path.read_text(encoding="utf-8")))
    assert {t.content for t in tokens if t.type.startswith("html")} <= {"<br>"}
    assert not [t for t in tokens if t.type in ("link_open", "code_inline", "fence", "code_block")]
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in tokens) == 1


async def test_a_data_table_has_numbers_that_count(tmp_path: Path) -> None:
    """The first sheet is the table, with a row per step and numbers as numbers."""
    document = build(make_source(DATA, Template.DATA_TABLE))
    path = await made(document, DeliverableFormat.XLSX, tmp_path / "xlsx")
    sheet = openpyxl.load_workbook(path).worksheets[0]
    names = [cell.value for cell in sheet[1]]
    assert sheet.max_row == 1 + 10 * 5
    column = names.index("Sekunden")
    assert {row[column] for row in sheet.iter_rows(2, values_only=True)} == {None, 1.23}


async def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    """Texts that a spreadsheet would run, wide signs included, have an apostrophe before them."""
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "＋1", "－1", "＠A1", "'=1"]
    document = build(make_source([{text: text, "n": -5} for text in texts], Template.DATA_TABLE))
    path = await made(document, DeliverableFormat.CSV, tmp_path / "csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = {cell for row in csv.reader(file) for cell in row}
    assert {cell for cell in cells if cell[:1] in tuple("=+-@＝＋－＠")} == {"-5"}
    assert {f"'{text}" for text in texts} <= cells


async def test_a_picture_that_is_gone_or_broken_leaves_its_caption(tmp_path: Path) -> None:
    """A document is made without pictures that cannot be had or decoded."""
    media = KeptMedia()
    data = make_data(media, count=2)
    first, second = build(make_source(data, Template.LEARNING_JOURNEY)).pictures()
    del media.files[first.sha256]
    media.files[second.sha256] = b"\x89PNG broken"
    document = build(make_source(data, Template.LEARNING_JOURNEY))
    for form in DeliverableFormat:
        path = await made(document, form, tmp_path / form, media)
        assert compact(first.caption) in read(path, form)
