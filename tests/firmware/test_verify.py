"""The Director's Targets in C: taken and refused as in Python; both store and hold the same.

Every case runs on both. The named cases say besides what it must come to, so that two wrongs do not make a right.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import (
    BRAKE,
    CODEC,
    COORDINATOR,
    DAY,
    HARDWARE,
    NOW,
    STRANGER,
    VERIFIER,
    image,
    key,
    sealed,
)
from tests.firmware.metadata_pair import OER, SIGNATURES_MAX, SLOT_SIZE
from tests.firmware.verify_pair import ENCRYPTED, YEAR, Act, Both, own_entry, swapped
from uptane.errors import Check, Rejected
from uptane.link.uds_objects import Object
from uptane.model.ids import HardwareId, Role, RoleName, VehicleId
from uptane.model.metadata import ForVehicle
from uptane.model.reports import Phase
from uptane.moments import UtcTime
from uptane.verify.image import installed_image
from uptane.verify.recheck import recheck

# What is taken


def test_an_update_is_taken_and_outlives_the_power(both: Both) -> None:
    assert both.time() is None
    assert both.effects == ["time"]
    assert both.targets() is None
    assert both.effects == ["targets"]
    both.pair.update()
    assert both.targets() is None
    both.power_cycle()
    assert both.held.director.targets is not None
    assert both.held.clock.time == NOW


def test_the_same_file_again_stores_nothing_whatever_its_signatures(ready: Both) -> None:
    """Else anybody who has heard it could wear out the flash with signatures that count for nothing."""
    assert (ready.targets(), ready.effects) == (None, [])
    director = ready.pair.director
    payload = OER.open(director.offered[f"{director.versions['targets']}.targets"], 1 << 20).payload
    for number in range(3):
        signers = [key(f"junk {number}"), *director.keys[Role.TARGETS]]
        assert (ready.targets(sealed(payload, signers)), ready.effects) == (None, [])
    ready.power_cycle()
    assert (ready.targets(), ready.effects) == (None, [])


def test_without_an_entry_the_file_acted_on_is_kept_beside(ready: Both) -> None:
    entry = ready.pair.director.entries.pop(BRAKE)
    assert (ready.issued(), ready.effects) == (None, ["previous", "targets"])
    assert (ready.issued(), ready.effects) == (None, ["targets"])
    ready.power_cycle()
    lower = replace(entry, image=image("brakes/app", 0, HARDWARE[BRAKE]))
    ready.pair.director.entries[BRAKE] = lower
    assert ready.issued() is Check.IMAGE_COUNTER
    ready.pair.director.assign(BRAKE, image("brakes/app", 1, HARDWARE[BRAKE]))
    assert (ready.issued(), ready.effects) == (None, ["targets", "-previous"])
    ready.power_cycle()


@pytest.mark.parametrize(
    ("hardware", "verdict"),
    [
        ("a-hw brake-hw", None),
        ("brake-hw a-hw z-hw", None),
        ("z-hw a-hw brake-hw", None),
        ("brake-hw2 a-hw brake-h", Check.INSTALL_HARDWARE),
    ],
)
def test_an_image_may_be_for_several_kinds_of_hardware(ready: Both, hardware: str, verdict: Check | None) -> None:
    ids = tuple(HardwareId(each) for each in hardware.split())
    value = replace(image("brakes/app", 5, "x"), hardware=(ids[0], *sorted(ids[1:])), octets=b"", sha512=bytes(64))
    ready.pair.director.assign(BRAKE, CODEC.image(value))
    assert ready.issued() is verdict


def test_more_signatures_than_there_is_room_for_are_refused_as_too_long(ready: Both) -> None:
    """The Python ECU takes as many as the schema: a declared difference."""
    director = ready.pair.director
    payload = OER.open(director.targets(), 1 << 20).payload
    others = [key(f"other {number}") for number in range(SIGNATURES_MAX)]
    for signers in ([*director.keys[Role.TARGETS], *others], [*others, STRANGER]):
        assert ready.core.take(Object.DIRECTOR_TARGETS, sealed(payload, signers)) is Check.LENGTH
        ready.compare()
    assert ready.core.take(Object.DIRECTOR_TARGETS, sealed(payload, signers) + b"\0") is Check.ENCODING
    order = OER.open(ready.pair.order(Phase.COMMIT), 1 << 20).payload
    assert ready.core.order(sealed(order, [COORDINATOR, *others])) is Check.LENGTH
    assert ready.targets(sealed(payload, [*others[1:], *director.keys[Role.TARGETS]])) is None
    ready.power_cycle()
    assert ready.held.director.targets is not None


def test_what_runs_may_be_assigned_whatever_its_counter(ready: Both) -> None:
    ready.install()
    ready.released_counter = 9
    ready.refresh()
    assert ready.issued() is None
    ready.pair.director.assign(BRAKE, image("brakes/app-1", 1, HARDWARE[BRAKE], sha256=bytes(32)))
    assert ready.issued() is Check.INSTALL_COUNTER


# What is refused: Targets


def _entry(**changes: Any) -> Act:
    """The own entry, with one thing changed."""

    def act(both: Both) -> Check | None:
        made = changes.pop("image", None) or image("brakes/app-2", 2, HARDWARE[BRAKE])
        both.pair.director.assign(BRAKE, made, **changes)
        return both.issued()

    return act


def _signed(*names: str) -> Act:
    return lambda both: both.issued(signers=[key(name) for name in names])


def _payload(change: Callable[[bytes], bytes]) -> Act:
    return lambda both: both.issued(tamper=change)


def _late(seconds: int) -> Act:
    def act(both: Both) -> Check | None:
        both.wait(seconds)
        return both.issued(expires=NOW + DAY)

    return act


def _another(what: str) -> Act:
    """Another file of the pair, signed by the Director's targets key."""

    def act(both: Both) -> Check | None:
        made = getattr(both.pair.image if what == "targets" else both.pair.director, what)()
        return both.targets(sealed(OER.open(made, 1 << 20).payload, both.pair.director.keys[Role.TARGETS]))

    return act


