"""Options of the commands about export workflows, and what requests make of them."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from stellwerk.tracker.v1.export_workflow_pb2 import ExportPreferences


class Language(StrEnum):
    """Languages of summaries and documents."""

    DE = "de"
    EN = "en"


class Format(StrEnum):
    """Formats of documents."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    DOCX = "docx"
    MARKDOWN = "markdown"
    HTML = "html"


class Template(StrEnum):
    """Templates of documents."""

    EXECUTIVE_SUMMARY = "executive_summary"
    FULL_REPORT = "full_report"
    DATA_TABLE = "data_table"
    LEARNING_JOURNEY = "learning_journey"


class Status(StrEnum):
    """What a workflow waits for."""

    AWAITING_USER_REVIEW = "awaiting_user_review"
    AWAITING_FINAL_PROCESSING = "awaiting_final_processing"
    COMPLETED = "completed"


WorkflowArgument = Annotated[str, typer.Argument(metavar="ID", help="The workflow.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Format. None: as chosen before.")
]
TemplateOption = Annotated[Template | None, typer.Option(help="Template. None: as chosen before.")]
InstructionsOption = Annotated[
    str, typer.Option(help="What the final summary should heed. Empty: as told before.")
]
ToOption = Annotated[Path, typer.Option(help="The file, or a folder for it.")]
HERE = Path()
DocumentOption = Annotated[
    Path | None,
    typer.Option(dir_okay=False, allow_dash=True, help="A JSON file instead; `-`: stdin."),
]
MadeFileOption = Annotated[
    Path | None,
    typer.Option("--file", exists=True, dir_okay=False, help="Was this made here, and when?"),
]
EditedArgument = Annotated[
    Path | None,
    typer.Argument(
        dir_okay=False,
        allow_dash=True,
        help="All of the data after editing, JSON; `-`: standard input. None: your $EDITOR.",
    ),
]
# Any word: foreign systems have formats and templates of their own.
FormatFilter = Annotated[str, typer.Option("--format", help="Only of this format.")]
TemplateFilter = Annotated[str, typer.Option("--template", help="Only of this template.")]


def preferences(
    form: Format | None, template: Template | None, instructions: str
) -> ExportPreferences:
    """Return what a person wants of a document, as requests hold it."""
    return ExportPreferences(
        transformation_instructions=instructions,
        export_format=form or "",
        document_template=template or "",
    )


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; `-` is standard input.

    Raises:
        typer.BadParameter: It is no JSON.
        OSError: It cannot be read.
    """
    return parsed(sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8"))


def parsed(text: str) -> Any:
    """Return what a JSON text means.

    Raises:
        typer.BadParameter: It is no JSON.
    """
    try:
        return json.loads(text)
    except ValueError as exc:
        raise typer.BadParameter(f"no valid JSON: {exc}") from exc
