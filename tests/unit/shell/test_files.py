"""Durable records: there whole or not at all, whatever fails, and the one before when the newest is damaged."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptane.errors import StorageFailure
from uptane.shell import files
from uptane.shell.files import Damaged, Store

NAME = "image/role/supplier/abc"


class PowerLost(BaseException):
    """The power failed: nothing after this happens, not even cleaning up."""


def newest(directory: Path, name: str = NAME) -> Path:
    """The file of the newest copy of a record."""
    return max(directory.glob(f"{name}~[01]"), key=lambda path: path.read_bytes()[10:18])


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    assert store.read(NAME) is None
    for octets in (b"one", b"two", b"", b"three" * 100_000):
        store.write(NAME, octets)
        assert store.read(NAME) == octets
        assert Store(tmp_path / "state").read(NAME) == octets
    assert store.damaged == []


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    Store(tmp_path / "state").write(NAME, b"secret")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "state").rglob("*~?")] == [0o600]


def test_names_are_listed_by_prefix_and_forgotten_when_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("director/root", "director/targets", "image/root", "image/role/a", "image/role/a/b"):
        store.write(name, name.encode())
        store.write(name, name.encode())
    assert store.names("image/role/") == ["image/role/a", "image/role/a/b"]
    assert len(store.names()) == 5
    store.delete("image/role/a")
    store.delete("image/role/a")
    assert store.read("image/role/a") is None
    assert store.read("image/role/a/b") == b"image/role/a/b"
    assert store.names("image/role/") == ["image/role/a/b"]


@given(names=st.lists(st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name), unique=True, max_size=6))
def test_every_name_has_a_place_of_its_own_below_the_directory(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("names")
    store = Store(directory / "state")
    names = [name.encode("utf-8", "ignore").decode() or "x" for name in names]
    for name in names:
        store.write(name, name.encode())
    assert store.names() == sorted(set(names))
    assert all(store.read(name) == name.encode() for name in names)
    assert [path.name for path in directory.iterdir()] == ["state"]


@pytest.mark.parametrize(
    "name", ["../escape", "/etc/escape", "a/../../escape", "..", ".", "a//b", "a/", "~0", "%2e", "%"]
)
def test_no_name_leads_out_of_the_directory(name: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.write(name, b"here")
    assert store.read(name) == b"here"
    assert store.names() == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


# Damage


def damaged_copies(octets: bytes) -> Iterator[bytes]:
    yield b""
    yield from (octets[:length] for length in (1, 30, 61, len(octets) - 1))
    yield octets + b"\0"
    for at in (0, 9, 17, 25, 40, 60, len(octets) - 1):
        yield octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def test_a_damaged_newest_copy_gives_way_to_the_one_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(NAME, b"old")
    store.write(NAME, b"new")
    whole = newest(tmp_path).read_bytes()
    for octets in damaged_copies(whole):
        newest_file = (
            tmp_path / f"{NAME}~0" if (tmp_path / f"{NAME}~0").read_bytes() == whole else tmp_path / f"{NAME}~1"
        )
        newest_file.write_bytes(octets)
        again = Store(tmp_path)
        assert again.read(NAME) == b"old"
        assert again.damaged == [NAME]
        again.write(NAME, b"newer")  # takes the damaged copy's place
        assert Store(tmp_path).read(NAME) == b"newer"
        assert (tmp_path / f"{NAME}~0").read_bytes()[-3:] == b"old" or (tmp_path / f"{NAME}~1").read_bytes()[
            -3:
        ] == b"old"
        newest_file.write_bytes(whole)


def test_no_whole_copy_is_an_error_and_not_an_absence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(NAME, b"only")
    newest(tmp_path).write_bytes(b"")
    with pytest.raises(Damaged, match="no whole copy"):
        store.read(NAME)
    assert store.damaged == [NAME]
    assert store.names() == [NAME]
    store.write(NAME, b"again")
    assert store.read(NAME) == b"again"


def test_what_is_left_of_a_lost_record_is_gone_once_it_is_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for octets in (b"one", b"two", b"three"):
        store.write(NAME, octets)
    for slot in (0, 1):
        file = tmp_path / f"{NAME}~{slot}"
        file.write_bytes(file.read_bytes()[:-1] + b"?")  # its generation can be read: it is higher than the next one's
    again = Store(tmp_path)
    again.write(NAME, b"four")
    assert again.damaged == [NAME]
    after = Store(tmp_path)
    assert after.read(NAME) == b"four"
    assert after.damaged == []


def test_a_file_in_another_s_place_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("director/root", b"director's")
    store.write("image/root", b"image's")
    (tmp_path / "image/root~0").write_bytes((tmp_path / "director/root~0").read_bytes())
    with pytest.raises(Damaged):
        Store(tmp_path).read("image/root")


def test_a_format_of_newer_software_is_not_guessed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.write(NAME, b"this format")
    with monkeypatch.context() as newer:
        newer.setattr(files, "FORMAT", 2)
        store.write(NAME, b"a newer one")
    again = Store(tmp_path)
    assert again.read(NAME) == b"this format"
    assert again.damaged == [NAME]


# Power cuts


class Fuse:
    """Lets `strokes` system calls through, and then the power fails, before or after the call."""

    def __init__(self, strokes: int, *, after: bool) -> None:
        self.strokes, self.after = strokes, after

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def fused(*arguments: Any, **options: Any) -> Any:
            self.strokes -= 1
            if self.strokes == 0 and not self.after:
                raise PowerLost
            result = call(*arguments, **options)
            if self.strokes == 0:
                raise PowerLost
            return result

        return fused


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("strokes", range(1, 12))
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_power_cut_at_any_call_leaves_old_or_new(
    strokes: int, before: bytes | None, tmp_path: Path, *, after: bool
) -> None:
    for action in ("write", "delete"):
        directory = tmp_path / action
        store = Store(directory)
        if before is not None:
            store.write(NAME, b"older")
            store.write(NAME, before)
        with pytest.MonkeyPatch.context() as patch:
            fuse = Fuse(strokes, after=after)
            for module, call in ((os, "open"), (os, "fsync"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir")):
                patch.setattr(module, call, fuse(getattr(module, call)))
            try:
                store.write(NAME, b"new") if action == "write" else store.delete(NAME)
                finished = True
            except PowerLost:
                finished = False
        again = Store(directory)
        wanted = b"new" if action == "write" else None
        assert again.read(NAME) in ({wanted} if finished else {wanted, before})
        assert again.damaged == []
        again.write(NAME, b"goes on")
        assert Store(directory).read(NAME) == b"goes on"


def test_the_cuts_reach_every_call_of_a_first_write(tmp_path: Path) -> None:
    fuse = Fuse(1000, after=False)
    store = Store(tmp_path / "state")
    with pytest.MonkeyPatch.context() as patch:
        for module, call in ((os, "open"), (os, "fsync"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir")):
            patch.setattr(module, call, fuse(getattr(module, call)))
        store.write("a", b"new")
    assert 4 <= 1000 - fuse.strokes < 12


# The disk fails


@contextmanager
def disk_of(octets: int) -> Iterator[None]:
    """No file may grow beyond `octets`: what a full disk does to one write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_state(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(NAME, b"old")
    with disk_of(4096), pytest.raises(StorageFailure, match="File too large"):
        store.write(NAME, bytes(100_000))
    assert store.read(NAME) == b"old"
    assert Store(tmp_path).read(NAME) == b"old"
    assert not list(tmp_path.rglob("*~t")), "nothing is left that takes up room"
    store.write(NAME, b"new")
    assert Store(tmp_path).read(NAME) == b"new"


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_failing_disk_is_a_storage_failure(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.write(NAME, b"old")

    def fail(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageFailure, match="No space left"):
            store.write(NAME, b"new")
    assert Store(tmp_path).read(NAME) == b"old"


def test_what_is_in_the_way_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailure, match="file"):
        Store(tmp_path / "file")
    store = Store(tmp_path / "state")
    (tmp_path / "state" / "director").write_bytes(b"")
    assert store.read("director/root") is None
    with pytest.raises(StorageFailure):
        store.write("director/root", b"")
    with pytest.raises(StorageFailure, match="too long"):
        store.write("n" * 300, b"")
