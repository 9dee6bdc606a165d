"""What goes into the UDS server and what comes out: events, tasks for the ECU, effects; and the interlock's word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from uptane.errors import Check
from uptane.link.uds_objects import CheckOption, Place
from uptane.link.uds_values import Nrc, Session


class Interlock(Enum):
    """Whether the vehicle is in a state in which its ECU may be reprogrammed."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    MOVING = "moving"


# -------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Asked:
    """A request from `peer`, to this ECU or to the group."""

    peer: int
    octets: bytes
    functional: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The ECU's answer to the latest `Do`: done, or refused with a code."""

    nrc: Nrc | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


# ------------------------------------------------------------------------------------------------- tasks, effects


@dataclass(frozen=True, slots=True)
class BeginObject:
    """Take `size` octets (1 to its limit) of an object into RAM, in place of what it held."""

    place: Place
    size: int


@dataclass(frozen=True, slots=True)
class BeginImage:
    """Take `size` octets of the image from `offset` on."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """The next octets of what was begun."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class EndTransfer:
    """All octets of what was begun have come."""


@dataclass(frozen=True, slots=True)
class Erase:
    """Erase the other slot."""


@dataclass(frozen=True, slots=True)
class Verify:
    """Check what was delivered."""

    option: CheckOption


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Does anything hinder activation?"""


@dataclass(frozen=True, slots=True)
class PrepareRestart:
    """A restart was asked for, and activation if it is due; done means ready to restart."""


Task: TypeAlias = BeginObject | BeginImage | WriteBlock | EndTransfer | Erase | Verify | Dependencies | PrepareRestart


@dataclass(frozen=True, slots=True)
class Reply:
    """Send `octets` to `peer`."""

    peer: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Do:
    """Carry out a task, then answer; none other is given before."""

    task: Task


@dataclass(frozen=True, slots=True)
class Opened:
    """`peer` has opened `session`; default means that a session has ended. A transfer under way is over."""

    session: Session
    peer: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Whether the ECU's normal messages flow (`messages`), and whether it records faults (`faults`)."""

    messages: bool
    faults: bool


NORMAL: Final = Traffic(messages=True, faults=True)


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart now; the answer has been given."""


@dataclass(frozen=True, slots=True)
class Misused:
    """A request was refused because of `check`, to be counted."""

    check: Check


Event: TypeAlias = Asked | Answer | Tick
Effect: TypeAlias = Reply | Do | Opened | Traffic | Restart | Misused
