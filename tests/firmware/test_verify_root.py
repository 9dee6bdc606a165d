"""Root links and the time in C: taken, refused, and what they take away, as in Python."""

import ctypes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.firmware_chip import Start
from tests.builders import (
    BRAKE,
    CODEC,
    NONCE,
    NOW,
    STRANGER,
    TIME,
    VEHICLE,
    key,
    sealed,
)
from tests.firmware.metadata_pair import OER
from tests.firmware.verify_pair import YEAR, Act, Both
from uptane.errors import Check
from uptane.link.uds_objects import Object
from uptane.model.ids import KeyId, Role
from uptane.model.metadata import ForVehicle, ImageRepository, Root
from uptane.model.reports import TimeAttestation
from uptane.ports import Signer

# Roots


def _rooted(**changes: Any) -> Act:
    def act(both: Both) -> Check | None:
        given = {
            name: change(both) if callable(change) and name == "signers" else change for name, change in changes.items()
        }
        return both.root(both.pair.director.root(**given))

    return act


def _roles(change: Callable[[Root], Root]) -> Act:
    return _rooted(edit=change)


def _rotated(role: Role, *names: str, away: bool = True) -> Act:
    """New keys for a role; the old ones stay beside them unless `away`."""

    def act(both: Both) -> Check | None:
        director = both.pair.director
        kept = [] if away else director.keys.get(role, [])
        director.keys[role] = [*(key(name) for name in names), *kept]
        return both.root(director.root())

    return act


def _old(both: Both) -> list[Any]:
    return list(both.pair.director.keys[Role.ROOT])


def _new_root_keys(signers: Callable[[list[Any], list[Any]], list[Any]]) -> Act:
    """All root keys are new; the signers are some of the old ones and some of the new."""

    def act(both: Both) -> Check | None:
        director = both.pair.director
        old: list[Signer] = director.keys[Role.ROOT]
        new: list[Signer] = [key(f"new root {each}") for each in "abc"]
        director.keys[Role.ROOT] = new
        return both.root(director.root(signers=signers(old, new)))

    return act


def _doubled(root: Root) -> Root:
    again = replace(root.keys[0], key_id=KeyId(b"another!"))
    return replace(root, keys=(*root.keys, again))


def _many(root: Root) -> Root:
    others = [key(f"other {number}") for number in range(20)]
    return replace(root, keys=(*root.keys, *(replace(root.keys[0], key_id=o.key_id, public=o.public) for o in others)))


def _roles_but(role: Role) -> Callable[[Root], Root]:
    return lambda root: replace(root, roles=tuple(each for each in root.roles if each.role is not role))


def _threshold(threshold: int) -> Callable[[Root], Root]:
    return lambda root: replace(root, roles=tuple(replace(each, threshold=threshold) for each in root.roles))


