from tests.databases import a_database, database_url
from tests.postgres import postgres

__all__ = ["a_database", "database_url", "postgres"]
