"""Power cuts: armed by the plan, blown by the effects that nodes carry out, and counted by what they hit.

Two cuts are the same only if they hit the same effect in the same durable state of the ECU: an update has a few hundred
such moments, and a soak is worth as many as it has hit, not as many cuts as it made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from primary import state as primary_state
from primary.journal import load as load_journal
from primary.needs import EraseBlob, Forget, Perform, Restart, Save, WriteBlob
from secondary.needs import Delete, EraseSlot, PowerCycle, Store, SyncSlot, WriteSlot
from secondary.state import INSTALLATION
from sim.node import Node, brief
from sim.power import PowerLost
from sim.primary_node import PrimaryNode
from sim.secondary_node import SecondaryNode
from uptane.errors import StorageFailure
from uptane.verify import record

_DURABLE: Final = (Store, Delete, EraseSlot, WriteSlot, SyncSlot, PowerCycle)
_DURABLE_NEEDS: Final = (Save, Forget, WriteBlob, EraseBlob, Restart)


def is_durable(effect: object) -> bool:
    """Whether an effect changes what outlives the power, or ends a life."""
    return isinstance(effect.need if isinstance(effect, Perform) else effect, (*_DURABLE, *_DURABLE_NEEDS))


@dataclass
class Fuse:
    """Blows at the `left`-th effect from now, 0 for the next; then `blown` is told of it."""

    left: int
    any_effect: bool
    during: bool
    blown: Callable[[], None]


class Fuses:
    """Every armed cut, by node; and every cut that was made."""

    def __init__(self) -> None:
        self._armed: dict[str, list[Fuse]] = {}
        self.cuts = 0
        self.distinct: set[str] = set()

    def arm(self, node: str, fuse: Fuse) -> None:
        """Cut the power of `node` as the fuse says."""
        self._armed.setdefault(node, []).append(fuse)

    def disarm(self) -> None:
        """No more cuts."""
        self._armed.clear()

    def before(self, node: Node, effect: object) -> None:
        """An effect is about to be carried out.

        Raises:
            PowerLost: a fuse blows.
        """
        armed = self._armed.get(node.name)
        if not armed:
            return
        durable = is_durable(effect)
        for fuse in armed:
            if not (durable or fuse.any_effect):
                continue
            if fuse.left:
                fuse.left -= 1
                continue
            armed.remove(fuse)
            self.count(node, effect)
            fuse.blown()
            raise PowerLost(during=fuse.during and durable)

    def count(self, node: Node, effect: object) -> None:
        """A cut hits `node` at `effect`."""
        self.cuts += 1
        self.distinct.add(f"{_named(effect)} / {_state(node)}")


def _named(effect: object) -> str:
    need = effect.need if isinstance(effect, Perform) else effect
    name = str(getattr(need, "name", "")).partition("/")[0]
    return f"{brief(need)} {name}".rstrip()


def _state(node: Node) -> str:
    """The durable state of an ECU, as far as it matters for an update."""
    try:
        match node:
            case SecondaryNode():
                octets = node.records.peek(INSTALLATION)
                return "secondary " + ("factory" if octets is None else record.load(octets).state.name)
            case PrimaryNode():
                own = node.records.peek(primary_state.INSTALLED)
                state = "factory" if own is None else record.load(own).state.name
                return f"primary {state} {_transaction(node.records.peek(primary_state.TRANSACTION))}"
            case _:
                return "server"
    except StorageFailure:
        return "damaged"


def _transaction(octets: bytes | None) -> str:
    if octets is None:
        return "no transaction"
    journal = load_journal(octets).journal
    return "no transaction" if journal is None else journal.stage.value
