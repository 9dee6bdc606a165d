"""The operator of a simulated campaign: orders waves at the Director, reads its records, and halts when it must.

What the operator knows is what the Director has on record from signed reports. What it does are the Director's own
acts, each for at most ORDER_MAX vehicles, so that polls are answered in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from director.inventory import Vehicle
from sim.campaign import Campaign, Finish, Halt, Order, Verdict, verdict_of
from sim.clock import NS_PER_S, Clock
from sim.fleet_servers import FleetServers
from uptane.model.ids import Filename, HardwareId, VehicleId

ORDER_MAX: Final = 1_000  # vehicles in one order: the Director answers nobody else while it judges one
LOOK_S: Final = 10  # a console that refreshes itself


class Operator:
    """Leads one campaign: `image` for all ECUs of `hardware`, in `vehicles`, canary first."""

    def __init__(
        self,
        campaign: Campaign,
        vehicles: Sequence[VehicleId],
        servers: FleetServers,
        clock: Clock,
        *,
        image: tuple[HardwareId, Filename],
    ) -> None:
        self.campaign = campaign
        self.ended_s: int | None = None
        self._vehicles = vehicles
        self._places = {vehicle: place for place, vehicle in enumerate(vehicles)}
        self._servers = servers
        self._clock = clock
        self._hardware, self._filename = image

    @property
    def now_s(self) -> int:
        """Seconds since the simulation began."""
        return self._clock.now_ns // NS_PER_S

    def place(self, vehicle: VehicleId) -> int:
        """The place of a vehicle in the campaign."""
        return self._places[vehicle]

    def start(self) -> None:
        """Begin the campaign; from now on the operator looks at it again and again."""
        self.look()
        if self.ended_s is None:
            self._clock.after(LOOK_S * NS_PER_S, self.start)

    def heard(self, vehicle: VehicleId, records: Mapping[VehicleId, Vehicle]) -> Verdict:
        """A manifest of `vehicle` was admitted: what its record proves now."""
        place = self._places.get(vehicle)
        verdict = verdict_of(records[vehicle], self._filename)
        if place is not None:
            self.campaign.heard(place, verdict, self.now_s)
        return verdict

    def look(self) -> None:
        """Do what the campaign asks for now."""
        step = self.campaign.decide(self.now_s)
        match step:
            case None:
                return
            case Order(first=first, last=last):
                self._order(range(first, last), self._filename)
            case Halt():
                self.ended_s = self.now_s
                self._order(self.campaign.places(Verdict.WAITING, Verdict.FAILED), None)
            case Finish():
                self.ended_s = self.now_s
            case _:
                assert_never(step)

    def _order(self, places: Sequence[int], image: Filename | None) -> None:
        for first in range(0, len(places), ORDER_MAX):
            part = places[first : first + ORDER_MAX]
            self._servers.order([self._vehicles[place] for place in part], self._hardware, image)
