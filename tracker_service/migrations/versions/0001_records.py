"""Executions, items, plans, claims and idempotency keys.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _create_executions()
    _create_items()
    op.create_table(
        "plans",
        sa.Column("plan_digest", sa.Text, primary_key=True),
        sa.Column("plan_json", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("execution_key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        _number("first_number"),
        _text("owner_address"),
        _number("claim_time_us"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("idempotency_key", sa.Text, primary_key=True),
        _number("execution_key"),
    )


def downgrade() -> None:
    """Drop everything; there was nothing before."""
    for table in ("idempotency_keys", "claims", "plans", "items", "executions"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SEQUENCE execution_keys")


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _create_executions() -> None:
    key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "executions",
        sa.Column("key", key, primary_key=True, autoincrement=False),
        sa.Column("execution_id", sa.Text, nullable=False, unique=True),
        _number("start_time_us"),
        _number("lease_until_us"),
        _number("lease_us"),
        _text("config_name"),
        _text("safety_level"),
        _text("user_id"),
        _text("session_id"),
        _text("group_id"),
        _text("parent_execution_id"),
        _number("end_time_us", nullable=True),
        _text("state"),
        _number("epoch"),
        _number("highest_number"),
        _number("item_count"),
        _number("numbered_count"),
        _number("terminal_number", nullable=True),
        _number("terminal_position", nullable=True),
        _number("complete"),
        _text("error"),
        _text("user_input"),
        _number("user_input_number", nullable=True),
        _text("plan_digest"),
        _text("policy_version"),
        _text("software_version"),
        _text("taxonomy_version"),
        _number("outputs_generated"),
        _number("bound"),
        _text("owner_address"),
        _number("revision"),
        _number("file_revision"),
    )
    for column in ("config_name", "session_id", "group_id", "state"):
        op.create_index(f"executions_by_{column}", "executions", [column, "start_time_us", "key"])
    op.create_index("executions_by_start", "executions", ["start_time_us", "key"])
    running = sa.text("state = 'running'")
    op.create_index(
        "executions_by_lease",
        "executions",
        ["lease_until_us"],
        sqlite_where=running,
        postgresql_where=running,
    )
    outdated = sa.text("file_revision < revision")
    op.create_index(
        "executions_outdated_files",
        "executions",
        ["key"],
        sqlite_where=outdated,
        postgresql_where=outdated,
    )


def _create_items() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _create_partitioned_items()
        return
    op.create_table(
        "items",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False, unique=True),
        *_item_columns(),
        sa.UniqueConstraint("execution_key", "position"),
        sa.UniqueConstraint("execution_key", "epoch", "sequence_number"),
    )


def _create_partitioned_items() -> None:
    """Make a table of monthly partitions, which the store adds as months come.

    A unique key must hold the partition key, so only `item_id` can be one; positions and numbers
    are given under the lock of the execution's row instead.
    """
    op.create_table(
        "items",
        sa.Column("item_id", sa.Uuid, primary_key=True),
        *_item_columns(),
        postgresql_partition_by="RANGE (item_id)",
    )
    op.create_index("items_by_position", "items", ["execution_key", "position"])
    op.execute("CREATE TABLE items_other PARTITION OF items DEFAULT")
    op.execute("CREATE SEQUENCE execution_keys")


def _item_columns() -> list[sa.Column[Any]]:
    return [
        _number("execution_key"),
        _number("position"),
        _number("epoch"),
        _number("sequence_number"),
        _number("occur_time_us"),
        _number("stage"),
        _number("stage_iteration", nullable=True),
        _number("loop_iteration", nullable=True),
        _text("media_type"),
        _text("item_type"),
        _text("content", nullable=True),
        _text("media_uri", nullable=True),
        _text("media_sha256", nullable=True),
        _number("media_size_bytes", nullable=True),
        _text("media_mime_type", nullable=True),
        _text("media_filename", nullable=True),
        _text("config_used"),
        _text("model_used"),
        _text("backend_used"),
        _text("backend_job_id"),
        _number("run_duration_us", nullable=True),
        _text("metadata"),
        _number("late"),
    ]
