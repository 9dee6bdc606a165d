"""What becomes of a frame in which something goes wrong: who sees it when, who raises a flag, when the bus is free.

ISO 11898-1:2015, 10.11 (errors), 10.4.4 (error and overload frames). From the first flag on the wire is dominant for
six bits at least, in which everybody else sees an error and raises a flag, too; when the last of these is over, eight
recessive bits delimit, and three more stand between frames. Flags are sent at the nominal rate, also in FD data.

All receivers see the same, but for one at most: the victim of a disturbance at its own end of the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.can_bits import FLAG_BITS, QUIET_BITS, Durations, Written, first_error

_DOMINANT: Final = (0,) * 40  # longer than any node needs to see that a flag is none of the frame's bits
_RECESSIVE: Final = (1,) * 40


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame on the wire of a bus, and who takes part; an `active` node's error flags are dominant."""

    written: Written
    durations: Durations
    sender_active: bool = True
    receivers: bool = True  # whether there are any, besides the victim
    receivers_active: bool = True  # whether any of them is
    victim_active: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the frame: `lasts_ns` from its start until the next may start."""

    lasts_ns: int
    sent: bool  # for its sender
    heard: bool  # by the receivers, but for the victim
    first: bool = False  # whether the receivers' flags (or the victim's) ended before another's: the error was theirs
    missed: bool = False  # by the victim


def unacknowledged(scene: Scene) -> Verdict:
    """Nobody is there to acknowledge: the sender raises a flag after the acknowledge slot."""
    return Verdict(_free(scene, [scene.written.acknowledge]), sent=False, heard=False)


def seen_wrong_by_all(scene: Scene, bit: int) -> Verdict:
    """This bit, of the length code or after it, is the opposite of what was sent, for everybody."""
    written = scene.written
    last = len(written.bits) - 1
    assert written.open <= bit <= last
    seen = written.seen() if scene.receivers else list(written.bits)
    seen[bit] ^= 1
    if bit == last:
        # The sender's frame failed in its last bit; for the receivers it was over, and they raise overload flags.
        return Verdict(_free(scene, [last]), sent=False, heard=scene.receivers)
    if bit == written.acknowledge:
        return Verdict(_free(scene, [bit]), sent=False, heard=False)
    noticed = first_error(written, [*seen[: bit + 1], *(_DOMINANT if scene.sender_active else _RECESSIVE)])
    flags = [bit] if scene.sender_active else []
    if noticed is not None and scene.receivers and scene.receivers_active:
        flags.append(noticed)
    if not flags:
        flags = [bit if noticed is None else noticed]  # six recessive bits of everybody
    return Verdict(_free(scene, flags), sent=False, heard=False)


def seen_wrong_by_one(scene: Scene, bit: int) -> Verdict | None:
    """This bit is wrong at the victim's end of the wire only; None when that does no harm."""
    written = scene.written
    view = written.seen()
    view[bit] ^= 1
    slot = written.acknowledge
    noticed = bit if bit == slot else first_error(written, view)  # a receiver checks its own acknowledgement
    if noticed is None:
        return None
    if not scene.victim_active or (not scene.receivers and bit < slot < noticed):
        return _victim_alone(scene, bit)
    last = len(written.bits) - 1
    sender = next((at for at in range(noticed + 1, last + 1) if written.bits[at] and at != slot), None)
    if sender is None:
        return None
    others = first_error(written, [*written.seen()[: noticed + 1], *_DOMINANT])
    flags = [noticed]
    if scene.sender_active:
        flags.append(sender)
    heard = scene.receivers and others is None
    if scene.receivers and (others is None or scene.receivers_active):
        flags.append(last if others is None else others)  # overload flags are dominant, whoever raises them
    return Verdict(_free(scene, flags), sent=False, heard=heard, first=noticed < max(flags), missed=True)


def _victim_alone(scene: Scene, bit: int) -> Verdict:
    """Nobody sees the victim's error; but without its acknowledgement, the frame may have none."""
    slot = scene.written.acknowledge
    if scene.receivers or bit > slot:
        lasts_ns = scene.durations.of_frame(scene.written.frame)
        return Verdict(lasts_ns, sent=True, heard=scene.receivers, missed=True)
    flags = [slot]
    if scene.victim_active:  # it meant to speak of the CRC a bit later, and meets the sender's flag
        flags.append(slot + 1)
    return Verdict(_free(scene, flags), sent=False, heard=False, missed=True)


def broken_off(scene: Scene, bits: int) -> Verdict:
    """The sender vanishes after so many bits: from there on the wire is recessive."""
    written = scene.written
    if not scene.receivers:
        lasts_ns = written.until(bits, scene.durations) + scene.durations.bits(QUIET_BITS)
        return Verdict(lasts_ns, sent=False, heard=False)
    noticed = first_error(written, [*written.seen()[:bits], *_RECESSIVE]) if bits < written.acknowledge else None
    if noticed is None:
        return Verdict(scene.durations.of_frame(written.frame), sent=False, heard=True)
    return Verdict(_free(scene, [noticed]), sent=False, heard=False)


def collided(scene: Scene, bit: int, *, loser_active: bool) -> Verdict | None:
    """Another frame with the same identifier differs at this bit, where it is recessive; None when the scene's wins."""
    if not loser_active:
        return None
    written = scene.written
    sender = next(at for at in range(bit + 1, len(written.bits)) if written.bits[at] and at != written.acknowledge)
    flags = [bit]
    if scene.sender_active:
        flags.append(sender)
    noticed = first_error(written, [*written.seen()[: bit + 1], *_DOMINANT])
    if noticed is not None and scene.receivers and scene.receivers_active:
        flags.append(noticed)
    return Verdict(_free(scene, flags), sent=False, heard=False)


def _free(scene: Scene, noticed: list[int]) -> int:
    """When the bus is free after flags that begin after these bits."""
    begin = max(scene.written.until(bit + 1, scene.durations) for bit in noticed)
    return begin + scene.durations.bits(FLAG_BITS + QUIET_BITS)
