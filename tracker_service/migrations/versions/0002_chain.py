"""The chain of seals: a key and a head per execution, a seal per item.

What is stored already stays outside: a seal made now would vouch for what nobody checked.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for name in ("chain_key", "chain_head"):
        op.add_column("executions", _binary(name))
    op.add_column(
        "executions",
        sa.Column("unchained_count", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.execute("UPDATE executions SET unchained_count = item_count")
    op.add_column("items", sa.Column("seal", sa.LargeBinary, nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("items", "seal")
    for name in ("unchained_count", "chain_head", "chain_key"):
        op.drop_column("executions", name)


def _binary(name: str) -> sa.Column[bytes]:
    is_postgres = op.get_bind().dialect.name == "postgresql"
    empty = sa.text("''::bytea" if is_postgres else "x''")
    return sa.Column(name, sa.LargeBinary, nullable=False, server_default=empty)
