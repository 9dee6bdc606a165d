"""An ECU's record as octets: what is written is read, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import COORDINATOR
from uptane.errors import StorageFailure
from uptane.model.ids import Bundle, Filename
from uptane.model.reports import EcuState, InstalledImage, Outcome, Phase
from uptane.verify.installation import ROLLED_BACK_MAX, Installation, factory
from uptane.verify.record import FORMAT, dump, load

IMAGE = InstalledImage(Filename("brakes/app"), 9, bytes(32), 4)
BUNDLE = Bundle(b"b" * 32)
FULL = Installation(
    images=(IMAGE, IMAGE),
    state=EcuState.COMMITTED,
    outcome=Outcome.INSTALLED,
    home=0,
    running=1,
    bundle=BUNDLE,
    targets_version=2**32 - 1,
    coordinator=COORDINATOR.public,
    last_phase=Phase.COMMIT,
    released_counter=3,
    boots=1,
    erases=4,
    erases_under=7,
    rolled_back=((BUNDLE, 3), (BUNDLE, 4)),
)


@pytest.mark.parametrize("installation", [FULL, factory(IMAGE), factory(IMAGE, released_counter=0)])
def test_what_is_written_is_read(installation: Installation) -> None:
    assert load(dump(installation)) == installation
    assert json.loads(dump(installation))["format"] == FORMAT


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(dump(FULL)) | changes).encode()


IMAGE_FIELDS = {"filename": "a", "length": 1, "sha256": "00" * 32, "releaseCounter": 1}


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        dump(FULL)[:-1],
        changed(format=FORMAT + 1),
        changed(format=str(FORMAT)),
        changed(format=None),
        changed(state="flying"),
        changed(outcome=None),
        changed(home=2),
        changed(home=True),
        changed(running=-1),
        changed(images=[None, None]),
        changed(images=[IMAGE_FIELDS]),
        changed(images=[IMAGE_FIELDS, IMAGE_FIELDS, None]),
        changed(images=[IMAGE_FIELDS, None]),
        changed(images=[IMAGE_FIELDS, IMAGE_FIELDS | {"filename": "../x"}]),
        changed(images=[IMAGE_FIELDS, IMAGE_FIELDS | {"sha256": "00"}]),
        changed(images=[IMAGE_FIELDS, IMAGE_FIELDS | {"length": 2**32}]),
        changed(images=[IMAGE_FIELDS, IMAGE_FIELDS | {"filename": 7}]),
        changed(bundle=None),
        changed(bundle="00"),
        changed(bundle=5),
        changed(targetsVersion=2**32),
        changed(targetsVersion=1.0),
        changed(coordinator=[]),
        changed(coordinator=["rot13", "00"]),
        changed(coordinator=["ed25519", "zz"]),
        changed(lastPhase="undo"),
        changed(rolledBack=[["00" * 32]]),
        changed(rolledBack=[["00" * 32, 1]] * (ROLLED_BACK_MAX + 1)),
        changed(rolledBack=7),
        json.dumps({"format": FORMAT}).encode(),
    ],
)
def test_a_damaged_or_unknown_record_is_refused(octets: bytes) -> None:
    with pytest.raises(StorageFailure):
        load(octets)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": [None, IMAGE_FIELDS]},
        {"images": [IMAGE_FIELDS, None], "running": 1},
        {"images": [IMAGE_FIELDS, None], "home": 1, "running": 0},
    ],
)
def test_a_record_whose_boot_slots_are_not_known_is_refused_in_any_state(changes: dict[str, Any]) -> None:
    idle = json.loads(dump(factory(IMAGE)))
    load(json.dumps(idle).encode())
    with pytest.raises(StorageFailure):
        load(json.dumps(idle | changes).encode())


def test_as_many_pairs_rolled_back_as_are_remembered_are_read() -> None:
    pairs = [["00" * 32, version] for version in range(ROLLED_BACK_MAX)]
    assert len(load(changed(rolledBack=pairs)).rolled_back) == ROLLED_BACK_MAX


@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    record = json.loads(dump(FULL))
    name = data.draw(st.sampled_from(sorted(record)))
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
        max_leaves=4,
    )
    record[name] = data.draw(junk)
    try:
        load(json.dumps(record).encode())
    except StorageFailure:
        return