ROOTS: dict[str, tuple[Act, Check | None]] = {
    "the next": (_rooted(), None),
    "the next, expired": (_rooted(expires=NOW - 1), None),
    "signed by one of two": (_rooted(signers=lambda both: _old(both)[:1]), Check.ROOT_SIGNATURES),
    "signed by one twice": (_rooted(signers=lambda both: _old(both)[:1] * 2), Check.ROOT_SIGNATURES),
    "signed by two of three": (_rooted(signers=lambda both: _old(both)[1:]), None),
    "signed by others": (_rooted(signers=lambda _: [STRANGER, TIME]), Check.ROOT_SIGNATURES),
    "others signed beside": (_rooted(signers=lambda both: [STRANGER, *_old(both), TIME]), None),
    "new keys, signed by both": (_new_root_keys(lambda old, new: [*old[:2], *new[:2]]), None),
    "new keys, signed by the old": (_new_root_keys(lambda old, _: old), Check.ROOT_OWN_SIGNATURES),
    "new keys, signed by the new": (_new_root_keys(lambda _, new: new), Check.ROOT_SIGNATURES),
    "new keys, too few of the new": (_new_root_keys(lambda old, new: [*old, new[0]]), Check.ROOT_OWN_SIGNATURES),
    "one version too far": (_rooted(version=3), Check.ROOT_VERSION),
    "the same version": (_rooted(version=1), Check.ROOT_VERSION),
    "the last version there is": (_rooted(version=2**32 - 1), Check.ROOT_VERSION),
    "for a vehicle": (_rooted(speaker=ForVehicle(VEHICLE)), Check.SPEAKER),
    "of the Image repository": (_rooted(speaker=ImageRepository()), Check.SPEAKER),
    "a newer level": (_rooted(level=2), Check.LEVEL),
    "an octet behind": (_rooted(tamper=lambda payload: payload + b"\0"), Check.ENCODING),
    "an attestation": (
        _rooted(tamper=lambda _: CODEC.encode(TimeAttestation(1, NOW, NONCE))),
        Check.KIND,
    ),
    "a key twice": (_roles(_doubled), Check.ROOT_KEYS),
    "a role too few": (_roles(_roles_but(Role.SNAPSHOT)), Check.ROOT_KEYS),
    "no time role": (_roles(_roles_but(Role.TIME)), None),
    "thresholds that cannot be met": (_roles(_threshold(4)), Check.ROOT_KEYS),
    "another Targets key": (_rotated(Role.TARGETS, "new targets"), None),
    "another time key": (_rotated(Role.TIME, "new time"), None),
}


@pytest.mark.parametrize(("act", "verdict"), ROOTS.values(), ids=ROOTS)
def test_roots(ready: Both, act: Act, verdict: Check | None) -> None:
    assert act(ready) is verdict
    ready.power_cycle()


def test_more_keys_than_there_is_room_for_are_refused_as_too_long(ready: Both) -> None:
    octets = ready.pair.director.root(edit=_many)
    assert ready.core.take(Object.DIRECTOR_ROOT, octets) is Check.LENGTH
    ready.compare()
    stranger = sealed(OER.open(octets, 1 << 20).payload, [STRANGER])
    assert ready.core.take(Object.DIRECTOR_ROOT, stranger) is Check.ROOT_SIGNATURES


def test_a_noise_of_a_root_is_no_root(ready: Both) -> None:
    assert ready.root(b"\x01\x01noise") is Check.ENCODING


@pytest.mark.parametrize(
    ("act", "effects"),
    {
        "the same keys": (_rooted(), ["root"]),
        "a Targets key more": (_rotated(Role.TARGETS, "new targets", away=False), ["root"]),
        "another Targets key": (_rotated(Role.TARGETS, "new targets"), ["root", "-previous", "-targets"]),
        "another timestamp key": (_rotated(Role.TIMESTAMP, "new timestamp"), ["root"]),
        "a time key more": (_rotated(Role.TIME, "new time", away=False), ["root"]),
        "another time key": (_rotated(Role.TIME, "new time"), ["root", "time"]),
        "issued later": (_rooted(issued=NOW + 5), ["root", "time"]),
        "two thresholds": (_roles(_threshold(1)), ["root"]),
    }.values(),
)
def test_what_a_rotation_takes_away(ready: Both, act: Act, effects: list[str]) -> None:
    del ready.pair.director.entries[BRAKE]
    assert ready.issued() is None
    ready.wait(100)
    assert act(ready) is None
    assert ready.effects == effects
    ready.power_cycle()
    assert ready.root(ready.pair.director.root()) is None


def test_a_time_key_that_comes_back_makes_no_old_time_good(ready: Both) -> None:
    assert _rotated(Role.TIME, "new time")(ready) is None
    assert ready.held.clock.time == NOW - 3_600
    assert _rotated(Role.TIME, "time")(ready) is None
    ready.power_cycle()
    assert ready.held.clock.time < NOW
    assert not ready.held.clock.attested
    assert (ready.time(), ready.held.clock.attested) == (None, True)


