"""The repository's records in SQLite: every metadata file ever published, and what images it has vouched for.

One publication is one transaction: it is there as a whole or not at all, whoever pulls the plug. Files are never
changed or removed; the newest of a role is the one with the highest version. The schema is Alembic's (migrations/).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, IntegrityError

from image_repo.accept import Release
from image_repo.publish import Conflict, Publication, Vouched
from uptane.errors import StorageFailure
from uptane.moments import UtcTime

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
BUSY_TIMEOUT_MS = 10_000  # a publication of 100,000 images is written in 2,000

TABLES = sa.MetaData()
PUBLICATIONS = sa.Table(
    "publications",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Integer, nullable=False),  # UTC seconds
    sa.Column("who", sa.String, nullable=False),  # the operator's URI and certificate; "renewal" for the server's own
)
FILES = sa.Table(
    "files",
    TABLES,
    sa.Column("role", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),  # the envelope as it is served
    sa.Column("publication", sa.Integer, sa.ForeignKey("publications.number"), nullable=False),
)
IMAGES = sa.Table(  # ever published: a vehicle may still be on its way to an image that was taken back
    "images",
    TABLES,
    sa.Column("sha256", sa.LargeBinary, primary_key=True),
    sa.Column("length", sa.Integer, nullable=False),
)
RELEASES = sa.Table(  # the latest image under each filename, kept when it is taken back
    "releases",
    TABLES,
    sa.Column("filename", sa.String, primary_key=True),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("counter", sa.Integer, nullable=False),
)
COUNTERS = sa.Table(  # the highest release counter a role has given hardware
    "counters",
    TABLES,
    sa.Column("role", sa.String, primary_key=True),
    sa.Column("hardware", sa.String, primary_key=True),
    sa.Column("counter", sa.Integer, nullable=False),
)


class Database:
    """The records in one SQLite file. Safe for threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageFailure(f"{path.parent} cannot be made: {error.strerror}") from error
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)
        with self._connection() as connection:
            settings = Config()
            settings.set_main_option("script_location", str(MIGRATIONS))
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    # ------------------------------------------------------------------------------------------------ reading

    def newest(self) -> Mapping[str, tuple[int, bytes]]:
        """Version and octets of the newest file of every role."""
        latest = sa.select(FILES.c.role, sa.func.max(FILES.c.version).label("version")).group_by(FILES.c.role)
        query = sa.select(FILES.c.role, FILES.c.version, FILES.c.octets).join(
            latest.subquery("latest"), sa.text("latest.role = files.role AND latest.version = files.version")
        )
        with self._connection() as connection:
            return {role: (version, octets) for role, version, octets in connection.execute(query)}

    def file(self, role: str, version: int | None) -> bytes | None:
        """One metadata file; the newest of the role if `version` is None."""
        query = sa.select(FILES.c.octets).where(FILES.c.role == role).order_by(FILES.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(FILES.c.version == version)
        with self._connection() as connection:
            octets: bytes | None = connection.execute(query).scalar()
        return octets

    def published(self, sha256: bytes) -> int | None:
        """The length of the image with this hash; None if none was ever published."""
        query = sa.select(IMAGES.c.length).where(IMAGES.c.sha256 == sha256)
        with self._connection() as connection:
            length: int | None = connection.execute(query).scalar()
        return length

    def images_total(self) -> tuple[int, int]:
        """How many images were ever published, and their octets."""
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(IMAGES.c.length), 0)).select_from(IMAGES)
        with self._connection() as connection:
            count, octets = connection.execute(query).one()
        return int(count), int(octets)

    def release(self, filename: str) -> Release | None:
        """The latest image ever published under `filename`."""
        query = sa.select(RELEASES.c.sha256, RELEASES.c.counter).where(RELEASES.c.filename == filename)
        with self._connection() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Release(row.sha256, row.counter)

    def counter(self, role: str, hardware: str) -> int:
        """The highest release counter `role` ever gave `hardware`; 0 if none."""
        query = sa.select(COUNTERS.c.counter).where(COUNTERS.c.role == role, COUNTERS.c.hardware == hardware)
        with self._connection() as connection:
            counter: int | None = connection.execute(query).scalar()
        return counter or 0

    # ------------------------------------------------------------------------------------------------ writing

    def publish(self, publication: Publication, who: str, at: UtcTime) -> None:
        """Make a publication visible, whole; durable when this returns.

        Raises:
            Conflict: another publication came first.
            StorageFailure: it cannot be written; nothing changed.
        """
        with self._connection(writing=True) as connection:
            number = connection.execute(sa.insert(PUBLICATIONS).values(who=who, at=at)).inserted_primary_key
            assert number is not None
            rows = [
                {"role": file.role, "version": file.version, "octets": file.octets, "publication": number[0]}
                for file in publication.files
            ]
            try:
                connection.execute(sa.insert(FILES), rows)
            except IntegrityError as error:  # that role has this version: versions are given once
                raise Conflict("another publication came first: read the newest metadata, sign again") from error
            for vouched in publication.images:
                _record(connection, vouched)

    @contextmanager
    def _connection(self, *, writing: bool = False) -> Iterator[sa.Connection]:
        """A connection in one transaction, committed at the end, undone if anything is raised."""
        try:
            with self._engine.connect() as connection:
                connection.info["writing"] = writing
                with connection.begin():
                    yield connection
        except (DatabaseError, OSError) as error:
            raise StorageFailure(f"{self._path}: {error.__cause__ or error}") from error


def _record(connection: sa.Connection, vouched: Vouched) -> None:
    """Remember an image: its octets may be fetched, its name and its hardware have had this counter."""
    image = vouched.image
    connection.execute(insert(IMAGES).values(sha256=image.sha256, length=image.length).on_conflict_do_nothing())
    release = insert(RELEASES).values(filename=image.filename, sha256=image.sha256, counter=image.release_counter)
    connection.execute(
        release.on_conflict_do_update(
            index_elements=[RELEASES.c.filename],
            set_={"sha256": release.excluded.sha256, "counter": release.excluded.counter},
        )
    )
    for hardware in image.hardware:
        counter = insert(COUNTERS).values(role=vouched.role, hardware=hardware, counter=image.release_counter)
        highest = sa.func.max(COUNTERS.c.counter, counter.excluded.counter)
        connection.execute(
            counter.on_conflict_do_update(
                index_elements=[COUNTERS.c.role, COUNTERS.c.hardware], set_={"counter": highest}
            )
        )


def _configure(connection: sqlite3.Connection, _record_of_pool: object) -> None:
    """Durable commits; transactions begin where SQLAlchemy says, not where sqlite3 guesses."""
    connection.isolation_level = None
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: sa.Connection) -> None:
    """A writer takes the lock at once: two that read first and write then would stop each other for good."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("writing") else "BEGIN")
