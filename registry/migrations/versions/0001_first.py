"""The first tables: models and versions, the evidence log, the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables as they were before there were steps."""
    _models()
    _evidence()
    op.create_table(
        "registry_audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_registry_audit_subject", "registry_audit", ["subject"])


def _models() -> None:
    op.create_table(
        "registered_models",
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("study", sa.String(40), nullable=False, unique=True),
        sa.UniqueConstraint("year", "number"),
    )
    op.create_table(
        "model_versions",
        sa.Column("log_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("log_size", sa.Integer, nullable=False),
        sa.Column("entry", sa.String(60), nullable=False, unique=True),
        sa.Column("model", sa.String(20), sa.ForeignKey("registered_models.id"), nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("study", sa.String(40), nullable=False),
        sa.Column("run", sa.String(60), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("candidate_digest", sa.String(71), nullable=False, unique=True),
        sa.Column("supersedes", sa.String(60), unique=True),
        sa.Column("record", sa.Text, nullable=False),
        sa.UniqueConstraint("model", "version"),
    )
    op.create_index("ix_model_versions_run", "model_versions", ["run"])


def _evidence() -> None:
    op.create_table(
        "evidence_entries",
        sa.Column("leaf_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("envelope_digest", sa.String(71), nullable=False, unique=True),
        sa.Column("envelope", sa.Text, nullable=False),
    )
    op.create_table(
        "evidence_nodes",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "evidence_checkpoints",
        sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "evidence_keys",
        sa.Column("keyid", sa.String(71), primary_key=True),
        sa.Column("site", sa.String(40)),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("pem", sa.LargeBinary, nullable=False),
    )
