"""Attacks on the match between the repositories, and on what an ECU itself demands of an image."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.attacks.delegation_rows import reissue
from tests.attacks.row import BOTH, TARGETS, Row
from tests.builders import (
    BODY,
    BRAKE,
    CAMERA,
    CODEC,
    DEVELOPMENT,
    HARDWARE,
    PRIMARY,
    RELEASE,
    SUPPLIER,
    Bench,
    Pair,
    image,
)
from uptane.errors import Check
from uptane.model.metadata import Cipher, Encrypted


def rows() -> Iterator[Row]:
    yield from match_rows()
    yield from own_rows()


# ------------------------------------------------------------------------------- the repositories' word compared


def match_rows() -> Iterator[Row]:
    def said_otherwise(**changes: Any) -> Callable[[Bench], object]:
        """The Director says something else of the images than the Image repository does."""

        def tamper(bench: Bench) -> None:
            for ecu in (PRIMARY, CAMERA):
                entry = bench.pair.director.entries[ecu]
                bench.pair.director.assign(ecu, CODEC.image(replace(entry.image, **changes)))
            bench.pair.director.issue()

        return tamper

    for field, changes in (
        ("length", {"length": 1}),
        ("SHA-256", {"sha256": bytes(32)}),
        ("SHA-512", {"sha512": bytes(64)}),
        ("release counter", {"release_counter": 3}),
    ):
        yield Row(f"match: another {field}", said_otherwise(**changes), Check.IMAGE_MISMATCH)
    yield Row("match: other hardware", more_hardware, Check.IMAGE_MISMATCH)

    def lower(bench: Bench) -> None:
        """Both repositories agree on an image with a lower counter than the previous Targets had."""
        bench.released = dict.fromkeys(bench.released, 0)
        bench.verify()
        offer_all(bench.pair, 1, "lower")

    def below_released(bench: Bench) -> None:
        """As low as the previous Targets had, but this ECU has released more since (a workshop's update)."""
        bench.released = dict.fromkeys(bench.released, 7)

    yield Row("match: a lower release counter than before", lower, Check.IMAGE_COUNTER, BOTH)
    yield Row("match: a lower release counter than released", below_released, Check.INSTALL_COUNTER, BOTH)


def more_hardware(bench: Bench) -> None:
    for ecu in (PRIMARY, CAMERA):
        entry = bench.pair.director.entries[ecu]
        hardware = (*entry.image.hardware, HARDWARE[BODY])
        bench.pair.director.assign(ecu, CODEC.image(replace(entry.image, hardware=hardware)))
    bench.pair.director.issue()


def offer_all(pair: Pair, counter: int, word: str, **changes: Any) -> None:
    """New images for all ECUs but the body, in both repositories."""
    for ecu, folder, roles in (
        (PRIMARY, "primary", (TARGETS,)),
        (BRAKE, "brakes", (SUPPLIER,)),
        (CAMERA, "camera", (DEVELOPMENT, RELEASE)),
    ):
        pair.offer(ecu, image(f"{folder}/{word}", counter, HARDWARE[ecu], **changes), *roles)
    reissue(pair)


# ------------------------------------------------------------------------------------- what the ECU itself demands


def own_rows() -> Iterator[Row]:
    """1.J 4: hardware, filename, counter, decryption, hashes; and room for it."""

    def own(**changes: Any) -> Callable[[Bench], object]:
        return lambda bench: setattr(bench, "own", replace(bench.own, **changes))

    def offered(**changes: Any) -> Callable[[Bench], object]:
        return lambda bench: offer_all(bench.pair, 3, "other", **changes)

    def foreign(bench: Bench) -> None:
        value = image("camera/foreign", 3, HARDWARE[BODY])
        for ecu in (CAMERA, BRAKE):
            bench.pair.offer(ecu, value, DEVELOPMENT, RELEASE)
        reissue(bench.pair)

    def encrypted(bench: Bench) -> None:
        for ecu, entry in list(bench.pair.director.entries.items()):
            secret = Encrypted(10, bytes(32), Cipher.AES256_GCM, b"wrapped")
            bench.pair.director.assign(ecu, entry.image, encrypted=secret)
        bench.pair.director.issue()

    def sha512(bench: Bench) -> None:
        bench.own = replace(bench.own, sha512=False)
        offer_all(bench.pair, 3, "sha512", sha512=bytes(64))

    yield Row("own: other hardware", foreign, Check.INSTALL_HARDWARE, (CAMERA, BRAKE))
    yield Row("own: a filename it does not take", own(filename="*"), Check.INSTALL_FILENAME, BOTH)
    yield Row("own: encrypted, and it cannot", encrypted, Check.INSTALL_ENCRYPTED, BOTH)
    yield Row("own: a hash it cannot compute", sha512, Check.INSTALL_HASH_UNKNOWN, BOTH)
    yield Row("own: larger than its slot", offered(length=100_001), Check.INSTALL_SPACE, BOTH)