TARGETS: dict[str, tuple[Act, Check | None]] = {
    "a stranger's": (_signed("stranger"), Check.TARGETS_SIGNATURES),
    "signed by the snapshot's key": (_signed("director snapshot"), Check.TARGETS_SIGNATURES),
    "a stranger's beside the right one": (_signed("stranger", "director targets", "director root a"), None),
    "no Targets": (_another("timestamp"), Check.KIND),
    "a Root": (_another("root"), Check.KIND),
    "an Image repository's": (_another("targets"), Check.SPEAKER),
    "an octet behind": (_payload(lambda payload: payload + b"\0"), Check.ENCODING),
    "an octet short": (_payload(lambda payload: payload[:-1]), Check.ENCODING),
    "entries out of order": (_payload(swapped), Check.TARGETS_ENTRY_ORDER),
    "a newer level": (lambda both: both.issued(level=2), Check.LEVEL),
    "another vehicle": (lambda both: both.issued(speaker=ForVehicle(VehicleId("vehicle-2"))), Check.SPEAKER),
    "a longer vehicle": (lambda both: both.issued(speaker=ForVehicle(VehicleId("vehicle-12"))), Check.SPEAKER),
    "an older version": (lambda both: both.issued(version=4), Check.TARGETS_VERSION),
    "the same version with other content": (
        lambda both: both.issued(version=5, refresh=True),
        Check.TARGETS_SAME_VERSION,
    ),
    "expired": (lambda both: both.issued(expires=NOW), Check.TARGETS_EXPIRED),
    "expires in a second": (lambda both: both.issued(expires=NOW + 1), None),
    "expired by the own clock": (_late(DAY), Check.TARGETS_EXPIRED),
    "expires in a second by the own clock": (_late(DAY - 1), None),
    "with delegations": (
        lambda both: both.issued(delegations=both.pair.image.delegations(RoleName("targets"))),
        Check.TARGETS_DELEGATES,
    ),
    "an entry that is not canonical": (
        _payload(own_entry(lambda entry: bytes((0x08,)) + entry[1:])),
        Check.ENCODING,
    ),
    "an entry cut short": (_payload(own_entry(lambda entry: bytes((0x10,)) + entry[1:])), Check.ENCODING),
    "for other hardware": (_entry(image=image("brakes/app-2", 2, "brake-h")), Check.INSTALL_HARDWARE),
    "a filename it does not take": (_entry(image=image("app-2", 2, HARDWARE[BRAKE])), Check.INSTALL_FILENAME),
    "a filename of three parts": (_entry(image=image("a/b/c", 2, HARDWARE[BRAKE])), Check.INSTALL_FILENAME),
    "encrypted": (_entry(encrypted=ENCRYPTED), Check.INSTALL_ENCRYPTED),
    "an octet more than the slot": (
        _entry(image=image("b/app", 2, HARDWARE[BRAKE], length=SLOT_SIZE + 1)),
        Check.INSTALL_SPACE,
    ),
    "as long as the slot": (_entry(image=image("b/app", 2, HARDWARE[BRAKE], length=SLOT_SIZE)), None),
    "a lower counter than before": (_entry(image=image("b/app", 0, HARDWARE[BRAKE])), Check.IMAGE_COUNTER),
    "the same counter": (_entry(image=image("b/app", 1, HARDWARE[BRAKE])), None),
}


