"""The one collection of tables that `registry/migrations` makes."""

from sqlalchemy import MetaData

METADATA = MetaData()
