"""Admission: every row of the Standard's rules for manifests and reports, broken singly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from director.admit import CLOCK_SKEW_MAX_S, activating, admit
from director.inventory import Assigned, Vehicle
from tests.unit.director.garage import (
    CODEC,
    KEYS,
    NOW,
    VERIFIER,
    Said,
    Words,
    decide,
    image,
    report,
    signed_report,
    signer,
    vehicle,
)
from uptane.errors import Check, Malformed, Rejected
from uptane.model.ids import EcuId, HardwareId, VehicleId
from uptane.model.metadata import LEVEL
from uptane.model.reports import EcuState, ManifestEntry, Outcome, Refusal
from uptane.model.signed import Signature
from uptane.moments import UtcTime
from uptane.verify.image import installed_image
from uptane.verify.signing import sign


def admitted(present: Vehicle, octets: bytes, utc: int = NOW) -> Vehicle:
    return admit(present, octets, verifier=VERIFIER, utc=UtcTime(utc)).vehicle


def known() -> tuple[Vehicle, Words]:
    """A vehicle whose first manifest was admitted."""
    words = Words.first()
    return admitted(vehicle(), words.manifest()), words


def assigned(present: Vehicle, ecu: str) -> Assigned:
    record = present.find(EcuId(ecu))
    assert record is not None
    assert record.assigned is not None
    return record.assigned


def state_of(present: Vehicle) -> str:
    return repr(present)


# ----------------------------------------------------------------------------------------- what is broken singly


@dataclass(frozen=True)
class Row:
    name: str
    check: Check
    manifest: Callable[[Words], bytes]


def _with_entries(words: Words, change: Callable[[tuple[ManifestEntry, ...]], tuple[ManifestEntry, ...]]) -> bytes:
    value = words.value()
    return sign(CODEC, replace(value, entries=change(value.entries)), [KEYS["gw"]])


def _by(words: Words, name: str) -> bytes:
    return sign(CODEC, words.value(), [KEYS.get(name) or signer(name)])


def _brake_says(words: Words, **changes: object) -> bytes:
    words.say("brake", **{"counter": 2, **changes})
    return words.manifest()


def _brake_signed_by(words: Words, name: str) -> bytes:
    words.reports["brake"] = signed_report(report("brake", counter=2), KEYS.get(name) or signer(name))
    return words.manifest()


def _in_place_of_brake(words: Words, octets: bytes) -> bytes:
    words.reports["brake"] = octets
    return words.manifest()


def _tampered(octets: bytes | None) -> bytes:
    changed = bytearray(octets or b"")
    changed[-1] ^= 1
    return bytes(changed)


UNKNOWN = ManifestEntry(EcuId("zz"), None, NOW)
ROWS = [
    # The manifest: E1, E2, D4 to D7.
    Row("signed by a Secondary", Check.MANIFEST_SIGNATURE, lambda w: _by(w, "brake")),
    Row("signed by nobody known", Check.MANIFEST_SIGNATURE, lambda w: _by(w, "stranger")),
    Row("changed after signing", Check.MANIFEST_SIGNATURE, lambda w: _tampered(w.manifest())),
    Row("of another vehicle", Check.MANIFEST_VEHICLE, lambda w: w.manifest(vehicle=VehicleId("VIN2"))),
    Row("made by another ECU", Check.MANIFEST_PRIMARY, lambda w: w.manifest(primary=EcuId("brake"))),
    Row("used counter, other content", Check.MANIFEST_COUNTER, lambda w: _brake_says(replace(w, counter=0))),
    Row("lower counter", Check.MANIFEST_COUNTER, lambda w: w.manifest(counter=0)),
    Row("an ECU left out", Check.MANIFEST_ECU_MISSING, lambda w: _with_entries(w, lambda e: e[1:])),
    Row("the Primary left out", Check.MANIFEST_ECU_MISSING, lambda w: _with_entries(w, lambda e: e[:-1])),
    Row("an ECU twice", Check.MANIFEST_ECU_TWICE, lambda w: _with_entries(w, lambda e: (e[0], *e))),
    Row("out of order", Check.MANIFEST_ECU_TWICE, lambda w: _with_entries(w, lambda e: e[::-1])),
    Row("an unknown ECU more", Check.MANIFEST_ECU_UNKNOWN, lambda w: _with_entries(w, lambda e: (*e, UNKNOWN))),
    Row(
        "no report and not silent",
        Check.MANIFEST_SILENT,
        lambda w: _with_entries(w, lambda e: (replace(e[0], report=None), *e[1:])),
    ),
    # The reports: E4, E5, D6.
    Row("report signed by another ECU", Check.REPORT_SIGNATURE, lambda w: _brake_signed_by(w, "door")),
    Row("report signed by the Primary", Check.REPORT_SIGNATURE, lambda w: _brake_signed_by(w, "gw")),
    Row(
        "report changed", Check.REPORT_SIGNATURE, lambda w: _in_place_of_brake(w, _tampered(w.reports["brake"] or b""))
    ),
    Row("report of another vehicle", Check.REPORT_VEHICLE, lambda w: _brake_says(w, vehicle=VehicleId("VIN2"))),
    Row(
        "report of another ECU, signed by this one",
        Check.REPORT_ECU,
        lambda w: _in_place_of_brake(w, signed_report(report("door", counter=2), KEYS["brake"])),
    ),
    Row("used report counter", Check.REPORT_COUNTER, lambda w: _brake_says(w, counter=1, root_version=2)),
    Row("lower report counter", Check.REPORT_COUNTER, lambda w: _brake_says(w, counter=0)),
    Row("other hardware", Check.REPORT_HARDWARE, lambda w: _brake_says(w, hardware=HardwareId("other-hw"))),
    Row("from the future", Check.REPORT_TIME, lambda w: _brake_says(w, time=UtcTime(NOW + CLOCK_SKEW_MAX_S + 1))),
    Row(
        "silent since the future",
        Check.REPORT_TIME,
        lambda w: replace(w, silent={"brake": UtcTime(2**64 - 1)}).manifest(),
    ),
    # What any envelope may be.
    Row("a report in place of the manifest", Check.KIND, lambda w: signed_report(report("gw", counter=2))),
    Row("a manifest in place of a report", Check.KIND, lambda w: _in_place_of_brake(w, _by(w, "brake"))),
    Row("manifest of a newer level", Check.LEVEL, lambda w: w.manifest(level=LEVEL + 1)),
    Row("report of a newer level", Check.LEVEL, lambda w: _brake_says(w, level=LEVEL + 1)),
    Row("a manifest over its limit", Check.LENGTH, lambda w: w.manifest() + bytes(1_048_576)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_broken_singly(row: Row) -> None:
    present, words = known()
    before = state_of(present)
    with pytest.raises(Rejected) as refused:
        admitted(present, row.manifest(words))
    assert refused.value.check is row.check
    assert state_of(present) == before
    # The same vehicle with nothing broken goes through.
    admitted(present, Words(9, Words.first().reports, {}).manifest())


def test_every_check_of_manifests_and_reports_is_hit() -> None:
    mine = {check for check in Check if check.code >> 8 in (0x0A, 0x0B)}
    assert mine == {row.check for row in ROWS} & mine


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\xff" * 100])
def test_what_is_no_message(octets: bytes) -> None:
    present, words = known()
    with pytest.raises(Malformed):
        admitted(present, octets)
    with pytest.raises(Malformed):
        admitted(present, words.manifest()[:-1])
    with pytest.raises(Malformed):
        admitted(present, words.manifest() + b"\x00")


def test_an_ecu_without_a_key_proves_nothing() -> None:
    present, words = known()
    for ecu, check in (("gw", Check.MANIFEST_SIGNATURE), ("brake", Check.REPORT_SIGNATURE)):
        record = present.find(EcuId(ecu))
        assert record is not None
        keyless = present.with_records({record.ecu.id: replace(record, ecu=replace(record.ecu, key=None))})
        with pytest.raises(Rejected) as refused:
            admitted(keyless, words.manifest())
        assert refused.value.check is check


# --------------------------------------------------------------------------------------- what is admitted


def test_the_first_manifest() -> None:
    words = Words.first()
    outcome = admit(vehicle(), words.manifest(), verifier=VERIFIER, utc=NOW)
    assert not outcome.again
    assert outcome.vehicle.manifests == 1
    assert all(record.report_counter == 1 for record in outcome.vehicle.ecus)


def test_a_little_ahead_is_no_lie() -> None:
    present, words = known()
    words.say("brake", counter=2, time=UtcTime(NOW + CLOCK_SKEW_MAX_S))
    admitted(present, words.manifest())


def test_the_same_octets_again_prove_nothing_new() -> None:
    present, words = known()
    octets = words.manifest()
    once = admitted(present, octets)
    twice = admit(once, octets, verifier=VERIFIER, utc=UtcTime(NOW + 10))
    assert twice.again
    assert twice.vehicle == once


def test_the_same_word_signed_again_proves_nothing_new() -> None:
    present, words = known()
    octets = words.manifest()
    once = admitted(present, octets)
    envelope = CODEC.open(octets, len(octets))
    extra = Signature(signer("other").key_id, signer("other").sign(CODEC.message(envelope.payload)))
    again = CODEC.seal(envelope.payload, [*envelope.signatures, extra]).octets
    twice = admit(once, again, verifier=VERIFIER, utc=UtcTime(NOW + 10))
    assert twice.again
    assert twice.vehicle.ecus == once.ecus
    assert twice.vehicle.manifests == once.manifests
    assert twice.vehicle.admission is not None
    assert once.admission is not None
    assert twice.vehicle.admission.digest != once.admission.digest


def test_a_silent_ecu_is_represented_by_its_last_report() -> None:
    present, words = known()
    words.silent["brake"] = UtcTime(NOW - 500)
    words.say("door", counter=2)
    present = admitted(present, words.manifest())
    record = present.find(EcuId("brake"))
    assert record is not None
    assert record.silent_since == NOW - 500
    assert record.report_counter == 1
    words.silent.clear()
    words.say("brake", counter=2)
    back = admitted(present, words.manifest()).find(EcuId("brake"))
    assert back is not None
    assert back.silent_since is None


def test_an_ecu_that_never_reported_may_be_silent() -> None:
    words = Words.first()
    words.reports["brake"] = None
    words.silent["brake"] = UtcTime(NOW - 5)
    record = admitted(vehicle(), words.manifest()).find(EcuId("brake"))
    assert record is not None
    assert record.reported is None
    assert record.silent_since == NOW - 5


def test_refusals_in_reports_are_news_once() -> None:
    present, words = known()
    words.say("brake", counter=2, refusals=(Refusal(Check.IMAGE_COUNTER.code, 3), Refusal(0xFFFF, 1)))
    first = admit(present, words.manifest(), verifier=VERIFIER, utc=NOW)
    assert first.attacks == (("brake", Check.IMAGE_COUNTER, 3), ("brake", 0xFFFF, 1))
    words.say("brake", counter=3, refusals=(Refusal(Check.IMAGE_COUNTER.code, 4), Refusal(0xFFFF, 1)))
    second = admit(first.vehicle, words.manifest(), verifier=VERIFIER, utc=NOW)
    assert second.attacks == (("brake", Check.IMAGE_COUNTER, 4),)


# ------------------------------------------------------------------------------------------- what is proven


def updating() -> tuple[Vehicle, Words, dict[str, object]]:
    """Brake is to run brake-1; what its report says once it does."""
    present, words = known()
    word = Said()
    new = image("brake-1", counter=1)
    word.publish(new, image("brake-0", counter=0))
    brake = present.find(EcuId("brake"))
    assert brake is not None
    present = present.with_records({brake.ecu.id: replace(brake, wanted=new)})
    present, _, _ = decide(present, word)
    assert not assigned(present, "brake").held
    assert present.issued is not None
    runs = {"image": installed_image(new), "targets_version": 1, "bundle": present.issued.bundle}
    return present, words, runs


@pytest.mark.parametrize(
    ("state", "proven"),
    [
        (EcuState.IDLE, False),
        (EcuState.PREPARED, False),
        (EcuState.TRIAL, False),
        (EcuState.VOTED, False),
        (EcuState.COMMITTED, True),
        (EcuState.RELEASED, True),
    ],
)
def test_only_confirmed_states_prove(state: EcuState, proven: bool) -> None:
    present, words, runs = updating()
    words.say("brake", counter=2, state=state, **runs)
    outcome = admit(present, words.manifest(), verifier=VERIFIER, utc=NOW)
    assert assigned(outcome.vehicle, "brake").proven is proven
    assert outcome.proven == (("brake",) if proven else ())
    record = outcome.vehicle.find(EcuId("brake"))
    assert record is not None
    assert activating(record) is (state in (EcuState.TRIAL, EcuState.VOTED))


def test_only_a_report_newer_than_the_assignment_proves() -> None:
    present, words, runs = updating()
    words.say("brake", counter=7, state=EcuState.RELEASED, **runs)
    ahead = replace(assigned(present, "brake"), counter=7)
    brake = present.find(EcuId("brake"))
    assert brake is not None
    present = present.with_records({brake.ecu.id: replace(brake, assigned=ahead)})
    present = admitted(present, words.manifest())
    assert not assigned(present, "brake").proven
    words.say("brake", counter=8, state=EcuState.RELEASED, **runs)
    assert assigned(admitted(present, words.manifest()), "brake").proven


def test_a_report_of_an_earlier_installation_does_not_prove() -> None:
    """Withheld since before the assignment: it acted on older Targets."""
    present, words, runs = updating()
    words.say("brake", counter=2, state=EcuState.RELEASED, **{**runs, "targets_version": 0})
    assert not assigned(admitted(present, words.manifest()), "brake").proven


def test_another_image_does_not_prove() -> None:
    present, words, runs = updating()
    words.say("brake", counter=2, state=EcuState.RELEASED, **{**runs, "image": installed_image(image("brake-2"))})
    assert not assigned(admitted(present, words.manifest()), "brake").proven


def test_a_trial_report_withheld_and_sent_after_a_revert() -> None:
    present, words, runs = updating()
    words.say("brake", counter=2, state=EcuState.VOTED, **runs)
    withheld = words.reports["brake"]
    words.say("brake", counter=3, state=EcuState.IDLE, outcome=Outcome.ROLLED_BACK, targets_version=1)
    present = admitted(present, words.manifest())
    words.reports["brake"] = withheld
    with pytest.raises(Rejected) as refused:
        admitted(present, words.manifest())
    assert refused.value.check is Check.REPORT_COUNTER
    assert not assigned(present, "brake").proven


def test_a_proof_falls_with_a_newer_report_against_it() -> None:
    present, words, runs = updating()
    words.say("brake", counter=2, state=EcuState.RELEASED, **runs)
    present = admitted(present, words.manifest())
    words.say("brake", counter=3, state=EcuState.IDLE, outcome=Outcome.UNBOOTABLE, targets_version=1)
    assert not assigned(admitted(present, words.manifest()), "brake").proven


def test_a_held_image_is_proven_at_rest() -> None:
    present, words, _ = updating()
    word = Said()
    word.publish(image("gw-0", counter=0))
    present, _, _ = decide(present, word)
    assert assigned(present, "gw").held
    assert not assigned(present, "gw").proven
    words.say("gw", counter=2)
    assert assigned(admitted(present, words.manifest()), "gw").proven


def test_nothing_is_proven_on_trial_even_what_ran_before() -> None:
    present, words, _ = updating()
    word = Said()
    word.publish(image("gw-0", counter=0))
    present, _, _ = decide(present, word)
    words.say("gw", counter=2)
    present = admitted(present, words.manifest())
    assert assigned(present, "gw").proven
    words.say("gw", counter=3, state=EcuState.TRIAL)
    assert not assigned(admitted(present, words.manifest()), "gw").proven


def test_what_was_sent_may_run_until_a_report_rules_it_out() -> None:
    present, words, runs = updating()

    def possible(of: Vehicle) -> set[str]:
        record = of.find(EcuId("brake"))
        assert record is not None
        return {image.filename for image in record.possible}

    assert possible(present) == {"brake-0", "brake-1"}
    words.say("brake", counter=2, state=EcuState.TRIAL, **runs)
    present = admitted(present, words.manifest())
    assert possible(present) == {"brake-0", "brake-1"}
    words.say("brake", counter=3, state=EcuState.RELEASED, **runs)
    assert possible(admitted(present, words.manifest())) == {"brake-1"}
    words.say("brake", counter=3, state=EcuState.IDLE, outcome=Outcome.ROLLED_BACK, targets_version=2)
    assert possible(admitted(present, words.manifest())) == {"brake-0"}
