"""The two shapes of a core, and no third (docs/adr/0003).

A Machine takes an event and answers with effects; it never blocks and never asks the time.
A Workflow is a generator that yields what it needs and is sent the answer; it reads top to bottom
where the Standard numbers the steps, and holds nothing that must survive a power cut.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from uptane.moments import Instant

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
NeedT = TypeVar("NeedT")
ResultT = TypeVar("ResultT")

# The answer's type depends on the need, which Python's typing cannot say: each need documents its answer.
Workflow: TypeAlias = Generator[NeedT, Any, ResultT]


class Machine(Protocol[In_contra, Out_co]):
    """Events in, effects out."""

    def handle(self, event: In_contra, now: Instant) -> Sequence[Out_co]:
        """Take one event at `now`; return the effects in the order they are to be carried out."""
        ...

    def deadline(self) -> Instant | None:
        """When this machine wants to be woken by a tick; None when it waits for events only."""
        ...
