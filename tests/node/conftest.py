"""The PostgreSQL server of the book's suite; it is started only where a test asks for it."""

from tests.postgres import postgres as postgres
