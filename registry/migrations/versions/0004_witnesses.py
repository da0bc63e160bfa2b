"""Witnesses' signatures beside the checkpoints they are of, and a narrow index of versions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of co-signatures, and the index that pages of versions are found by."""
    op.create_table(
        "evidence_cosignatures",
        sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("witness", sa.String(120), primary_key=True),
        sa.Column("keyid", sa.String(71), nullable=False),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_index("model_versions_place", "model_versions", ["log_index"])