def test_a_rotation_lets_an_older_version_in_again(ready: Both) -> None:
    assert ready.issued(version=9) is None
    assert ready.issued(version=8) is Check.TARGETS_VERSION
    assert _rotated(Role.TARGETS, "new targets")(ready) is None
    assert ready.issued(version=8) is None


@pytest.mark.parametrize("rotation", [Role.TARGETS, Role.TIME])
def test_power_may_fail_anywhere_while_a_root_is_taken(host_library: Path, rotation: Role) -> None:
    """After every flash operation: the old Root, or the new one and nothing of what it takes away."""
    ends = []
    for after in range(80):
        both = Both(host_library)
        assert both.time() is None
        assert both.targets() is None
        del both.pair.director.entries[BRAKE]
        assert both.issued() is None
        director = both.pair.director
        director.keys[rotation] = [key("new")]
        octets = director.root()
        both.core.deliver(Object.DIRECTOR_ROOT, octets)
        was_cut = both.core.tools.bench_cut_root(both.core.ecu, ctypes.c_uint64(after)) == -1
        before = both.core.power_up(), both.store["root"]
        assert before[0] is Start.UP
        both.store["root"] = octets
        is_new = int.from_bytes(both.core.said("bench_held")[:8]) == 2
        both.store["root"] = octets if is_new else before[1]
        both.power_cycle()
        ends.append(is_new)
        if not was_cut:
            break
    assert ends == sorted(ends)
    assert set(ends) == {False, True}


# Time


def _time(**changes: Any) -> Act:
    return lambda both: both.time(both.pair.attestation(**changes))


def _untimed(both: Both) -> Check | None:
    assert _roles(_roles_but(Role.TIME))(both) is None
    return both.time(b"noise")


def _by_targets(both: Both) -> Check | None:
    """What is no attestation, signed by the time key."""
    director = both.pair.director
    payload = OER.open(director.offered["5.targets"], 1 << 20).payload
    return both.time(sealed(payload, [TIME]))


TIMES: dict[str, tuple[Act, Check | None]] = {
    "now": (_time(), None),
    "later": (_time(time=NOW + 5), None),
    "the last time there is": (_time(time=2**64 - 1), None),
    "a second earlier": (_time(time=NOW - 1), Check.TIME_BACKWARDS),
    "another nonce": (_time(nonce=b"m" * 16), Check.TIME_NONCE),
    "another nonce, earlier": (_time(nonce=b"m" * 16, time=1), Check.TIME_NONCE),
    "a stranger's": (_time(signers=[STRANGER]), Check.TIME_SIGNATURES),
    "a stranger's beside it": (_time(signers=[STRANGER, TIME]), None),
    "a newer level": (_time(level=2), Check.LEVEL),
    "no attestation": (_by_targets, Check.KIND),
    "noise": (lambda both: both.time(b"noise"), Check.ENCODING),
    "no time role": (_untimed, Check.TIME_ROLE),
}


@pytest.mark.parametrize(("act", "verdict"), TIMES.values(), ids=TIMES)
def test_time(ready: Both, act: Act, verdict: Check | None) -> None:
    assert act(ready) is verdict
    ready.wait(7)
    ready.compare()
    ready.power_cycle()


def test_before_an_attestation_the_time_is_that_of_provisioning_and_the_root(both: Both) -> None:
    assert both.held.clock.time == NOW - 3_600
    both.wait(30)
    assert int.from_bytes(both.core.said("bench_held")[40:48]) == NOW - 3_570
    both.compare()


def test_an_uptime_of_years_is_counted_to_the_second(ready: Both) -> None:
    for milliseconds in (999, 1_000, 2**32 - 1, 2**32, 2**33 + 12_345, 50 * YEAR * 1000 + 999):
        ready.now = milliseconds
        ready.refresh()
        ready.compare()
