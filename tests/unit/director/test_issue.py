"""Issued metadata: what it says, when it is signed anew, and that full verification takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from director.admit import admit
from director.enrol import enrol
from director.inventory import Issued, Vehicle
from director.issue import CLOCK_SKEW_MAX_S, coordinator, entries_of
from tests.unit.director.garage import (
    CODEC,
    DAY_S,
    KEYS,
    NOW,
    PRESS,
    VERIFIER,
    VIN,
    Said,
    Words,
    decide,
    ecus,
    entries,
    image,
    signer,
    vehicle,
)
from uptane.crypto import Sha2
from uptane.model.ids import EcuId, Repository, Role
from uptane.model.metadata import (
    LEVEL,
    DirectorTargets,
    Fleet,
    ForVehicle,
    Header,
    Key,
    RoleKeys,
    Root,
    Snapshot,
    Timestamp,
)
from uptane.moments import UtcTime
from uptane.verify.roles import check_snapshot, check_targets, check_timestamp
from uptane.verify.root import first_root
from uptane.verify.signing import sign
from uptane.verify.trusted import Trusted

ROLES = {role: signer(role.value) for role in (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)}


def trusted() -> Trusted[DirectorTargets]:
    header = Header(LEVEL, Fleet(), 1, UtcTime(NOW + 365 * DAY_S), NOW)
    keys = tuple(Key(key.key_id, key.public) for key in ROLES.values())
    roles = tuple(RoleKeys(role, (key.key_id,), 1) for role, key in ROLES.items())
    octets = sign(CODEC, Root(header, keys, roles), [ROLES[Role.ROOT]])
    return Trusted(Repository.DIRECTOR, ForVehicle(VIN), first_root(VERIFIER, octets, Fleet()))


def verified(issued: Issued, utc: int = NOW) -> tuple[Timestamp, Snapshot, DirectorTargets]:
    """As a vehicle does it."""
    held, at = trusted(), UtcTime(utc)
    timestamp = check_timestamp(VERIFIER, issued.timestamp, held, utc=at)
    snapshot = check_snapshot(VERIFIER, issued.snapshot, held, timestamp=timestamp, utc=at)
    listed = snapshot.value.files.find("targets")
    assert listed is not None
    targets = check_targets(VERIFIER, issued.targets, held, DirectorTargets, listed=listed.info, utc=at)
    return timestamp.value, snapshot.value, targets.value


@pytest.fixture
def word() -> Said:
    said = Said()
    said.publish(*(image(f"{kind}-0", counter=0) for kind in ("body", "brake", "gw")))
    said.publish(image("brake-1"))
    return said


@pytest.fixture
def present() -> Vehicle:
    return admit(vehicle(), Words.first().manifest(), verifier=VERIFIER, utc=NOW).vehicle


def issued_of(of: Vehicle) -> Issued:
    assert of.issued is not None
    return of.issued


def ordering(of: Vehicle, ecu: str, name: str) -> Vehicle:
    record = of.find(EcuId(ecu))
    assert record is not None
    return of.with_records({record.ecu.id: replace(record, wanted=image(name))})


def test_full_verification_takes_it(present: Vehicle, word: Said) -> None:
    issued, _, why = decide(present, word)
    assert why == "first issue"
    timestamp, _, targets = verified(issued_of(issued))
    assert targets.header == Header(LEVEL, ForVehicle(VIN), 1, UtcTime(NOW + DAY_S), NOW)
    assert timestamp.header.version == 1
    assert targets.coordinator == KEYS["gw"].public
    assert not targets.refresh_image_root
    assert targets.delegations is None
    assert entries(issued) == {"body": "body-0", "brake": "brake-0", "door": "body-0", "gw": "gw-0"}
    assert issued_of(issued).bundle == Sha2().sha256(targets.entries.octets)


def test_the_image_repositorys_octets_are_copied(present: Vehicle, word: Said) -> None:
    issued, _, _ = decide(present, word)
    _, _, targets = verified(issued_of(issued))
    for entry in targets.entries:
        assert entry.image.octets == word.images[entry.image.filename].octets


def test_a_targets_without_entries_names_the_vehicle(present: Vehicle) -> None:
    issued, _, _ = decide(present, Said())
    _, _, targets = verified(issued_of(issued))
    assert len(targets.entries) == 0
    assert targets.header.speaker == ForVehicle(VIN)


def test_signed_only_when_something_changed_or_nears_expiry(present: Vehicle, word: Said) -> None:
    first, _, _ = decide(present, word)
    quarter = DAY_S - DAY_S // 4
    assert decide(first, word, utc=NOW + quarter)[0] is first
    renewed, _, why = decide(first, word, utc=NOW + quarter + 1)
    assert why == "nears expiry"
    assert issued_of(renewed).bundle == issued_of(first).bundle
    versions = issued_of(renewed)
    assert (versions.targets_version, versions.snapshot_version, versions.timestamp_version) == (2, 2, 2)
    assert issued_of(renewed).expires == NOW + quarter + 1 + DAY_S


def test_a_clock_that_was_ahead_is_put_right(present: Vehicle, word: Said) -> None:
    ahead, _, _ = decide(present, word, utc=NOW + 365 * DAY_S)
    assert decide(ahead, word, utc=NOW + 365 * DAY_S - CLOCK_SKEW_MAX_S)[2] == ""
    right, _, why = decide(ahead, word)
    assert "ahead" in why
    assert issued_of(right).expires == NOW + DAY_S
    assert issued_of(right).targets_version == 2


@pytest.mark.parametrize(
    ("roots", "why", "refresh"), [((2, 1), "another Director Root", False), ((1, 2), "another Image Root", True)]
)
def test_a_new_root(word: Said, roots: tuple[int, int], why: str, refresh: bool) -> None:
    present = admit(vehicle(), Words.first().manifest(), verifier=VERIFIER, utc=NOW).vehicle
    first, _, _ = decide(present, word)
    second, _, said = decide(first, word, roots=roots)
    assert said == why
    assert issued_of(second).bundle == issued_of(first).bundle
    assert verified(issued_of(second))[2].refresh_image_root is refresh
    assert decide(second, word, roots=roots)[2] == ""


def test_another_primary_coordinates(present: Vehicle, word: Said) -> None:
    first, _, _ = decide(present, word)
    gateway = first.primary
    other = replace(gateway, ecu=replace(gateway.ecu, key=signer("new gw").public))
    second, _, why = decide(first.with_records({gateway.ecu.id: other}), word)
    assert why == "another coordinator"
    assert verified(issued_of(second))[2].coordinator == signer("new gw").public


def test_one_ecu_alone_needs_no_coordinator() -> None:
    alone = enrol(VIN, [ecu for ecu in ecus() if ecu.primary], "", NOW)
    assert coordinator(alone) is None


def test_an_order_goes_out(present: Vehicle, word: Said) -> None:
    first, _, _ = decide(present, word)
    second, _, why = decide(ordering(first, "brake", "brake-1"), word)
    assert why == "another bundle"
    brake = second.find(EcuId("brake"))
    assert brake is not None
    assert brake.assigned is not None
    assert (brake.assigned.targets_version, brake.assigned.counter, brake.assigned.held) == (2, 1, False)
    assert brake.assigned.before is not None
    assert brake.assigned.before.filename == "brake-0"
    assert brake.counter_floor == 1
    assert entries_of(second)[EcuId("brake")].filename == "brake-1"


def test_a_reissue_keeps_what_is_on_record(present: Vehicle, word: Said) -> None:
    """Otherwise a renewal would ask for yet another report before an installation counts as proven."""
    ordered, _, _ = decide(ordering(present, "brake", "brake-1"), word)
    renewed, _, why = decide(ordered, word, utc=NOW + DAY_S)
    assert why == "nears expiry"
    assert [record.assigned for record in renewed.ecus] == [record.assigned for record in ordered.ecus]


def test_signed_by_the_keys_it_was_given(present: Vehicle, word: Said) -> None:
    issued, _, _ = decide(present, word)
    envelope = CODEC.open(issued_of(issued).targets, 1 << 20)
    assert [signature.key_id for signature in envelope.signatures] == [PRESS.signers.targets[0].key_id]
