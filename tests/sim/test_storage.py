"""Records and blobs of the simulator against the shells': the same operations, the same answers, the same files.

Then what a power cut may leave: exactly what cutting the real store at each of its system calls leaves.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primary.needs import Blob, EraseBlob, Forget, FreeSpace, ListCache, Measure, Place, ReadBlob, Save, WriteBlob
from primary.shell import files as primary_files
from primary.shell.files import Blobs as RealBlobs
from secondary import needs as secondary_needs
from sim import blobs as sim_blobs
from sim.blobs import Blobs
from sim.storage import Disk, Health, RecordFaults, Records
from uptane.errors import StorageFailure
from uptane.shell import files
from uptane.shell.files import Store

NAMES = ("a", "image/root", "image/role/supplier", "director/root")
CUTS = 300


class PowerLost(BaseException):
    """Nothing after this happens, not even cleaning up."""


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here is about the disk below the files: do not wait for it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def outcome(act: Callable[..., Any], *arguments: Any) -> Any:
    """What an operation answers, or that storage refused."""
    try:
        return act(*arguments)
    except StorageFailure:
        return StorageFailure


# ------------------------------------------------------------------------------- records: the model against the shell


@dataclass
class Both:
    """The shell's store on real files, and the model; every operation is done to both."""

    directory: Path
    real: Store
    model: Records

    def file(self, name: str, place: int) -> Path:
        return self.directory / f"{name}~{place}"

    def damage(self, name: str, copies: int, health: Health) -> None:
        pair = self.model._pairs[name]
        for place in pair.newest_first()[:copies]:
            octets = self.file(name, place).read_bytes()
            at = 0 if health is Health.HEADLESS else len(octets) - 1
            kept = octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]
            was = pair.copies[place]
            assert was is not None
            if was.health is Health.WHOLE:
                self.file(name, place).write_bytes(kept)
                self.model._put(name, pair, place, was._replace(health=health))

    def compare(self) -> None:
        assert tuple(self.real.names()) == self.model.names()
        for name in NAMES:
            assert outcome(self.real.read, name) == outcome(self.model.load, name), name
        assert tuple(self.real.damaged) == self.model.damaged()
        self.real.damaged.clear()
        held = {
            f"{name}~{place}": copy.generation
            for name, pair in self.model._pairs.items()
            for place, copy in enumerate(pair.copies)
            if copy is not None and copy.health is not Health.HEADLESS
        }
        found = {
            str(path.relative_to(self.directory)): generation
            for path in self.directory.rglob("*~[01]")
            if (generation := files._generation(path.read_bytes()[: files._HEADER_LENGTH])) is not None
        }
        assert held == found
        assert self.model.disk.used == sum(
            path.stat().st_size - files._HEADER_LENGTH for path in self.directory.rglob("*~[01]")
        )


@contextmanager
def disk_state(both: Both, state: str) -> Iterator[None]:
    """The disk works, is full, or does not sync directories: for the shell, and for the model."""

    def refuse(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    disk = both.model.disk
    with pytest.MonkeyPatch.context() as patch:
        if state == "full":
            patch.setattr(files, "_write", refuse)
            disk.full = True
        elif state == "no sync":
            patch.setattr(files, "sync", refuse)
            disk.syncs = False
        try:
            yield
        finally:
            disk.full, disk.syncs = False, True


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("save"), st.sampled_from(NAMES), st.binary(max_size=40), st.sampled_from(["ok", "full", "no sync"])
        ),
        st.tuples(st.just("save"), st.sampled_from(NAMES), st.binary(max_size=40), st.just("ok")),
        st.tuples(st.just("forget"), st.sampled_from(NAMES)),
        st.tuples(st.just("load"), st.sampled_from(NAMES)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("compare")),
        st.tuples(st.just("damage"), st.sampled_from(NAMES), st.integers(1, 2), st.sampled_from(list(Health)[1:])),
    ),
    max_size=40,
)


def step(both: Both, what: tuple[Any, ...]) -> None:
    match what:
        case "save", name, octets, state:
            both.file(name, 0).parent.mkdir(parents=True, exist_ok=True)  # that it cannot be made is another failure
            with disk_state(both, state):
                real = outcome(both.real.write, name, octets)
                assert real == outcome(both.model.save, name, octets), what
        case "forget", name:
            both.real.delete(name)
            both.model.forget(name)
        case "load", name:
            assert outcome(both.real.read, name) == outcome(both.model.load, name), what
        case ("restart",):
            both.real = Store(both.directory)
            both.model._unsure.clear()  # a process that is killed loses nothing of what the kernel has
            both.model.cut()
        case ("compare",):
            both.compare()
        case "damage", name, copies, health:
            if name in both.model._pairs:
                both.damage(name, copies, health)