@pytest.mark.parametrize(("act", "verdict"), TARGETS.values(), ids=TARGETS)
def test_targets(ready: Both, act: Act, verdict: Check | None) -> None:
    assert act(ready) is verdict
    ready.power_cycle()


def test_a_lower_counter_than_the_released_one_is_refused(both: Both) -> None:
    assert both.time() is None
    both.released_counter = 3
    both.running = installed_image(image("brakes/other", 3, HARDWARE[BRAKE]))
    both.pair.director.assign(BRAKE, image("brakes/app-2", 2, HARDWARE[BRAKE]))
    both.refresh()
    assert both.issued() is Check.INSTALL_COUNTER
    both.released_counter = 2
    both.refresh()
    assert both.issued() is None


def test_under_an_expired_root_nothing_is_taken(both: Both) -> None:
    both.pair.now = UtcTime(NOW + YEAR)
    assert both.time() is None
    assert both.targets(b"noise") is Check.ROOT_EXPIRED
    assert both.core.recheck() is Check.ROOT_EXPIRED


@pytest.mark.parametrize("what", [Object.DIRECTOR_ROOT, Object.DIRECTOR_TARGETS, Object.ATTESTATION])
def test_nothing_delivered_is_a_request_out_of_sequence(both: Both, what: Object) -> None:
    assert both.core.take(what, None) is Check.LINK_SEQUENCE
    other = Object.ORDER if what is Object.DIRECTOR_ROOT else Object.DIRECTOR_ROOT
    both.core.deliver(other, b"noise")
    assert both.core.take(what, None) is Check.LINK_SEQUENCE
    assert both.core.take(what, b"noise") is not Check.LINK_SEQUENCE
    assert both.core.take(what, None) is Check.LINK_SEQUENCE


def test_what_is_held_is_judged_again(ready: Both) -> None:
    assert ready.core.recheck() is None
    ready.wait(DAY)
    assert ready.core.recheck() is Check.TARGETS_EXPIRED
    with pytest.raises(Rejected) as refused:
        recheck(VERIFIER, ready.held_now, BRAKE)
    assert refused.value.check is Check.TARGETS_EXPIRED
    ready.wait(YEAR)
    assert ready.core.recheck() is Check.ROOT_EXPIRED


def test_without_targets_there_is_nothing_to_judge(both: Both) -> None:
    assert both.time() is None
    assert both.core.recheck() is Check.TARGETS_MISSING
