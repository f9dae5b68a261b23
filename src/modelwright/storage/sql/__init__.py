"""The ledger in a database, by SQLAlchemy."""

from modelwright.storage.sql.engine import Database, Transaction
from modelwright.storage.sql.sqlite import SQLiteDatabase
from modelwright.storage.sql.store import SQLStorage

__all__ = ["Database", "SQLStorage", "SQLiteDatabase", "Transaction"]
