"""The ledger in a database, by SQLAlchemy: a SQLite file, PostgreSQL, MariaDB or MySQL."""

from modelwright.storage.sql.address import ServerAddress
from modelwright.storage.sql.engine import Database, Transaction
from modelwright.storage.sql.mysql import MySQLDatabase
from modelwright.storage.sql.postgresql import PostgreSQLDatabase
from modelwright.storage.sql.sqlite import SQLiteDatabase
from modelwright.storage.sql.store import SQLStorage

__all__ = [
    "Database",
    "MySQLDatabase",
    "PostgreSQLDatabase",
    "SQLStorage",
    "SQLiteDatabase",
    "ServerAddress",
    "Transaction",
]
