"""The gate, and the file it is told by."""

from __future__ import annotations

from pathlib import Path

import pytest

from primary.gate import ACTIVATION_S, predicted_s, shut_because
from primary.needs import VehicleState
from primary.shell.gate_file import CLOSED, read_gate
from uptane.model.ids import Bundle

BUNDLE, OTHER = Bundle(b"b" * 32), Bundle(b"o" * 32)
OPEN = VehicleState(parked=True, energy_s=None, consent=None)


def test_an_open_gate_has_nothing_to_say() -> None:
    assert shut_because(OPEN, BUNDLE, 10_000) == ()


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (VehicleState(parked=False, energy_s=None, consent=None), "parked"),
        (VehicleState(parked=True, energy_s=119, consent=None), "energy"),
        (VehicleState(parked=True, energy_s=None, consent=frozenset()), "agreed"),
        (VehicleState(parked=True, energy_s=None, consent=frozenset({OTHER})), "agreed"),
    ],
)
def test_one_thing_missing_shuts_it_and_is_named(state: VehicleState, word: str) -> None:
    (reason,) = shut_because(state, BUNDLE, 120)
    assert word in reason


def test_exactly_enough_energy_and_this_very_bundle_open_it() -> None:
    state = VehicleState(parked=True, energy_s=120, consent=frozenset({OTHER, BUNDLE}))
    assert shut_because(state, BUNDLE, 120) == ()


def test_the_prediction_counts_the_way_back() -> None:
    assert predicted_s(3, 0) == 2 * 3 * ACTIVATION_S
    assert predicted_s(1, 50_000) == 2 * (ACTIVATION_S + 10)
    assert predicted_s(1, 1) == 2 * (ACTIVATION_S + 1)


def test_the_file_says_it(tmp_path: Path) -> None:
    file = tmp_path / "gate"
    file.write_text(f"parked yes\nminutes 1.5\nconsent {BUNDLE.hex()}\nconsent {OTHER.hex()}\n")
    assert read_gate(file, 60) == VehicleState(parked=True, energy_s=90, consent=frozenset({BUNDLE, OTHER}))
    file.write_text("parked yes\nenergy_wh 30\nconsent any\n")
    assert read_gate(file, 60) == VehicleState(parked=True, energy_s=1_800, consent=None)


@pytest.mark.parametrize(
    "text",
    [
        "parked maybe\n",
        "minutes many\n",
        "minutes inf\n",
        "minutes nan\n",
        "consent zz\n",
        "open sesame\n",
        "parked\n",
        "a b c\n",
        "é x\n",
    ],
)
def test_what_is_not_understood_is_a_closed_gate(tmp_path: Path, text: str) -> None:
    file = tmp_path / "gate"
    file.write_text("parked yes\nconsent any\n" + text)
    assert read_gate(file, 60) == CLOSED


def test_nobody_who_says_it_is_a_closed_gate(tmp_path: Path) -> None:
    assert read_gate(None, 60) == CLOSED
    assert read_gate(tmp_path / "none", 60) == CLOSED
    empty = tmp_path / "empty"
    empty.touch()
    assert not read_gate(empty, 60).parked
