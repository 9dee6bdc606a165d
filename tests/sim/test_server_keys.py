"""Keys that change hands under running vehicles, and metadata that are renewed while nobody looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from primary.cycle import Result
from sim.clock import NS_PER_S, Clock
from sim.founding import SUPPLIER, Founded, found
from sim.signatures import CODEC
from tests.sim.lone_primary import LonePrimary
from tests.sim.test_servers import FRESH, LONE, LONE_PLAN, update
from uptane.errors import Check, Rejected
from uptane.model.ids import Filename, Role, RoleName
from uptane.model.metadata import Key, Timestamp

DAY_NS = 86_400 * NS_PER_S
YEAR_NS = 365 * DAY_NS

TOP = (Role.ROOT, Role.TARGETS, Role.SNAPSHOT, Role.TIMESTAMP)
ROTATIONS: dict[str, Callable[[Founded], object]] = {
    **{f"director {role.value}": partial(lambda role, servers: servers.director.rotate(role), role) for role in TOP},
    **{f"image {role.value}": partial(lambda role, servers: servers.image.rotate(role), role) for role in TOP},
    "supplier": lambda servers: servers.image.rotate_delegate(SUPPLIER),
    "time": lambda servers: servers.rotate_time(),
    "director root renewed": lambda servers: servers.director.renew_root(),
    "image root renewed": lambda servers: servers.image.renew_root(),
}


def keys_in_use(servers: Founded) -> dict[str, set[Key]]:
    """The keys that both Roots and the top-level Targets name, by role."""
    used: dict[str, set[Key]] = {}
    for word, root in (("director", servers.director.fleet.root.value), ("image", servers.image.standing.root.value)):
        by_id = {key.key_id: key for key in root.keys}
        for each in root.roles:
            used["time" if each.role is Role.TIME else f"{word} {each.role.value}"] = {
                by_id[key_id] for key_id in each.key_ids
            }
    delegations = servers.image.standing.targets.value.delegations
    assert delegations is not None
    used["supplier"] = set(delegations.keys)
    return used


@pytest.mark.parametrize("what", ROTATIONS)
def test_a_vehicle_follows_a_rotation(what: str) -> None:
    servers = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(servers, LONE)
    primary.run()
    before = keys_in_use(servers)
    ROTATIONS[what](servers)
    after = keys_in_use(servers)
    changed = {role for role in before if before[role] != after[role]}
    assert changed == ({what} - {"director root renewed", "image root renewed"})
    assert all(not before[role] & after[role] for role in changed)
    update(servers, primary, FRESH, 2)
    assert primary.runs.filename == FRESH
    for each in (servers.director, servers.image, servers.time):
        each.crash()
        each.restart()
    other = Filename("fleet/gateway-3")
    update(servers, primary, other, 3)
    assert primary.runs.filename == other


def test_all_keys_change_again_and_again() -> None:
    servers = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(servers, LONE)
    for _ in range(3):
        for rotate in ROTATIONS.values():
            rotate(servers)
    update(servers, primary, FRESH, 2)
    assert primary.runs.filename == FRESH


def test_a_role_that_joins_later_vouches_for_what_it_may() -> None:
    servers = found(Clock(), [LONE_PLAN])
    role = RoleName("division")
    servers.image.delegate(role, ["division/*"], keys=2)
    primary = LonePrimary(servers, LONE)
    name = Filename("division/gateway-2")
    update(servers, primary, name, 2, role=role)
    assert primary.runs.filename == name
    with pytest.raises(Rejected) as refused:
        update(servers, primary, Filename("fleet/gateway-3"), 3, role=role)
    assert refused.value.check is Check.PUBLISH_UNREACHED


@pytest.mark.parametrize("years", [1, 3])
def test_a_vehicle_wakes_in_its_garage_after_years(years: int) -> None:
    servers = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(servers, LONE)
    update(servers, primary, FRESH, 2)
    servers.clock.now_ns += years * YEAR_NS
    other = Filename("fleet/gateway-3")
    update(servers, primary, other, 3)
    assert primary.runs.filename == other
    assert servers.director.fleet.root.value.header.version == 1 + years
    assert servers.image.standing.root.value.header.version == 1 + years
    assert servers.image.standing.targets.value.header.version > 2 * years


def test_what_nobody_looks_after_expires_and_is_refused_until_somebody_does() -> None:
    servers = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(servers, LONE)
    primary.run()
    for people in (servers.director.caretakers, servers.image.caretakers):
        people.leave()
    servers.clock.now_ns += YEAR_NS
    finished = primary.run()
    assert finished.result is Result.REFUSED
    assert "ROOT_EXPIRED" in finished.text
    for people in (servers.director.caretakers, servers.image.caretakers):
        people.come_back()
    update(servers, primary, FRESH, 2)
    assert primary.runs.filename == FRESH
    assert servers.director.fleet.root.value.header.version == 2


def test_what_nears_its_end_is_signed_anew_when_somebody_reads() -> None:
    servers = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(servers, LONE)
    primary.run()
    for days in (2, 10, 170):
        servers.clock.now_ns += days * DAY_NS
        octets = servers.image.metadata("timestamp", 1 << 14)
        assert octets is not None
        stamp = CODEC.parse(CODEC.open(octets, 1 << 14).payload)
        assert isinstance(stamp, Timestamp)
        assert stamp.header.expires > servers.clock.utc
        assert primary.run().result is Result.IDLE
    assert servers.image.standing.targets.value.header.expires > servers.clock.utc
    before = servers.image.standing.timestamp.value.header.version
    servers.image.metadata("timestamp", 1 << 14)
    assert servers.image.standing.timestamp.value.header.version == before
