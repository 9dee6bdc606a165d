"""Enrolment: a vehicle is whole and free of contradictions, or it is not enrolled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from director.admit import admit
from director.enrol import DESCRIPTION_LENGTH_MAX, enrol, give_keys, same
from director.errors import Declined, Reason
from director.inventory import Ecu, Verification
from tests.unit.director.garage import KEYS, NOW, VERIFIER, VIN, Words, ecus, signer, vehicle
from uptane.model.ids import EcuId, Filename, HardwareId, VehicleId
from uptane.model.reports import InstalledImage

Change = Callable[[list[Ecu]], list[Ecu]]


def brake(**changes: object) -> Change:
    return lambda all_: [replace(ecu, **changes) if ecu.id == "brake" else ecu for ecu in all_]  # type: ignore[arg-type]


def gateway(**changes: object) -> Change:
    return lambda all_: [replace(ecu, **changes) if ecu.id == "gw" else ecu for ecu in all_]  # type: ignore[arg-type]


def stock(filename: str = "brake-0", length: int = 1, digest: int = 32) -> InstalledImage:
    return InstalledImage(Filename(filename), length, bytes(digest), 0)


def test_a_whole_vehicle() -> None:
    entered = enrol(VIN, ecus()[::-1], "text", NOW)
    assert [record.ecu.id for record in entered.ecus] == ["body", "brake", "door", "gw"]
    assert entered.primary.ecu.id == "gw"
    assert entered.primary.running == entered.primary.ecu.factory


ROWS: dict[str, Change] = {
    "no ECU": lambda _: [],
    "too many ECUs": lambda all_: [replace(all_[0], id=EcuId(f"e{n}"), key=None) for n in range(129)],
    "an id twice": lambda all_: [*all_, all_[0]],
    "no Primary": gateway(primary=False, bus="can0", address=9),
    "two Primaries": brake(primary=True, bus="", address=0, verification=Verification.FULL),
    "a Primary that verifies partially": gateway(verification=Verification.PARTIAL),
    "a Primary on a bus": gateway(bus="can0"),
    "a Primary with an address": gateway(address=1),
    "a bad id": brake(id=EcuId("a b")),
    "a long id": brake(id=EcuId("a" * 65)),
    "a bad hardware id": brake(hardware=HardwareId("")),
    "no bus": brake(bus=""),
    "a bus with a slash": brake(bus="a/b"),
    "no address": brake(address=0),
    "an address of testers": brake(address=0xF0),
    "an address twice": brake(address=1),
    "no pattern": brake(filename=""),
    "a pattern out of the folder": brake(filename="../*"),
    "a long pattern": brake(filename="a" * 129),
    "no slot": brake(slot_size=0),
    "a slot beyond 32 bit": brake(slot_size=1 << 32),
    "a factory image without a name": brake(factory=stock("")),
    "a factory image with a short hash": brake(factory=stock(digest=31)),
    "a factory image larger than the slot": brake(factory=stock(length=4_097)),
    "a key twice": brake(key=KEYS["door"].public),
}


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS.keys())
def test_broken_singly(change: Change) -> None:
    with pytest.raises(Declined) as declined:
        enrol(VIN, change(ecus()), "", NOW)
    assert declined.value.reason is Reason.INVALID


@pytest.mark.parametrize("vin", ["", "a b", "../x", "a" * 65])
def test_a_bad_vehicle_id(vin: str) -> None:
    with pytest.raises(Declined):
        enrol(VehicleId(vin), ecus(), "", NOW)


def test_a_long_description() -> None:
    enrol(VIN, ecus(), "x" * DESCRIPTION_LENGTH_MAX, NOW)
    with pytest.raises(Declined):
        enrol(VIN, ecus(), "x" * (DESCRIPTION_LENGTH_MAX + 1), NOW)


def test_the_same_address_on_another_bus() -> None:
    enrol(VIN, brake(address=1, bus="can1")(ecus()), "", NOW)


def test_the_same_vehicle_again() -> None:
    known = enrol(VIN, [replace(ecu, key=None) for ecu in ecus()], "", NOW)
    provisioned = give_keys(known, {EcuId(ecu): key.public for ecu, key in KEYS.items()}, replacing=False)
    assert same(provisioned, known)
    assert not same(provisioned, enrol(VIN, brake(slot_size=5_000)(ecus()), "", NOW))
    assert not same(provisioned, enrol(VIN, ecus(), "other", NOW))
    assert not same(provisioned, enrol(VIN, ecus()[1:], "", NOW))
    assert not same(provisioned, enrol(VIN, brake(key=signer("other").public)(ecus()), "", NOW))


def test_keys_are_given_once() -> None:
    keyless = enrol(VIN, brake(key=None)(ecus()), "", NOW)
    with pytest.raises(Declined, match="no key for brake"):
        give_keys(keyless, {}, replacing=False)
    with pytest.raises(Declined, match="no ECU radio"):
        give_keys(keyless, {EcuId("radio"): signer("x").public}, replacing=False)
    with pytest.raises(Declined, match="same key"):
        give_keys(keyless, {EcuId("brake"): KEYS["door"].public}, replacing=False)
    given = give_keys(keyless, {EcuId("brake"): KEYS["brake"].public}, replacing=False)
    assert given == vehicle()
    assert give_keys(given, {EcuId("brake"): KEYS["brake"].public}, replacing=False) == given
    with pytest.raises(Declined, match="another key on file"):
        give_keys(given, {EcuId("brake"): signer("x").public}, replacing=False)


def test_an_exchanged_ecu_begins_anew() -> None:
    words = Words.first()
    words.say("brake", counter=50)
    known = admit(vehicle(), words.manifest(), verifier=VERIFIER, utc=NOW).vehicle
    exchanged = give_keys(known, {EcuId("brake"): signer("x").public}, replacing=True)
    record = exchanged.find(EcuId("brake"))
    assert record is not None
    assert record.report_counter == 0
    assert exchanged.admission == known.admission
    assert give_keys(known, {EcuId("gw"): signer("x").public}, replacing=True).admission is None
