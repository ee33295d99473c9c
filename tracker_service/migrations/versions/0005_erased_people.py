"""Whom erasures were about, known only by a keyed hash.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and a key that no other database has."""
    op.create_table(
        "erased_people",
        sa.Column("name_hash", sa.Text, primary_key=True),
        sa.Column("erased_time_us", sa.BigInteger, nullable=False),
    )
    key = op.create_table("erased_people_key", sa.Column("key", sa.Text, primary_key=True))
    op.bulk_insert(key, [{"key": secrets.token_hex(32)}])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("erased_people_key")
    op.drop_table("erased_people")
