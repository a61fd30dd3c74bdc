"""The application's table next to those of the mirror, in one database. It works on Postgres and on SQLite."""

import os

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table, create_engine, event
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Session, declarative_base

engine = create_engine(os.environ["DATABASE_URL"], future=True)  # as SQLAlchemy writes it: postgresql://…, sqlite:////…
ID = String(36).with_variant(UUID(as_uuid=False), "postgresql")


@event.listens_for(engine, "connect")
def enforce_foreign_keys(connection, _):
    if engine.dialect.name == "sqlite":
        connection.execute("PRAGMA foreign_keys = ON")


Base = declarative_base()

# These belong to clerksync, which alone writes them. The table keeps a row of each user there ever was, so
# that references hold; the view has those who exist.
Table("clerk_users", Base.metadata, Column("id", ID, primary_key=True))


class User(Base):
    __tablename__ = "clerk_users_typed"
    id = Column(ID, primary_key=True)
    clerk_user_id = Column(String)  # a token's sub
    email = Column(String)
    role = Column(String)
    is_active = Column(Boolean)


class Deal(Base):
    __tablename__ = "deals"
    id = Column(Integer, primary_key=True)
    organization_id = Column(String, nullable=False, index=True)
    owner_id = Column(ID, ForeignKey("clerk_users.id"), nullable=False)
    title = Column(String(200), nullable=False)
    value_usd = Column(Integer, nullable=False)


def create_tables():
    """Create what is the application's, and nothing else. A larger service has migrations."""
    Base.metadata.create_all(engine, tables=[Deal.__table__])


def session():
    with Session(engine, future=True) as s:
        yield s
