"""What executions are found and counted by.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTS = ("iteration_count", "last_stage", "indexed_revision")


def upgrade() -> None:
    """Add columns, indexes and tables."""
    for name in _COUNTS:
        op.add_column(
            "executions", sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        )
    op.create_index(
        "executions_by_safety_level", "executions", ["safety_level", "start_time_us", "key"]
    )
    changed = sa.text("indexed_revision < revision AND state <> 'running'")
    op.create_index(
        "executions_unindexed",
        "executions",
        ["key"],
        sqlite_where=changed,
        postgresql_where=changed,
    )
    op.create_table(
        "execution_facets",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("start_time_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("execution_key", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("execution_facets_by_key", "execution_facets", ["execution_key", "kind"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_table(
            "execution_words",
            sa.Column("execution_key", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("words", postgresql.TSVECTOR, nullable=False),
        )
        op.create_index(
            "execution_words_by_word", "execution_words", ["words"], postgresql_using="gin"
        )
    else:
        # The words come folded, so only spaces divide them; where they stand does not matter.
        # Beginnings have lists of their own, or those of common ones would be merged each time.
        op.execute(
            "CREATE VIRTUAL TABLE execution_words USING fts5("
            "words, tokenize='ascii', detail=none, prefix='1 2 3 4 5 6 7 8')"
        )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("execution_words")
    op.drop_table("execution_facets")
    op.drop_index("executions_unindexed", "executions")
    op.drop_index("executions_by_safety_level", "executions")
    for name in _COUNTS:
        op.drop_column("executions", name)
