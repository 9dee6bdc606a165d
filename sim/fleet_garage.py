"""Where the vehicles of a fleet come from: enrolled and provisioned through the Director's own acts, whole or coarse.

All are of one make: one ECU, the Primary, with two slots. Which of them are whole, on which the new image will not
work, which sleep and which are revoked is drawn here, each from dice of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

from director.inventory import Ecu, Verification
from sim.clock import NS_PER_S, Clock
from sim.dice import stream
from sim.fleet_coarse import CoarseVehicle, Model, seed_of
from sim.fleet_load import Load, Work
from sim.fleet_settings import Settings
from sim.fleet_vehicle import FullVehicle, Health, Road
from sim.founding import EcuPlan, Founded, VehiclePlan, factory_image, factory_octets, image_octets
from sim.image_node import Wish
from uptane.crypto import Ed25519Signer
from uptane.model.ids import EcuId, Filename, HardwareId, VehicleId
from uptane.model.reports import InstalledImage
from uptane.verify import installation as install

HARDWARE: Final = HardwareId("telematics-1")
PRIMARY: Final = EcuId("primary")
NEW: Final = Filename("fleet/telematics-1-2")
NEW_COUNTER: Final = 2
IMAGE_LENGTH: Final = 2_048  # octets: what matters of an image here is that it is one
_HEARD_NS: Final = 61 * NS_PER_S  # the Director hears the Image repository once a minute


class FleetVehicle(Protocol):
    """Any vehicle of a fleet."""

    @property
    def id(self) -> VehicleId:
        """Its name."""
        ...

    @property
    def running(self) -> InstalledImage:
        """What it boots now, in truth."""
        ...

    @property
    def awake(self) -> bool:
        """Whether it is switched on."""
        ...

    def switch_on(self) -> None:
        """Switch it on."""
        ...

    def switch_off(self) -> None:
        """Switch it off."""
        ...


class Draw:
    """What was drawn for each place of the fleet."""

    def __init__(self, settings: Settings) -> None:
        everybody = range(settings.vehicles)

        def some(what: str, count: int) -> list[int]:
            return stream(settings.seed, f"fleet {what}").sample(everybody, count)

        self.full = frozenset(some("full", settings.count(settings.full)))
        self.order = some("order", settings.vehicles)
        absent = some("absent", settings.count(settings.asleep) + settings.count(settings.revoked))
        self.asleep = sorted(absent[: settings.count(settings.asleep)])
        self.revoked = sorted(absent[settings.count(settings.asleep) :])
        self.bad = frozenset(some("bad", settings.count(settings.bad)))
        self._new = sha256(new_octets()).digest()

    def health(self, place: int, image: bytes) -> Health:
        """What an image, by its SHA-256, does on a vehicle: half of what does not work does not even say so."""
        if place not in self.bad or image != self._new:
            return Health.GOOD
        return Health.HANGS if place % 2 else Health.FAILS


def plan_of(place: int) -> VehiclePlan:
    """The vehicle of that number."""
    primary = EcuPlan(PRIMARY, HARDWARE, full=True, bus="", address=0, factory_length=IMAGE_LENGTH)
    return VehiclePlan(VehicleId(f"F{place:07}"), primary)


def new_octets() -> bytes:
    """The octets of the image of the campaign."""
    return image_octets(NEW, NEW_COUNTER, IMAGE_LENGTH)


def publish_new(founded: Founded) -> None:
    """The image of the campaign is vouched for by the Image repository."""
    founded.image.publish({NEW: Wish(new_octets(), HARDWARE, NEW_COUNTER)})


class Garage:
    """Makes the vehicles of one fleet."""

    def __init__(self, founded: Founded, road: Road, load: Load, jitter: Callable[[int], int]) -> None:
        self._founded = founded
        self._road = road
        self._load = load
        self._jitter = jitter
        self._model: Model | None = None
        self._described = _described(plan_of(0).primary)

    def make(self, places: int, full: frozenset[int]) -> Iterator[FleetVehicle]:
        """One vehicle after the other, enrolled and switched off."""
        plan = plan_of(0)
        self._founded.publish_factory_images([plan])
        for place in range(places):
            began = self._load.stopwatch()
            yield self._full(place) if place in full else self._coarse(place)
            self._load.took(Work.ENROL, began)
            if not place:
                pass_time(self._founded.clock, _HEARD_NS)

    def _full(self, place: int) -> FleetVehicle:
        founded, plan = self._founded, plan_of(place)
        founded.enrol(plan)
        means = founded.means(plan.vehicle, self._jitter)
        records = founded.primary_records(plan.vehicle)
        return FullVehicle(place, means, self._road, records=records, image=factory_octets(plan.primary))

    def _coarse(self, place: int) -> FleetVehicle:
        director, plan = self._founded.director, plan_of(place)
        seed = seed_of(f"{plan.vehicle}/{plan.primary.ecu} 1")
        director.enrol(plan.vehicle, [self._described])
        director.provision(plan.vehicle, {plan.primary.ecu: Ed25519Signer.from_seed(seed).public})
        if self._model is None or self._model.floor != self._founded.clock.utc:
            self._model = self._modelled(plan.primary)
        return CoarseVehicle(place, plan.vehicle, seed, self._model)

    def _modelled(self, primary: EcuPlan) -> Model:
        return Model(
            road=self._road,
            ecu=primary.ecu,
            hardware=primary.hardware,
            factory=install.factory(factory_image(primary)),
            root=self._founded.director.fleet.root,
            floor=self._founded.clock.utc,
            jitter=self._jitter,
        )


def _described(plan: EcuPlan) -> Ecu:
    return Ecu(
        id=plan.ecu,
        hardware=plan.hardware,
        primary=True,
        verification=Verification.FULL,
        bus=plan.bus,
        address=plan.address,
        filename="**",
        slot_size=plan.slot_size,
        key=None,
        factory=factory_image(plan),
    )


def pass_time(clock: Clock, duration_ns: int) -> None:
    """Let everything happen that happens within this time."""
    end_ns = clock.now_ns + duration_ns
    arrived: list[bool] = []
    clock.at(end_ns, partial(arrived.append, True))
    while not arrived:
        clock.step()
