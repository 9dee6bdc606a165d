"""To deny updates from outside: drop, hold back, slow down, never end. No key is needed for any of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from primary.needs import Attest, FetchBlock, FetchMetadata, Poll, Polled
from sim.attack.attacker import Attacker
from sim.attack.forge import read
from sim.attack.goals import Goal
from sim.attack.keys import Reach
from sim.attack.outsider import lost
from sim.attack.scene import BRAKE, ECUS, HEAD, NEXT, RADAR, filename_of
from sim.attack.strategies.strategy import Act, Strategy, strategy
from sim.network import NetworkFaults
from sim.signatures import HASHER
from uptane.model.ids import EcuId
from uptane.model.metadata import Timestamp

LONG_S = 1_800  # a strategy holds so long: an honest update takes a minute
CRAWL_S = 6 * 3_600

G = Goal


def strategies() -> Iterator[Strategy]:
    """All of this file."""
    yield strategy("out/eavesdrop", "read the images like anybody", eavesdrop, G.EAVESDROP, reach=Reach.OUT)
    for name, needs in (
        ("everything", (Poll, Attest, FetchMetadata, FetchBlock)),
        ("the Director", (Poll,)),
        ("the time", (Attest,)),
        ("the Image repository's metadata", (FetchMetadata,)),
        ("images", (FetchBlock,)),
    ):
        yield strategy(
            f"out/drop {name}",
            f"let nothing pass of {name}",
            _dropping(*needs),
            *(G.DROP, G.FREEZE, G.PARTIAL_BUNDLE, G.SLOW),
            reach=Reach.OUT,
        )
    for ecu in (BRAKE, RADAR, HEAD):
        yield strategy(
            f"out/drop the image of {ecu}",
            "let all images pass but one",
            _dropping_image(ecu),
            *(G.DROP, G.PARTIAL_BUNDLE, G.MIXED_BUNDLES),
            reach=Reach.OUT,
        )
    yield strategy("out/mute", "answer every poll that there is nothing new", mute, G.DROP, G.FREEZE, reach=Reach.OUT)
    yield strategy(
        "out/asleep", "tell the vehicle to come back in 136 years", asleep, G.DROP, G.FREEZE, G.SLOW, reach=Reach.OUT
    )
    yield from _slow()
    yield from _endless()


def _slow() -> Iterator[Strategy]:
    slow = (G.SLOW, G.DROP, G.PARTIAL_BUNDLE)
    yield strategy("out/slow images", "one octet of an image every 4 minutes", slow_images, *slow, reach=Reach.OUT)
    yield strategy("out/slow rate", "hold images just above what is too slow", slow_rate, *slow, reach=Reach.OUT)
    yield strategy("out/slow metadata", "29 minutes for each metadata file", slow_metadata, *slow, reach=Reach.OUT)
    yield strategy("out/slow Director", "59 seconds for each poll", slow_polls, *slow, reach=Reach.OUT)


def _endless() -> Iterator[Strategy]:
    endless = (G.ENDLESS_DATA, G.DROP, G.SLOW)
    yield strategy("out/endless images", "an image that never ends", endless_images, *endless, reach=Reach.OUT)
    yield strategy("out/endless metadata", "metadata that never end", endless_metadata, *endless, reach=Reach.OUT)
    yield strategy("out/endless Director", "a Director that never ends", endless_director, *endless, reach=Reach.OUT)
    yield strategy("out/endless time", "attestations that never end", endless_time, *endless, reach=Reach.OUT)
    yield strategy("out/truncate", "cut everything short", truncate, *endless, G.ARBITRARY, reach=Reach.OUT)


# ------------------------------------------------------------------------------------------------------- reading


def eavesdrop(a: Attacker) -> None:
    """Images are public: whoever knows a name may ask for it."""
    a.needs(Reach.OUT)
    a.scene.update()
    a.scene.run(LONG_S)
    image = a.scene.servers.image
    timestamp = image.metadata("timestamp", 1 << 16)
    assert timestamp is not None
    a.say(f"the newest Snapshot is {read(timestamp, Timestamp).snapshot.version}")
    for ecu in ECUS:
        digest = a.image(filename_of(ecu, NEXT)).sha256
        octets = b""
        while more := image.block(digest, len(octets)):
            octets += more
        a.copies[ecu] = HASHER.sha256(octets)


# ------------------------------------------------------------------------------------------------------- dropping


def _dropping(*needs: type[Any]) -> Act:
    def act(a: Attacker) -> None:
        a.drop(*needs)
        a.scene.update()
        a.scene.run(LONG_S)

    return act


def _dropping_image(ecu: EcuId) -> Act:
    def act(a: Attacker) -> None:
        a.scene.publish(NEXT)
        digest = a.image(filename_of(ecu, NEXT)).sha256

        def block(need: FetchBlock, answer: bytes | None) -> object:
            return lost(need) if need.sha256 == digest else answer

        a.outside(FetchBlock, block)
        a.scene.update()
        a.scene.run(LONG_S)

    return act


def mute(a: Attacker) -> None:
    """The vehicle hears a Director that has nothing to say."""
    a.outside(Poll, lambda _need, answer: replace(answer, files={}, manifest_wanted=False))
    a.scene.update()
    a.scene.run(LONG_S)


def asleep(a: Attacker) -> None:
    """A vehicle polls when the Director says so, within a day."""

    def change(_need: Poll, answer: Polled) -> Polled:
        return replace(answer, files={}, poll_again_s=2**32 - 1)

    a.outside(Poll, change)
    a.scene.update()
    a.scene.run(LONG_S)


# ------------------------------------------------------------------------------------------------------ slowness


def _delayed(a: Attacker, least_ms: int) -> None:
    a.needs(Reach.OUT)
    a.scene.network.faults_of[a.scene.car.primary.name] = NetworkFaults(delay_ms=(least_ms, least_ms))


def slow_images(a: Attacker) -> None:
    """Each call ends just in time, with one octet more."""
    a.outside(FetchBlock, lambda _need, answer: answer[:1] if answer else answer)
    a.scene.update()
    a.scene.until(lambda: bool(a.scene.car.primary.blobs.cached()), 60)
    _delayed(a, 120_000)
    a.scene.run(CRAWL_S)


def slow_rate(a: Attacker) -> None:
    """An image of 600 octets in 20 minutes."""
    a.outside(FetchBlock, lambda _need, answer: answer[:8] if answer else answer)
    a.scene.update()
    a.scene.until(lambda: bool(a.scene.car.primary.blobs.cached()), 60)
    _delayed(a, 8_000)
    a.scene.run(CRAWL_S)


def slow_metadata(a: Attacker) -> None:
    """Each file of the Image repository takes almost as long as the vehicle waits."""
    a.scene.publish(NEXT)

    def crawl(_need: FetchMetadata, answer: object) -> object:
        _delayed(a, 870_000)
        return answer

    a.outside(FetchMetadata, crawl)
    a.outside(Poll, lambda _need, answer: _hasten(a, answer))
    a.scene.update()
    a.scene.run(CRAWL_S)


def _hasten(a: Attacker, answer: object) -> object:
    _delayed(a, 30)
    return answer


def slow_polls(a: Attacker) -> None:
    """Each poll takes almost as long as the vehicle waits."""
    _delayed(a, 9_500)
    a.scene.update()
    a.scene.run(CRAWL_S)


# ------------------------------------------------------------------------------------------------------- endless


def endless_images(a: Attacker) -> None:
    """However much was read, there is more; and what is behind the end is asked for, too."""
    a.outside(FetchBlock, lambda _need, answer: (answer or b"") + bytes(70_000))
    a.scene.update()
    a.scene.run(LONG_S)


def endless_metadata(a: Attacker) -> None:
    """Ten megabytes behind each file."""
    a.outside(FetchMetadata, lambda _need, answer: (answer or b"") + bytes(10_000_000))
    a.scene.update()
    a.scene.run(LONG_S)


def endless_director(a: Attacker) -> None:
    """More files, and longer ones, than a Director has."""

    def change(_need: Poll, answer: Polled) -> Polled:
        files = {name: octets + bytes(200_000) for name, octets in answer.files.items()}
        return replace(answer, files=files | {f"{number}.root": bytes(65_536) for number in range(2, 66)})

    a.outside(Poll, change)
    a.scene.update()
    a.scene.run(LONG_S)


def endless_time(a: Attacker) -> None:
    """Attestations as long as they are taken, and longer; more of them than were asked for."""

    def change(_need: Attest, answer: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return (*(each + bytes(8_000) for each in answer), *answer)

    a.outside(Attest, change)
    a.scene.update()
    a.scene.run(LONG_S)


def truncate(a: Attacker) -> None:
    """Half of everything."""

    def half(octets: bytes) -> bytes:
        return octets[: len(octets) // 2]

    a.outside(
        Poll, lambda _n, answer: replace(answer, files={name: half(octets) for name, octets in answer.files.items()})
    )
    a.outside(FetchMetadata, lambda _n, answer: half(answer) if answer else answer)
    a.outside(FetchBlock, lambda _n, answer: half(answer) if answer else answer)
    a.outside(Attest, lambda _n, answer: tuple(map(half, answer)))
    a.scene.update()
    a.scene.run(LONG_S)
