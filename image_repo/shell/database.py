"""The repository's records in SQLite: every metadata file ever published, and what images it has vouched for.

One publication is one transaction: it is there as a whole or not at all, whoever pulls the plug. Files are never
changed or removed; the newest of a role is the one with the highest version. The schema is Alembic's (migrations/).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
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
from uptane.model.ids import Filename, HardwareId, RoleName
from uptane.moments import UtcTime

ASKED_MAX = 500  # names in one query: SQLite takes 32,766 parameters, older ones 999
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

    def releases(self, filenames: Sequence[Filename]) -> Mapping[Filename, Release]:
        """The latest image ever published under each of these names, where there was one."""
        found: dict[Filename, Release] = {}
        with self._connection() as connection:
            for start in range(0, len(filenames), ASKED_MAX):
                asked = filenames[start : start + ASKED_MAX]
                query = sa.select(RELEASES).where(RELEASES.c.filename.in_(asked))
                found.update((row.filename, Release(row.sha256, row.counter)) for row in connection.execute(query))
        return found

    def counters(self, role: RoleName) -> Mapping[HardwareId, int]:
        """The highest release counter `role` ever gave each hardware."""
        query = sa.select(COUNTERS.c.hardware, COUNTERS.c.counter).where(COUNTERS.c.role == role)
        with self._connection() as connection:
            return {row.hardware: row.counter for row in connection.execute(query)}

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
            if publication.images:
                _record(connection, publication.images)

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


def _record(connection: sa.Connection, vouched: Sequence[Vouched]) -> None:
    """Remember images: their octets may be fetched, their names and their hardware have had these counters."""
    images = {each.image.sha256: {"sha256": each.image.sha256, "length": each.image.length} for each in vouched}
    connection.execute(insert(IMAGES).on_conflict_do_nothing(), list(images.values()))
    releases = [
        {"filename": each.image.filename, "sha256": each.image.sha256, "counter": each.image.release_counter}
        for each in vouched
    ]
    release = insert(RELEASES)
    latest = {"sha256": release.excluded.sha256, "counter": release.excluded.counter}
    connection.execute(release.on_conflict_do_update(index_elements=[RELEASES.c.filename], set_=latest), releases)
    given = [
        {"role": each.role, "hardware": hardware, "counter": each.image.release_counter}
        for each in vouched
        for hardware in each.image.hardware
    ]
    counter = insert(COUNTERS)
    highest = {"counter": sa.func.max(COUNTERS.c.counter, counter.excluded.counter)}
    key = [COUNTERS.c.role, COUNTERS.c.hardware]
    connection.execute(counter.on_conflict_do_update(index_elements=key, set_=highest), given)


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
