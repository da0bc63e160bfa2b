"""Accounts, sessions, tokens and what else lets somebody in: sealed items of one table."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "registry_access",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("key", sa.String(120), primary_key=True),
        sa.Column("owner", sa.String(120), nullable=False),
        sa.Column("ends", sa.String(20), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_registry_access_owner", "registry_access", ["owner"])
    op.create_index("ix_registry_access_ends", "registry_access", ["ends"])
