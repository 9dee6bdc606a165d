"""The states of an ECU in the vehicle transaction, as tables (docs/wire.md, "States"), walked by one test.

idle -> prepared -> trial -> voted -> committed -> released
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from uptane.errors import Check
from uptane.model.reports import EcuState, Outcome, Phase


class Event(Enum):
    """What may happen to an ECU."""

    PREPARE = "prepare"
    REBIND = "rebind"
    CANCEL = "cancel"
    ERASE = "erase"
    WRITE = "write"
    ORDER_ACTIVATE = "order: activate"
    ORDER_COMMIT = "order: commit"
    ORDER_ROLL_BACK = "order: roll back"
    ORDER_RELEASE = "order: release"
    START = "start the new image"
    FIRST_BOOT = "first boot of the new image"
    BOOT = "boot"
    FALL_BACK = "boot, after the new image failed to come up too often"
    PASSED = "self-test passed"
    FAILED = "self-test failed"
    CONFIRM = "confirm, without a coordinator"


_S, _E = EcuState, Event

# What is not in the table is refused as INSTALL_STATE. docs/wire.md prints it.
NEXT: Final[dict[tuple[EcuState, Event], EcuState]] = {
    (_S.IDLE, _E.PREPARE): _S.PREPARED,
    (_S.IDLE, _E.CANCEL): _S.IDLE,
    (_S.IDLE, _E.ERASE): _S.IDLE,
    (_S.IDLE, _E.WRITE): _S.IDLE,
    (_S.IDLE, _E.BOOT): _S.IDLE,
    (_S.IDLE, _E.ORDER_ROLL_BACK): _S.IDLE,  # it went back by itself before; the order is acknowledged
    (_S.PREPARED, _E.PREPARE): _S.PREPARED,  # the same again: a lost reply
    (_S.PREPARED, _E.REBIND): _S.PREPARED,
    (_S.PREPARED, _E.CANCEL): _S.IDLE,
    (_S.PREPARED, _E.BOOT): _S.PREPARED,
    (_S.PREPARED, _E.ORDER_ACTIVATE): _S.PREPARED,  # held until the reset, which starts the trial
    (_S.PREPARED, _E.ORDER_ROLL_BACK): _S.IDLE,
    (_S.PREPARED, _E.START): _S.TRIAL,
    (_S.TRIAL, _E.FIRST_BOOT): _S.TRIAL,
    (_S.TRIAL, _E.BOOT): _S.IDLE,  # any reset before the vote reverts
    (_S.TRIAL, _E.PASSED): _S.VOTED,
    (_S.TRIAL, _E.FAILED): _S.IDLE,
    (_S.TRIAL, _E.ORDER_ROLL_BACK): _S.IDLE,
    (_S.VOTED, _E.BOOT): _S.VOTED,  # no way back by itself, except by FALL_BACK
    (_S.VOTED, _E.FALL_BACK): _S.IDLE,
    (_S.VOTED, _E.PASSED): _S.VOTED,
    (_S.VOTED, _E.FAILED): _S.VOTED,
    (_S.VOTED, _E.CONFIRM): _S.RELEASED,
    (_S.VOTED, _E.ORDER_COMMIT): _S.COMMITTED,
    (_S.VOTED, _E.ORDER_ROLL_BACK): _S.IDLE,
    (_S.COMMITTED, _E.BOOT): _S.COMMITTED,
    (_S.COMMITTED, _E.FALL_BACK): _S.IDLE,
    (_S.COMMITTED, _E.PASSED): _S.COMMITTED,
    (_S.COMMITTED, _E.FAILED): _S.COMMITTED,
    (_S.COMMITTED, _E.ORDER_RELEASE): _S.RELEASED,
    (_S.COMMITTED, _E.ORDER_ROLL_BACK): _S.IDLE,
    (_S.RELEASED, _E.PREPARE): _S.PREPARED,
    (_S.RELEASED, _E.CANCEL): _S.RELEASED,
    (_S.RELEASED, _E.ERASE): _S.RELEASED,
    (_S.RELEASED, _E.WRITE): _S.RELEASED,
    (_S.RELEASED, _E.BOOT): _S.RELEASED,
}

# Which phase may follow which within one transaction. The same phase again is acknowledged and changes nothing.
PHASES: Final[dict[Phase | None, frozenset[Phase]]] = {
    None: frozenset({Phase.ACTIVATE, Phase.ROLL_BACK}),
    Phase.ACTIVATE: frozenset({Phase.COMMIT, Phase.ROLL_BACK}),
    Phase.COMMIT: frozenset({Phase.RELEASE, Phase.ROLL_BACK}),
    Phase.ROLL_BACK: frozenset(),
    Phase.RELEASE: frozenset(),
}

# How an outcome other than success is reported as a refusal.
BLAMED: Final[dict[Outcome, Check]] = {
    Outcome.SELF_TEST_FAILED: Check.INSTALL_SELF_TEST,
    Outcome.UNBOOTABLE: Check.INSTALL_UNBOOTABLE,
}

ORDERED: Final = {
    Phase.ACTIVATE: _E.ORDER_ACTIVATE,
    Phase.COMMIT: _E.ORDER_COMMIT,
    Phase.ROLL_BACK: _E.ORDER_ROLL_BACK,
    Phase.RELEASE: _E.ORDER_RELEASE,
}
