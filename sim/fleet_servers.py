"""The three servers as a fleet meets them: they can be down, they can be full, and everything they do is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from director.audit import Linked
from primary.needs import Attest, FetchBlock, FetchMetadata, Poll, Polled, Reason, Unreachable
from sim.clock import NS_PER_S
from sim.fleet_load import Load, Work
from sim.founding import Founded
from sim.signatures import CODEC
from uptane.model.ids import Filename, HardwareId, VehicleId
from uptane.model.limits import SNAPSHOT_LENGTH_MAX

_WORK: Final = {
    (False, False): Work.IDLE,
    (True, False): Work.MANIFEST,
    (False, True): Work.ISSUE,
    (True, True): Work.BOTH,
}


class Tail(list[Linked]):
    """An audit log that forgets all but its end: a hundred thousand vehicles write a million entries."""

    def append(self, entry: Linked, /) -> None:
        """Keep this entry alone; its number still counts them all."""
        self[:] = [entry]


@dataclass(frozen=True, slots=True)
class Terms:
    """How servers and vehicles meet.

    `spread`: the Director gives every vehicle its place within the interval; if not, it is not asked. `capacity` is how
    many polls a second the Director takes, 0 for any number; what is over is turned away as a proxy would.
    """

    spread: bool = True
    capacity: int = 0


class FleetServers:
    """See the module. `heard` is told of every vehicle whose manifest was admitted, once the record has changed."""

    def __init__(self, founded: Founded, load: Load, terms: Terms, heard: Callable[[VehicleId], None]) -> None:
        self.down = False
        self.served: set[VehicleId] = set()
        """Whose polls were answered, since somebody cleared this."""
        self._founded = founded
        self._load = load
        self._terms = terms
        self._heard = heard
        self._admitted = False
        self._issued: Mapping[str, bytes] = {}
        founded.director.listeners.on_admitted = self._on_admitted
        founded.director.listeners.on_issue = self._on_issue

    def meet(self, vehicle: VehicleId, need: object) -> object:
        """Answer a need.

        Raises:
            Unreachable: down, full, or the vehicle is revoked.
        """
        match need:
            case Poll():
                return self._poll(vehicle, need)
            case Attest(nonces=nonces):
                self._check_up("time")
                self._load.attestations += len(nonces)
                return self._founded.time.attest(nonces)
            case FetchMetadata(name=name, length_max=length_max):
                self._check_up("image")
                return self._founded.image.metadata(name, length_max)
            case FetchBlock(sha256=digest, offset=offset):
                self._check_up("image")
                block = self._founded.image.block(digest, offset)
                self._load.image_octets += len(block or b"")
                return block
            case _:
                raise AssertionError(need)

    # -------------------------------------------------------------------------------------------------------- polls

    def _poll(self, vehicle: VehicleId, need: Poll) -> Polled:
        load, second = self._load, self._founded.clock.now_ns // NS_PER_S
        load.arrived[second] += 1
        try:
            self._check_up("director")
            if self._terms.capacity and load.arrived[second] - load.turned_away[second] > self._terms.capacity:
                raise Unreachable("director", Reason.DOWN, "more polls than it takes")
            polled = self._answered(vehicle, need)
        except Unreachable:
            load.turned_away[second] += 1
            raise
        load.octets_in += len(need.manifest)
        load.octets_out += sum(len(octets) for octets in polled.files.values())
        self.served.add(vehicle)
        return polled if self._terms.spread else replace(polled, poll_again_s=0)

    def _answered(self, vehicle: VehicleId, need: Poll) -> Polled:
        load, director = self._load, self._founded.director
        began, catalogue = load.stopwatch(), director.fleet.catalogue
        director.listen()
        if director.fleet.catalogue is not catalogue:
            load.took(Work.HEAR, began)
        self._admitted, self._issued = False, {}
        began = load.stopwatch()
        polled = director.poll(vehicle, need)
        load.took(_WORK[self._admitted, bool(self._issued)], began)
        self._count_signatures()
        if self._admitted:
            self._heard(vehicle)
        return polled

    def _check_up(self, server: str) -> None:
        if self.down:
            raise Unreachable(server, Reason.DOWN)

    def _on_admitted(self, _vehicle: VehicleId, _digest: bytes) -> None:
        self._admitted = True

    def _on_issue(self, _vehicle: VehicleId, files: Mapping[str, bytes]) -> None:
        self._issued = files

    def _count_signatures(self) -> None:
        for octets in self._issued.values():
            self._load.signatures += len(CODEC.open(octets, SNAPSHOT_LENGTH_MAX).signatures)

    # ---------------------------------------------------------------------------------------------------- operators

    def order(self, vehicles: Iterable[VehicleId], hardware: HardwareId, image: Filename | None) -> None:
        """An operator orders an image for the ECUs of some hardware; None takes the order back.

        Raises:
            Declined: one of them cannot take it.
        """
        meant = list(vehicles)
        began = self._load.stopwatch()
        self._founded.director.assign(meant, {}, {hardware: image})
        self._load.took(Work.ORDER, began, len(meant))