@given(steps=STEPS)
@settings(max_examples=300)
@pytest.mark.usefixtures("no_waiting")
def test_records_answer_as_the_store_does(steps: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("store")
    both = Both(directory, Store(directory), Records(Random(1)))
    for what in steps:
        step(both, what)
    both.compare()
    step(both, ("restart",))
    both.compare()


def test_a_secondary_finds_what_is_lost_as_it_was_born_or_cannot_start() -> None:
    born = {"director/root": b"first root", "installation": b"first"}
    records = Records(Random(1), born=born, faults=RecordFaults(vital=frozenset({"installation"})))
    records.save("director/root", b"second root")
    records.save("image/root", b"image root")
    records.damage("director/root", copies=2)
    records.damage("image/root")
    assert records.everything() == born
    assert records.damaged() == ("director/root", "image/root")
    records.damage("installation")
    with pytest.raises(StorageFailure, match="installation"):
        records.everything()


def test_a_primary_s_roots_are_mended_and_nothing_else() -> None:
    records = Records(Random(1), born={"root": b"first root", "targets": b"first targets"})
    records.save("root", b"second root")
    records.mend("root")
    assert records.load("root") == b"second root"
    records.damage("root", copies=2)
    records.damage("targets")
    records.mend("root")
    assert records.load("root") == b"first root"
    assert outcome(records.load, "targets") is StorageFailure
    records.forget("root")
    records.mend("root")
    assert records.load("root") == b"first root"


# ----------------------------------------------------------------------------------------------------- power cuts


class Fuse:
    """Lets so many system calls through; then the power fails, before or after one."""

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


def seen(store: Store | Records) -> tuple[Any, ...]:
    """Everything that anybody can see of one record."""
    if isinstance(store, Store):
        octets = outcome(store.read, "x")
        return octets, tuple(store.names()), tuple(store.damaged)
    octets = outcome(store.load, "x")
    return octets, store.names(), store.damaged()


ACTIONS: dict[str, Any] = {
    "write": (lambda store: store.write("x", b"new"), Save("x", b"new"), secondary_needs.Store("x", b"new")),
    "delete": (lambda store: store.delete("x"), Forget("x"), secondary_needs.Delete("x")),
}


def left_by_the_shell(directory: Path, action: str, before: list[bytes]) -> set[Any]:
    """What cuts before and after every system call leave, and what is left of that when the newest file rots."""
    left = set()
    for number in range(1, 24):
        place = directory / str(number)
        store = Store(place)
        for octets in before:
            store.write("x", octets)
        with pytest.MonkeyPatch.context() as patch:
            fuse = Fuse((number + 1) // 2, after=number % 2 == 0)
            for module, call in ((os, "open"), (os, "fsync"), (Path, "rename"), (Path, "unlink")):
                patch.setattr(module, call, fuse(getattr(module, call)))
            with suppress(PowerLost):
                ACTIONS[action][0](store)
        files_left = sorted(path.name for path in place.iterdir() if not path.name.endswith("~t"))
        left.add((*seen(Store(place)), len(files_left)))
    return left


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("before", [[], [b"old"], [b"older", b"old"]], ids=len)
@pytest.mark.usefixtures("no_waiting")
def test_a_cut_leaves_what_a_cut_of_the_store_leaves(action: str, before: list[bytes], tmp_path: Path) -> None:
    """No more and no less; the complete operation is among it, since the cut may come before the answer."""
    wanted = left_by_the_shell(tmp_path, action, before)
    for during in ACTIONS[action][1:]:
        found = set()
        for seed in range(CUTS):
            records = Records(Random(seed))
            for octets in before:
                records.save("x", octets)
            records.cut(during)
            pair = records._pairs.get("x")
            copies = 0 if pair is None else 2 - pair.copies.count(None)
            found.add((*seen(records), copies))
        assert found == wanted


def test_a_cut_between_two_effects_takes_nothing() -> None:
    records = Records(Random(1), born={"a": b"1"})
    records.save("a", b"2")
    before = records.digest()
    records.cut()
    assert (records.load("a"), records.digest()) == (b"2", before)


def test_what_a_disk_did_not_sync_is_there_after_a_cut_or_is_not() -> None:
    found = set()
    for seed in range(40):
        records = Records(Random(seed), born={"a": b"old"})
        records.disk.syncs = False
        with pytest.raises(StorageFailure):
            records.save("a", b"new")
        assert records.load("a") == b"new"
        records.cut()
        found.add(records.load("a"))
        assert records.damaged() == ()
        assert records.disk.used == sum(len(each.octets) for each in records._pairs["a"].copies if each)
    assert found == {b"old", b"new"}


def test_a_later_save_in_the_same_directory_settles_what_was_not_synced() -> None:
    for seed in range(40):
        records = Records(Random(seed), born={"d/a": b"old"})
        records.disk.syncs = False
        with pytest.raises(StorageFailure):
            records.save("d/a", b"new")
        records.disk.syncs = True
        records.save("d/b", b"anything")
        records.cut()
        assert records.load("d/a") == b"new"


# --------------------------------------------------------------------------------------------------------- damage


def test_damage_at_a_cut_brings_the_older_one_back_and_says_so() -> None:
    vital = frozenset({"installation"})
    hit, lost = set(), set()
    for seed in range(200):
        records = Records(Random(seed), born={"a": b"1", "b": b"1", "installation": b"1"})
        records.save("a", b"2")
        records.save("installation", b"2")
        records.faults = RecordFaults(newest=1.0, vital=vital)
        records.cut()
        found = records.everything()
        damaged = records.damaged()
        assert len(damaged) == 1
        assert found == {"a": b"2", "b": b"1", "installation": b"2"} | {damaged[0]: b"1"}
        hit.add(damaged[0])
        records.faults = RecordFaults(both=1.0, vital=vital)
        records.cut()
        records.everything()
        lost |= {name for name in records.names() if outcome(records.load, name) is StorageFailure}
    assert hit == {"a", "installation"}, "b has no older copy"
    assert lost == {"a", "b"}, "what is vital is spared"


@pytest.mark.parametrize("copies", [1, 2])
def test_the_next_cut_alone_damages_as_asked(copies: int) -> None:
    records = Records(Random(3), born={"a": b"1"})
    records.save("a", b"2")
    records.rot(copies)
    assert records.load("a") == b"2"
    records.cut()
    assert outcome(records.load, "a") == (b"1" if copies == 1 else StorageFailure)
    records.save("a", b"3")
    records.cut()
    assert records.load("a") == b"3"


def test_looking_from_outside_tells_the_process_nothing() -> None:
    records = Records(Random(1), born={"a": b"1"})
    records.save("a", b"2")
    records.damage("a")
    assert records.peek("a") == b"1"
    assert records.peek("b") is None
    assert records.damaged() == ()
    assert records.load("a") == b"1"
    assert records.damaged() == ("a",)


@given(steps=STEPS)
def test_the_digest_is_that_of_the_content(steps: list[Any]) -> None:
    """However one got there, and however often one has asked."""
    records = Records(Random(1))
    for what in steps:
        match what:
            case "save", name, octets, "ok":
                records.save(name, octets)
                records.digest()
            case "forget", name:
                records.forget(name)
            case _:
                pass
    again = Records(Random(2))
    again._pairs = records._pairs
    again._stale = set(records._pairs)
    assert records.digest() == again.digest()
    if records.names():
        records.save(records.names()[0], b"something else " * 4)
        assert records.digest() != again.digest()


def test_a_full_disk_keeps_the_old_and_a_failing_one_says_nothing() -> None:
    records = Records(Random(1), disk=Disk(capacity=10), born={"a": b"12345"})
    with pytest.raises(StorageFailure, match="no space"):
        records.save("a", b"123456")
    records.save("a", b"54321")
    records.disk.full = True
    with pytest.raises(StorageFailure, match="no space"):
        records.save("b", b"")
    assert records.load("a") == b"54321"
    records.forget("a")
    assert records.disk.used == 0
    records.disk.failing = True
    for act in (lambda: records.load("a"), records.names, lambda: records.forget("a"), records.everything):
        with pytest.raises(StorageFailure, match="input/output"):
            act()


# ---------------------------------------------------------------------------------------------------------- blobs

BLOBS = (Blob(Place.CACHE, "ab" * 32), Blob(Place.CACHE, "cd" * 32), Blob(Place.SLOT_0), Blob(Place.SLOT_1))
BLOB_STEPS = st.lists(
    st.one_of(
        st.builds(WriteBlob, st.sampled_from(BLOBS), st.integers(0, 60), st.binary(max_size=30), st.booleans()),
        st.builds(Measure, st.sampled_from(BLOBS)),
        st.builds(ReadBlob, st.sampled_from(BLOBS), st.integers(0, 60), st.integers(0, 60)),
        st.builds(EraseBlob, st.sampled_from(BLOBS)),
        st.just(ListCache()),
    ),
    max_size=30,
)


def meet(blobs: RealBlobs, need: Any) -> Any:
    """As primary/shell/board.py carries it out."""
    match need:
        case Measure(blob=blob):
            return blobs.measure(blob)
        case ReadBlob(blob=blob, offset=offset, length=length):
            return blobs.read(blob, offset, length)
        case WriteBlob(blob=blob, offset=offset, octets=octets, last=last):
            return blobs.write(blob, offset, octets, last=last)
        case EraseBlob(blob=blob):
            return blobs.erase(blob)
        case ListCache():
            return blobs.cached()
        case _:
            raise AssertionError(need)


@given(steps=BLOB_STEPS)
@settings(max_examples=200)
@pytest.mark.usefixtures("no_waiting")
def test_blobs_answer_as_the_files_do(steps: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("blobs")
    real, model = RealBlobs(directory / "cache", directory / "slots"), Blobs(Random(1))
    for need in (*steps, *(ReadBlob(blob, 0, 100) for blob in BLOBS), ListCache()):
        assert meet(real, need) == model.meet(need), need
    assert model.free() == model.disk.capacity - sum(
        path.stat().st_size for path in directory.rglob("*") if path.is_file()
    )


def test_both_sync_at_the_same_length() -> None:
    assert sim_blobs.SYNC_OCTETS == primary_files.SYNC_OCTETS


def test_what_was_synced_outlives_every_cut_and_the_rest_is_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_blobs, "SYNC_OCTETS", 10)
    lengths, tails = set(), set()
    for seed in range(CUTS):
        blobs = Blobs(Random(seed))
        blobs.install(BLOBS[2], b"installed")
        blobs.write(BLOBS[0], 0, b"0123456789", last=False)  # synced, but its directory is not
        blobs.write(BLOBS[0], 10, b"abcde", last=False)
        blobs.cut()
        assert blobs.read(BLOBS[2], 0, 99) == b"installed"
        octets = blobs.read(BLOBS[0], 0, 99)
        lengths.add(len(octets))
        assert octets[:10] in {b"0123456789", b""}
        tails.add("as written" if b"abcde".startswith(octets[10:]) else "anything")
        assert blobs.disk.used == 9 + len(octets)
    assert lengths == {0, *range(10, 16)}
    assert tails == {"as written", "anything"}


def test_what_was_cut_off_and_written_anew_is_no_longer_synced() -> None:
    lengths = set()
    for seed in range(CUTS):
        blobs = Blobs(Random(seed))
        blobs.write(BLOBS[0], 0, b"0123456789", last=True)
        blobs.write(BLOBS[0], 5, b"abc", last=False)
        blobs.cut()
        octets = blobs.read(BLOBS[0], 0, 99)
        assert octets[:5] == b"01234"
        lengths.add(len(octets))
    assert lengths == set(range(5, 9))


def test_a_blob_that_is_whole_outlives_a_cut() -> None:
    for seed in range(50):
        blobs = Blobs(Random(seed))
        blobs.write(BLOBS[0], 0, b"01234", last=False)
        blobs.write(BLOBS[0], 5, b"56789", last=True)
        blobs.cut()
        blobs.cut(WriteBlob(BLOBS[1], 0, b"other", last=False))
        assert blobs.read(BLOBS[0], 0, 99) == b"0123456789"


def test_a_cut_while_writing_leaves_some_of_it() -> None:
    lengths = set()
    for seed in range(CUTS):
        blobs = Blobs(Random(seed))
        blobs.write(BLOBS[3], 0, b"01234", last=True)
        blobs.cut(WriteBlob(BLOBS[3], 5, b"56789", last=True))
        octets = blobs.read(BLOBS[3], 0, 99)
        assert octets[:5] == b"01234"
        lengths.add(len(octets))
    assert lengths == set(range(5, 11))


def test_a_cut_while_erasing_leaves_all_or_nothing() -> None:
    found = set()
    for seed in range(50):
        blobs = Blobs(Random(seed))
        blobs.install(BLOBS[0], b"01234")
        blobs.cut(EraseBlob(BLOBS[0]))
        found.add(blobs.read(BLOBS[0], 0, 99))
    assert found == {b"", b"01234"}


def test_a_full_disk_takes_what_there_is_room_for() -> None:
    disk = Disk(capacity=7)
    blobs = Blobs(Random(1), disk=disk)
    with pytest.raises(StorageFailure, match="no space"):
        blobs.write(BLOBS[0], 0, b"0123456789", last=True)
    assert blobs.read(BLOBS[0], 0, 99) == b"0123456"
    assert blobs.meet(FreeSpace()) == 0
    blobs.erase(BLOBS[0])
    assert blobs.meet(FreeSpace()) == 7
    disk.full = True
    with pytest.raises(StorageFailure, match="no space"):
        blobs.write(BLOBS[0], 0, b"0", last=True)
    assert blobs.meet(FreeSpace()) == 0


def test_the_digest_of_blobs_follows_their_octets() -> None:
    blobs = Blobs(Random(1))
    digests = [blobs.digest()]
    blobs.write(BLOBS[0], 0, b"01234", last=True)
    digests.append(blobs.digest())
    blobs.write(BLOBS[0], 5, b"5", last=True)
    digests.append(blobs.digest())
    assert len(set(digests)) == 3
    blobs.erase(BLOBS[0])
    assert blobs.digest() == digests[0]
