"""Records of every noun: revisions that cannot be changed or deleted, and their index."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REFUSED = "a record is never changed or deleted"


def upgrade() -> None:
    """Make the tables of records, and the triggers that keep them."""
    _records()
    _index()
    _triggers()


def _records() -> None:
    op.create_table(
        "registry_records",
        sa.Column("noun", sa.String(40), primary_key=True),
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("supersedes", sa.String(120)),
        sa.Column("previous", sa.String(71)),
        sa.Column("signatures", sa.Text, nullable=False),
        sa.Column("log_index", sa.Integer, nullable=False, unique=True),
        sa.Column("log_size", sa.Integer, nullable=False),
    )


def _index() -> None:
    op.create_table(
        "registry_heads",
        sa.Column("noun", sa.String(40), primary_key=True),
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("log_index", sa.Integer, nullable=False, unique=True),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_index("registry_heads_newest", "registry_heads", ["noun", "log_index"])
    op.create_index("registry_heads_state", "registry_heads", ["noun", "state", "log_index"])
    op.create_table(
        "registry_facets",
        sa.Column("noun", sa.String(40), primary_key=True),
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("facet", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), primary_key=True),
    )
    op.create_index("registry_facets_value", "registry_facets", ["noun", "facet", "value"])
    op.create_table(
        "registry_links",
        sa.Column("noun", sa.String(40), primary_key=True),
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("relation", sa.String(40), primary_key=True),
        sa.Column("to_noun", sa.String(40), primary_key=True),
        sa.Column("to_id", sa.String(120), primary_key=True),
    )
    op.create_index("registry_links_to", "registry_links", ["to_noun", "to_id"])


def _triggers() -> None:
    if op.get_context().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER registry_records_no_{deed.lower()} BEFORE {deed} "
                f"ON registry_records BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION registry_records_keep() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSED}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER registry_records_keep BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON registry_records FOR EACH STATEMENT EXECUTE FUNCTION registry_records_keep()"
    )
