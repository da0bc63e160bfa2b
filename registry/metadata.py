"""The one collection of tables that `registry/store.py` creates."""

from sqlalchemy import MetaData

METADATA = MetaData()
