"""Downloads: resumed, every hash, bounded, space first; against a cache and a repository with behaviour."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256, sha512
from typing import Any

import pytest

from primary.download import CRAWL_MS, RATE_AFTER_MS, SPARE, Download, fetch_image, make_room
from primary.needs import EraseBlob, FetchBlock, FreeSpace, ListCache, Measure, Note, Now, ReadBlob, WriteBlob
from tests.builders import HASHER
from uptane.errors import Check, LinkFailure, Rejected, StorageFailure
from uptane.machine import Workflow
from uptane.model.ids import Filename
from uptane.model.metadata import Image

OCTETS = bytes(range(256)) * 1_000
IMAGE = Image(Filename("a/b"), len(OCTETS), sha256(OCTETS).digest(), None, (), 1, b"")
NAME = IMAGE.sha256.hex()


class Disk:
    """A cache, and a repository that serves `octets` in blocks; both do exactly as they are told."""

    def __init__(self, octets: bytes = OCTETS, *, block: int = 10_000, free: int = 10_000_000) -> None:
        self.octets, self.block, self.free = octets, block, free
        self.cache: dict[str, bytearray] = {}
        self.fetched: list[int] = []
        self.synced = False
        self.now = 0
        self.block_ms = 1
        self.gone_after: int | None = None

    def run(self, workflow: Workflow[Any, Any]) -> Any:
        answer: Any = None
        while True:
            try:
                need = workflow.throw(answer) if isinstance(answer, Exception) else workflow.send(answer)
            except StopIteration as end:
                return end.value
            answer = self._answer(need)

    def _answer(self, need: Any) -> Any:
        match need:
            case FetchBlock(offset=offset):
                if self.gone_after is not None and len(self.fetched) >= self.gone_after:
                    return LinkFailure("gone")
                self.fetched.append(offset)
                self.now += self.block_ms
                return self.octets[offset : offset + self.block]
            case Measure(blob=blob):
                return len(self.cache.get(blob.name, b""))
            case ReadBlob(blob=blob, offset=offset, length=length):
                return bytes(self.cache.get(blob.name, b"")[offset : offset + length])
            case WriteBlob(blob=blob, offset=offset, octets=octets, last=last):
                held = self.cache.setdefault(blob.name, bytearray())
                assert offset == len(held)
                held += octets
                self.synced = last
            case EraseBlob(blob=blob):
                self.cache.pop(blob.name, None)
            case ListCache():
                return tuple(self.cache)
            case FreeSpace():
                return self.free
            case Now():
                return self.now
            case Note():
                return None
            case _:
                raise AssertionError(need)
        return None


def test_an_image_comes_whole_and_durable() -> None:
    disk = Disk()
    assert disk.run(fetch_image(IMAGE, HASHER)) == Download(len(OCTETS), slow=False)
    assert bytes(disk.cache[NAME]) == OCTETS
    assert disk.synced


def test_it_goes_on_where_it_stopped() -> None:
    disk = Disk()
    disk.gone_after = 3
    with pytest.raises(LinkFailure):
        disk.run(fetch_image(IMAGE, HASHER))
    disk.gone_after = None
    disk.fetched.clear()
    assert disk.run(fetch_image(IMAGE, HASHER)).octets == len(OCTETS) - 30_000
    assert disk.fetched[0] == 30_000
    assert bytes(disk.cache[NAME]) == OCTETS


def test_what_is_whole_is_hashed_again_and_not_fetched() -> None:
    disk = Disk()
    disk.cache[NAME] = bytearray(OCTETS)
    assert disk.run(fetch_image(IMAGE, HASHER)).octets == 0
    assert not disk.fetched


def test_what_was_damaged_here_is_fetched_anew() -> None:
    disk = Disk()
    disk.cache[NAME] = bytearray(OCTETS[:50_000])
    disk.cache[NAME][17] ^= 1
    disk.run(fetch_image(IMAGE, HASHER))
    assert bytes(disk.cache[NAME]) == OCTETS


def test_too_much_of_another_image_under_its_name_is_no_beginning() -> None:
    disk = Disk()
    disk.cache[NAME] = bytearray(OCTETS + b"more")
    disk.run(fetch_image(IMAGE, HASHER))
    assert disk.run(fetch_image(IMAGE, HASHER)).octets == 0


@pytest.mark.parametrize(
    ("octets", "check"),
    [
        (OCTETS[:-1] + b"?", Check.INSTALL_HASH),
        (OCTETS[:-1], Check.INSTALL_LENGTH),
        (OCTETS + b"+", Check.INSTALL_LENGTH),
        (b"", Check.INSTALL_LENGTH),
    ],
    ids=["one octet other", "one octet less", "one octet more", "nothing"],
)
def test_other_octets_are_refused_and_nothing_of_them_stays(octets: bytes, check: Check) -> None:
    disk = Disk(octets)
    with pytest.raises(Rejected) as refused:
        disk.run(fetch_image(IMAGE, HASHER))
    assert refused.value.check is check
    assert not disk.cache


def test_every_listed_hash_has_to_match() -> None:
    both = replace(IMAGE, sha512=sha512(OCTETS).digest())
    assert Disk().run(fetch_image(both, HASHER)).octets == len(OCTETS)
    wrong = replace(IMAGE, sha512=sha512(b"other").digest())
    with pytest.raises(Rejected) as refused:
        Disk().run(fetch_image(wrong, HASHER))
    assert refused.value.check is Check.INSTALL_HASH


def test_slow_retrieval_is_noticed() -> None:
    fast, slow = Disk(), Disk(block=1_000)
    slow.block_ms = 1_001
    assert not fast.run(fetch_image(IMAGE, HASHER)).slow
    assert slow.run(fetch_image(IMAGE, HASHER)).slow
    short = Disk()
    short.block_ms = RATE_AFTER_MS // 26
    assert not short.run(fetch_image(IMAGE, HASHER)).slow, "not judged before half a minute"


def test_what_crawls_is_broken_off_and_gone_on_with() -> None:
    """Else whoever hands out an octet at a time keeps the vehicle busy for ever, and nobody hears of it."""
    disk = Disk(block=100)
    disk.block_ms = 1_000
    with pytest.raises(Rejected) as refused:
        disk.run(fetch_image(IMAGE, HASHER))
    assert refused.value.check is Check.SLOW_RETRIEVAL
    assert disk.now == CRAWL_MS + 1_000, "no longer than that in one go"
    kept = len(disk.cache[NAME])
    assert kept == disk.now // 10
    with pytest.raises(Rejected) as refused:
        disk.run(fetch_image(IMAGE, HASHER))
    assert len(disk.cache[NAME]) == 2 * kept, "what came is kept"
    disk.block, disk.block_ms = 10_000, 1
    assert disk.run(fetch_image(IMAGE, HASHER)).octets == len(OCTETS) - 2 * kept


def test_a_slow_image_that_is_whole_in_time_is_not_broken_off() -> None:
    disk = Disk(block=len(OCTETS) // 2)
    disk.block_ms = CRAWL_MS
    assert disk.run(fetch_image(IMAGE, HASHER)).slow
    assert disk.cache[NAME] == OCTETS


def test_space_is_judged_before_the_first_octet() -> None:
    disk = Disk(free=len(OCTETS) + SPARE)
    disk.run(make_room((IMAGE, IMAGE), frozenset()))
    disk.free -= 1
    with pytest.raises(StorageFailure, match="free"):
        disk.run(make_room((IMAGE,), frozenset()))
    disk.cache[NAME] = bytearray(OCTETS[:1])
    disk.run(make_room((IMAGE,), frozenset()))
    assert not disk.fetched


def test_a_full_disk_is_enough_when_nothing_is_to_come() -> None:
    disk = Disk(free=0)
    disk.cache[NAME] = bytearray(OCTETS)
    disk.run(make_room((IMAGE,), frozenset()))


def test_room_is_made_by_dropping_what_nobody_wants() -> None:
    disk = Disk()
    kept = sha256(b"kept").digest()
    disk.cache = {NAME: bytearray(b"x"), kept.hex(): bytearray(b"y"), "ab": bytearray(b"z")}
    disk.run(make_room((IMAGE,), frozenset({kept})))
    assert set(disk.cache) == {NAME, kept.hex()}
