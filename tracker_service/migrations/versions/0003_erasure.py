"""Erasures, their receipts and outbox; executions by person.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add column, index and tables."""
    op.add_column("executions", sa.Column("erased_time_us", sa.BigInteger, nullable=True))
    op.create_index("executions_by_user_id", "executions", ["user_id", "start_time_us", "key"])
    op.create_table(
        "erasures",
        sa.Column("receipt_id", sa.Text, primary_key=True),
        sa.Column("request_time_us", sa.BigInteger, nullable=False),
        sa.Column("wanted", sa.Text, nullable=False),
        sa.Column("execution_count", sa.BigInteger, nullable=False),
        sa.Column("item_count", sa.BigInteger, nullable=False),
        sa.Column("done_time_us", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "erasure_tasks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("receipt_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("config_name", sa.Text, nullable=False),
    )
    op.create_index("erasure_tasks_by_receipt", "erasure_tasks", ["receipt_id", "number"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("erasure_tasks")
    op.drop_table("erasures")
    op.drop_index("executions_by_user_id", "executions")
    op.drop_column("executions", "erased_time_us")
