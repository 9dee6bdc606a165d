"""The Python core and the C core do the same: in the Secondary's own tests, under attack, in any conversation."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.firmware_chip import Library
from tests.attacks.row import Row
from tests.attacks.table import ROWS
from tests.builders import BRAKE, NONCE, Bench, Pair
from tests.firmware.conversations import Step, talk
from tests.firmware.twin import LIBRARY, ROOT, Differ, TwinBoard
from tests.unit.secondary.board import PRIMARY_CLIENT, Client
from uptane.errors import Check, Rejected
from uptane.link.uds_objects import Object
from uptane.link.uds_values import Did
from uptane.model.reports import EcuState
from uptane.verify.partial import Partial

SUITES = ("flash", "transaction", "time_and_reports", "hostile_bus", "full")


@pytest.fixture(autouse=True, scope="module")
def library() -> None:
    assert LIBRARY.exists(), f"{LIBRARY} is not built: make firmware"
    TwinBoard.library = Library(str(LIBRARY))


# ------------------------------------------------------------------------------------------- the Secondary's own tests


def test_the_tests_of_the_python_secondary_pass_on_twins() -> None:
    files = [f"tests/unit/secondary/test_{name}.py" for name in SUITES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.firmware.twin_plugin", "-p", "no:randomly", *files]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert said.returncode == 0, said.stdout[-6_000:] + said.stderr[-2_000:]
    found = re.search(r"(\d+) passed", said.stdout)
    assert found is not None
    assert int(found[1]) >= 80, "most of them are about a partial ECU"


def test_a_difference_is_seen() -> None:
    """A Python core that has lost a check, and twins that see it."""
    board = TwinBoard(Pair(), BRAKE).power_up()
    client = Client(board)
    board.state.nonce_counter += 1
    client.ask("1003")
    with pytest.raises(Differ, match="NONCE"):
        client.put(Object.ATTESTATION, board.pair.attestation(nonce=client.read(Did.NONCE)))


# ------------------------------------------------------------------------------------------------------ attack rows

# Rows that break what no octet on a bus can break: the ECU's own facts, its store, or a pure function's argument.
ELSEWHERE = {
    "Director: no Root to start from",
    "match: a lower release counter than released",
    "own: a filename it does not take",
    "own: a hash it cannot compute",
}
UDS_ROWS = [row for row in ROWS if BRAKE in row.on and not row.name.startswith(("install:", "order:"))]


class UdsBench(Bench):
    """A bench on which an ECU is asked over its link: what its core refuses is what the twins refuse."""

    def __post_init__(self) -> None:
        super().__post_init__()
        board = TwinBoard(self.pair, BRAKE).power_up()
        self.client = Client(board, PRIMARY_CLIENT)
        self.client.ask("1003")
        targets = f"{self.pair.director.versions['targets']}.targets"
        assert self.client.put(Object.DIRECTOR_TARGETS, self.pair.director.offered[targets]) == ""
        self.made = type(self.pair).attestation
        self.pair.attestation = self._attestation  # type: ignore[method-assign]

    def _attestation(self, **changes: Any) -> bytes:
        return self.made(self.pair, **{"nonce": self.client.read(Did.NONCE), **changes})

    def partial(self, *, attestation: bytes | None = None, nonce: bytes = NONCE) -> Partial:
        director = self.pair.director
        while octets := director.offered.get(f"{self.client.status().director_root + 1}.root"):
            self._give(Object.DIRECTOR_ROOT, octets)
        self._give(Object.ATTESTATION, self._attestation() if attestation is None else attestation)
        self._give(Object.DIRECTOR_TARGETS, director.offered[f"{director.versions['targets']}.targets"])
        return Any  # type: ignore[return-value]

    def _give(self, item: Object, octets: bytes) -> None:
        self.client.ask("1003")
        if self.client.deliver(item, octets) or self.client.check(item) != "7101020200":
            check = self.client.refusal()
            assert check is not None
            raise Rejected(check)


@pytest.mark.parametrize("row", [row for row in UDS_ROWS if row.name not in ELSEWHERE], ids=lambda row: row.name)
def test_an_attack_is_refused_by_the_same_check_on_both(row: Row) -> None:
    bench = UdsBench(Pair(), BRAKE)
    bench.pair.update()
    row.tamper(bench)
    with pytest.raises(Rejected) as refused:
        row.run(bench)
    expected = Check.LINK_RANGE if row.check is Check.LENGTH else row.check  # an object that is too long is not begun
    assert refused.value.check is expected


# -------------------------------------------------------------------------------------------------- any conversation


@st.composite
def conversations(draw: st.DrawFn) -> list[Step]:
    words = st.sampled_from(talk_words())
    return draw(st.lists(st.tuples(words, st.integers(0, 40), st.integers(0, 999)), max_size=25))


def talk_words() -> list[str]:
    """Every word; those that lead somewhere more than once."""
    every = ["session", "time", "targets", "root", "order", "erase", "image", "check", "depend", "ready", "restart"]
    every += [
        "odd",
        "read",
        "group",
        "object",
        "frame",
        "wait",
        "cut",
        "interlock",
        "verdict",
        "assign",
        "rotate",
        "later",
    ]
    return [*every, "update", "update", "update", "order", "order", "restart", "session", "session"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conversations())
def test_twins_agree_in_any_conversation(steps: list[Step]) -> None:
    talk().play(steps)


def test_the_way_to_a_release_and_the_next_update() -> None:
    conversation = talk()
    for _ in range(3):
        conversation.play([("update", 0, 1), ("session", 0, 2), ("order", 0, 1), ("order", 0, 3), ("assign", 0, 0)])
    status = conversation.client(0).status()
    assert status.state is EcuState.RELEASED
    assert conversation.board.state.installation.released_counter == 4
