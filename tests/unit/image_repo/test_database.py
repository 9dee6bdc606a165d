"""The records: a publication is there as a whole or not at all, and nothing published is ever forgotten."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from image_repo.accept import Release
from image_repo.publish import Conflict, File, Publication, Vouched
from image_repo.shell.database import TABLES, Database
from uptane.errors import StorageFailure
from uptane.model.ids import Filename, HardwareId, RoleName
from uptane.model.metadata import Image
from uptane.moments import UtcTime

UTC = UtcTime(1_800_000_000)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "state" / "repository.db")


def vouched(filename: str = "a/b.bin", *, counter: int = 1, content: int = 1, role: str = "targets") -> Vouched:
    sha256 = bytes([content]) * 32
    image = Image(Filename(filename), 10, sha256, None, (HardwareId("hw-1"), HardwareId("hw-2")), counter, b"")
    return Vouched(RoleName(role), image)


def publication(version: int, *images: Vouched) -> Publication:
    files = tuple(File(role, version, f"{role}{version}".encode()) for role in ("targets", "snapshot", "timestamp"))
    return Publication(files, images)


def test_every_version_is_kept_and_the_newest_is_known(database: Database) -> None:
    for version in (1, 2, 10):
        database.publish(publication(version), "anna", UTC)
    assert database.file("targets", 2) == b"targets2"
    assert database.file("timestamp", None) == b"timestamp10"
    assert database.file("targets", 3) is None
    assert database.file("nobody", None) is None
    assert dict(database.newest()) == {
        role: (10, f"{role}10".encode()) for role in ("targets", "snapshot", "timestamp")
    }


def test_a_version_is_given_once(database: Database) -> None:
    database.publish(publication(1, vouched()), "anna", UTC)
    late = Publication((*publication(2).files[:2], File("timestamp", 1, b"other")), (vouched("late.bin"),))
    with pytest.raises(Conflict, match="came first"):
        database.publish(late, "bert", UTC)
    assert database.file("targets", 2) is None
    assert database.file("timestamp", None) == b"timestamp1"
    assert not database.releases([Filename("late.bin")])


def test_images_and_counters_are_remembered(database: Database) -> None:
    database.publish(publication(1, vouched(counter=4, content=1)), "anna", UTC)
    database.publish(publication(2, vouched(counter=7, content=2)), "anna", UTC)
    database.publish(publication(3, vouched("c.bin", counter=5, content=2, role="acme")), "anna", UTC)
    assert database.releases([Filename("a/b.bin"), Filename("x")]) == {"a/b.bin": Release(b"\2" * 32, 7)}
    assert database.counters(RoleName("targets")) == {"hw-1": 7, "hw-2": 7}
    assert database.counters(RoleName("acme")) == {"hw-1": 5, "hw-2": 5}
    assert database.counters(RoleName("nobody")) == {}
    assert database.published(b"\1" * 32) == 10
    assert database.published(b"\3" * 32) is None
    assert database.images_total() == (2, 20)


def test_many_names_are_asked_for_at_once(database: Database) -> None:
    images = [vouched(f"{number}.bin", counter=number) for number in range(1_201)]
    database.publish(publication(1, *images), "anna", UTC)
    found = database.releases([image.image.filename for image in images])
    assert {name: release.counter for name, release in found.items()} == {f"{at}.bin": at for at in range(1_201)}


def test_a_lower_counter_does_not_lower_the_floor(database: Database) -> None:
    database.publish(publication(1, vouched("a.bin", counter=7, content=1)), "anna", UTC)
    database.publish(publication(2, vouched("b.bin", counter=3, content=2)), "anna", UTC)
    assert database.counters(RoleName("targets"))[HardwareId("hw-1")] == 7


def test_all_of_it_is_there_after_opening_again(database: Database, tmp_path: Path) -> None:
    database.publish(publication(1, vouched()), "anna", UTC)
    database.close()
    again = Database(tmp_path / "state" / "repository.db")
    assert again.file("targets", None) == b"targets1"
    assert again.releases([Filename("a/b.bin")])


def test_two_processes_cannot_both_publish_a_version(database: Database, tmp_path: Path) -> None:
    other = Database(tmp_path / "state" / "repository.db")
    database.publish(publication(1), "anna", UTC)
    with pytest.raises(Conflict):
        other.publish(publication(1), "bert", UTC)
    other.publish(publication(2), "bert", UTC)
    assert database.file("timestamp", None) == b"timestamp2"


def test_no_room_leaves_the_old_state(database: Database) -> None:
    database.publish(publication(1), "anna", UTC)

    def no_more_pages(connection: sqlite3.Connection, *_more: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(database._engine, "checkout", no_more_pages)
    large = Publication((*publication(2).files[:2], File("timestamp", 2, bytes(1_000_000))))
    with pytest.raises(StorageFailure, match="full"):
        database.publish(large, "anna", UTC)
    assert database.file("timestamp", None) == b"timestamp1"
    assert database.file("targets", 2) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "repository.db"
    path.write_bytes(b"this is no database" * 1_000)
    with pytest.raises(StorageFailure, match=r"repository\.db.*not a database"):
        Database(path)


def test_migrations_lead_to_the_tables_the_code_uses(database: Database) -> None:
    with database._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), TABLES) == []
