"""An image's conditions, each both ways."""

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from tests.builders import BRAKE, CODEC, HARDWARE, HASHER, PRIMARY, VEHICLE, Pair, image
from uptane.errors import Check, Rejected
from uptane.model.ids import EcuId
from uptane.model.metadata import Assignment, Cipher, Encrypted
from uptane.verify.image import (
    Content,
    assigned_to,
    bundle_of,
    check_content,
    check_match,
    check_own,
    check_previous,
    check_released,
)
from uptane.verify.trusted import Ecu

IMAGE = image("brakes/app-2", 5, HARDWARE[BRAKE], sha512=bytes(64))
OWN = Ecu(VEHICLE, BRAKE, HARDWARE[BRAKE], "brakes/*", IMAGE.length)
CONTENT = Content(IMAGE.length, IMAGE.sha256, bytes(64))
SECRET = Encrypted(10, bytes(32), Cipher.AES256_GCM, b"wrapped")


def refused(check: Check) -> AbstractContextManager[object]:
    return pytest.raises(Rejected, match=check.name)


def test_the_very_octets_match() -> None:
    check_match(IMAGE, replace(IMAGE))
    with refused(Check.IMAGE_MISMATCH):
        check_match(IMAGE, CODEC.image(replace(IMAGE, release_counter=6)))


@pytest.mark.parametrize("counter", [4, 5, 6])
def test_a_release_counter_may_stay_or_rise(counter: int) -> None:
    before = Assignment(BRAKE, CODEC.image(replace(IMAGE, release_counter=counter)))
    if counter <= 5:
        check_previous(Assignment(BRAKE, IMAGE), before)
        check_released(IMAGE, counter)
        return
    with refused(Check.IMAGE_COUNTER):
        check_previous(Assignment(BRAKE, IMAGE), before)
    with refused(Check.INSTALL_COUNTER):
        check_released(IMAGE, counter)


def test_an_ecu_without_an_entry_before_has_no_previous_counter() -> None:
    check_previous(Assignment(BRAKE, IMAGE), None)


def test_an_ecu_takes_what_fits_exactly() -> None:
    check_own(Assignment(BRAKE, IMAGE), OWN)
    check_own(Assignment(BRAKE, IMAGE, encrypted=SECRET), replace(OWN, ciphers=frozenset({Cipher.AES256_GCM})))
    alternative = CODEC.image(replace(IMAGE, hardware=(HARDWARE[PRIMARY], HARDWARE[BRAKE])))
    check_own(Assignment(BRAKE, alternative), OWN)


@pytest.mark.parametrize(
    ("own", "entry", "check"),
    [
        (replace(OWN, hardware=HARDWARE[PRIMARY]), Assignment(BRAKE, IMAGE), Check.INSTALL_HARDWARE),
        (replace(OWN, filename="brakes/app-1"), Assignment(BRAKE, IMAGE), Check.INSTALL_FILENAME),
        (OWN, Assignment(BRAKE, IMAGE, encrypted=SECRET), Check.INSTALL_ENCRYPTED),
        (
            replace(OWN, ciphers=frozenset({Cipher.AES256_GCM})),
            Assignment(BRAKE, IMAGE, encrypted=replace(SECRET, method=None)),
            Check.INSTALL_ENCRYPTED,
        ),
        (replace(OWN, sha512=False), Assignment(BRAKE, IMAGE), Check.INSTALL_HASH_UNKNOWN),
        (replace(OWN, slot_size=IMAGE.length - 1), Assignment(BRAKE, IMAGE), Check.INSTALL_SPACE),
    ],
)
def test_an_ecu_refuses_what_it_cannot_take(own: Ecu, entry: Assignment, check: Check) -> None:
    with refused(check):
        check_own(entry, own)


def test_every_listed_hash_and_the_length_have_to_match() -> None:
    check_content(IMAGE, CONTENT)
    without = replace(IMAGE, sha512=None)
    check_content(without, replace(CONTENT, sha512=None))
    for wrong, check in (
        (replace(CONTENT, length=IMAGE.length + 1), Check.INSTALL_LENGTH),
        (replace(CONTENT, sha256=bytes(32)), Check.INSTALL_HASH),
        (replace(CONTENT, sha512=bytes(63) + b"1"), Check.INSTALL_HASH),
        (replace(CONTENT, sha512=None), Check.INSTALL_HASH),
    ):
        with refused(check):
            check_content(IMAGE, wrong)


def test_a_bundle_is_named_by_its_entries_and_not_by_its_version() -> None:
    pair = Pair()
    first = CODEC.parse(CODEC.open(pair.director.targets(), 100_000).payload)
    again = CODEC.parse(CODEC.open(pair.director.targets(), 100_000).payload)
    assert bundle_of(HASHER, first) == bundle_of(HASHER, again) == pair.bundle()  # type: ignore[arg-type]
    pair.set_images(2)
    assert pair.bundle() != bundle_of(HASHER, first)  # type: ignore[arg-type]


def test_what_targets_say_to_an_ecu() -> None:
    pair = Pair()
    targets = CODEC.parse(CODEC.open(pair.director.targets(), 100_000).payload)
    assigned = assigned_to(HASHER, targets, BRAKE)  # type: ignore[arg-type]
    assert assigned.image == pair.director.entries[BRAKE].image
    assert assigned.bundle == pair.bundle()
    assert assigned_to(HASHER, targets, EcuId("radio-1")).image is None  # type: ignore[arg-type]
