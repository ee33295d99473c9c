"""Export workflows, their records, files, figures and audit.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add tables and indexes."""
    _create_workflows()
    op.create_table(
        "export_stages",
        _part("workflow_key"),
        _part("stage"),
        _part("version"),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=True),
    )
    op.create_table(
        "export_pieces",
        _part("workflow_key"),
        _part("version"),
        _part("number"),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "export_sources",
        sa.Column("execution_id", sa.Text, primary_key=True),
        _part("workflow_key"),
    )
    op.create_index("export_sources_by_workflow", "export_sources", ["workflow_key"])
    op.create_table(
        "export_tallies",
        sa.Column("owner", sa.Text, primary_key=True),
        _part("day"),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("tally", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "export_audit",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("export_workflow_id", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("file_format", sa.Text, nullable=False),
        sa.Column("file_size_bytes", sa.BigInteger, nullable=False),
    )
    for column in ("export_workflow_id", "content_hash"):
        op.create_index(f"export_audit_by_{column}", "export_audit", [column, "key"])


def downgrade() -> None:
    """Drop them."""
    for name in ("audit", "tallies", "sources", "pieces", "stages", "workflows"):
        op.drop_table(f"export_{name}")


def _part(name: str) -> sa.Column[int]:
    """Return a number that is part of the primary key."""
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _create_workflows() -> None:
    op.create_table(
        "export_workflows",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("export_workflow_id", sa.Text, nullable=False, unique=True),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.Column("update_time_us", sa.BigInteger, nullable=False),
        sa.Column("document_type", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("is_foreign", sa.Integer, nullable=False),
        sa.Column("modification_version", sa.Integer, nullable=False),
        sa.Column("deliverable_count", sa.Integer, nullable=False),
        sa.Column("document_template", sa.Text, nullable=False),
        sa.Column("file_format", sa.Text, nullable=False),
        sa.Column("deliverable", sa.Text, nullable=False),
        sa.Column("ai_processing_accuracy", sa.Double, nullable=True),
    )
    # Filters are looked at in the index, so that rows are read only of what is wanted.
    filters = ["status", "document_type", "file_format", "document_template"]
    latest = ["create_time_us", "key"]
    op.create_index("export_workflows_by_owner", "export_workflows", ["owner", *latest, *filters])
    op.create_index("export_workflows_by_time", "export_workflows", [*latest, *filters])
    op.create_index("export_workflows_by_document_id", "export_workflows", ["document_id", *latest])
    op.create_index("export_workflows_by_update", "export_workflows", ["update_time_us"])
