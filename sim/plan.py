"""What a seed means: which vehicles, which faults, what operators do. Drawn once; from then on it is data.

Every seed draws first which kinds of fault there are at all and how many of each (a swarm): a run in which everything
fails at once finds other bugs than one in which only the power does. Faults and acts are numbered, so that a run can
leave some out, and a failing plan can be made shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Final, Self

from sim.dice import stream
from sim.founding import EcuPlan, VehiclePlan
from uptane.model.ids import EcuId, HardwareId, VehicleId

SEED_MAX: Final = 2**63 - 1

FULL, PARTIAL, FIRMWARE = "full", "partial", "firmware"
KINDS: Final = (FULL, PARTIAL, FIRMWARE)
"""How a Secondary verifies; FIRMWARE: partially, and its core is the C core."""


class _Kind(StrEnum):
    """A word that is a str like any other, and says to people what it means."""

    text: str

    def __new__(cls, word: str, text: str) -> Self:
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.text = text
        return kind


class Fault(_Kind):
    """A kind of fault; `text` says what `where`, `for_ms`, `count` and `amount` mean to it."""

    CUT = "cut", "a node, off for_ms: its power fails at its count-th durable effect; amount 1: in its middle"
    FLICKER = "flicker", "a node, off for_ms: its power fails at its count-th effect of any kind"
    BLACKOUT = "blackout", "a node, off for_ms: at its count-th durable effect the whole vehicle loses power"
    UNPLUG = "unplug", "an ECU is not there for_ms"
    FULL = "full", "a node's storage takes nothing for_ms"
    ROT = "rot", "a node: its next cut damages the newest copy of a record; amount 1: every copy"
    WORN = "worn", "a Secondary: erasing one of its slots fails, until a workshop exchanges it"
    MOVING = "moving", "a vehicle moves for_ms: nothing may be programmed or activated"
    UNWELL = "unwell", "an ECU: whatever is new there fails its self-test for_ms; amount 1: it does not come up"
    PARTITION = "partition", "a vehicle does not reach a server for_ms"
    LOSSY = "lossy", "a vehicle's calls are lost, amount of a hundred, for_ms"
    GARBLED = "garbled", "a vehicle's answers are cut short, amount of a hundred, for_ms"
    SLOW = "slow", "a vehicle's calls take amount ms more, for_ms, and overtake each other"
    TWICE = "twice", "a vehicle's calls are made twice, amount of a hundred, for_ms"
    DEAF = "deaf", "a bus: receivers miss amount of 10,000 frames for_ms"
    NOISE = "noise", "a bus: amount of 10,000 frames are destroyed and sent again, for_ms"
    ECHO = "echo", "a bus: amount of 10,000 frames are heard twice, for_ms"
    BABBLE = "babble", "a bus: somebody sends nothing but its highest priority for_ms"
    BUS_OFF = "bus-off", "a Secondary's error counter is at its limit, and frames are destroyed for_ms: it leaves"
    INTRUDER = "intruder", "somebody without keys on a bus for_ms: replays, asks as a tester, answers for others"
    PROXY = "proxy", "somebody without keys between vehicles and servers, for_ms: gives old and foreign answers"
    CRASH = "crash", "a server dies at one of its next durable effects, and is away for_ms"
    SKEW = "skew", "a server's clock is wrong by amount seconds for_ms"


class Act(_Kind):
    """What an operator or a workshop does."""

    ASSIGN = "assign", "a vehicle: every ECU gets its next image; with amount, a bit mask of them"
    REVERT = "revert", "a vehicle: the images before the latest are signed again, with higher counters, and assigned"
    RESIZE = "resize", "a vehicle: as assign, with images of amount octets"
    REVOKE = "revoke", "a vehicle: its certificate holds no more; it comes back at the end"
    WITHDRAW = "withdraw", "a vehicle: the images last assigned to it are taken out of the Image repository"
    EXCHANGE = "exchange", "an ECU: a workshop puts in another one, with a factory image and a new key"
    ROTATE_DIRECTOR = "rotate-director", "a new Director Root names new online keys"
    ROTATE_TIME = "rotate-time", "a new Director Root names another time key"
    ROTATE_IMAGE = "rotate-image", "a new Image Root names new online keys"
    ROTATE_SUPPLIER = "rotate-supplier", "the Image Targets delegate to another key of the supplier"
    RENEW = "renew", "every Root is signed again with a later expiry"
    SLEEP = "sleep", "all vehicles are parked without power for amount days"


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault or act, `at_ms` after the beginning; `where` is a node, a vehicle, a bus or a server."""

    number: int
    at_ms: int
    kind: Fault | Act
    where: str
    for_ms: int = 0
    count: int = 0
    amount: int = 0

    def __str__(self) -> str:
        """For people: number, time, what, where, and what is not 0."""
        rest = {"for": f"{self.for_ms} ms" * bool(self.for_ms), "count": self.count, "amount": self.amount}
        named = "".join(f" {name} {value}" for name, value in rest.items() if value)
        return f"#{self.number} {self.at_ms / 1_000:.3f} s {self.kind.value} {self.where}{named}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run. `image_length` is that of first images; `calm_ms` is when faults stop."""

    seed: int
    vehicles: tuple[VehiclePlan, ...]
    image_length: int
    faults: tuple[Planned, ...]
    acts: tuple[Planned, ...]
    calm_ms: int


@dataclass(frozen=True, slots=True)
class Manner:
    """How plans are drawn: what a soak, a test or a person asks for. Lengths of images in octets, both included.

    `firmware`: some of the Secondaries that verify partially run the C core; all else is as without.
    """

    vehicles_max: int = 2
    secondaries_max: int = 3
    updates_max: int = 3
    faults_max: int = 24
    image_length_max: int = 3_000
    only_power: bool = False
    firmware: bool = False


EVERYTHING: Final = Manner()
CUTS: Final = Manner(vehicles_max=1, updates_max=4, faults_max=60, image_length_max=512, only_power=True)
"""Nothing but power cuts, many of them, and images that one block holds."""
STORM: Final = replace(CUTS, faults_max=500)
"""So many cuts that most of them hit a recovery from another."""
_PYTHON: Final = {"everything": EVERYTHING, "cuts": CUTS, "storm": STORM}
MANNERS: Final = _PYTHON | {
    "firmware": replace(EVERYTHING, firmware=True),
    "firmware-cuts": replace(CUTS, firmware=True),
    "firmware-storm": replace(STORM, firmware=True),
}

_NAMES: Final = ("brake", "body", "camera", "door", "seat", "light")
_SERVERS: Final = ("director", "image", "time")
_ACT_EVERY_MS: Final = 25_000  # about what an update of small images takes


def draw(seed: int, manner: Manner = EVERYTHING) -> Plan:
    """The plan of a seed, 0 to SEED_MAX."""
    assert 0 <= seed <= SEED_MAX
    dice = stream(seed, "plan")
    vehicles = tuple(_vehicle(dice, number, manner) for number in range(1, 1 + dice.randint(1, manner.vehicles_max)))
    if manner.firmware:
        cores = stream(seed, "cores")
        vehicles = tuple(_with_firmware(cores, vehicle) for vehicle in vehicles)
    updates = dice.randint(1, manner.updates_max)
    calm_ms = updates * _ACT_EVERY_MS + dice.randint(10_000, 60_000)
    acts = _acts(dice, vehicles, updates, manner)
    faults = _faults(dice, vehicles, calm_ms, manner)
    planned = [Planned(number, *each) for number, each in enumerate((*acts, *faults), 1)]
    length = dice.choice((64, 512, 1_500, manner.image_length_max))
    return Plan(
        seed=seed,
        vehicles=vehicles,
        image_length=min(length, manner.image_length_max),
        acts=tuple(planned[: len(acts)]),
        faults=tuple(planned[len(acts) :]),
        calm_ms=calm_ms,
    )


def _vehicle(dice: Random, number: int, manner: Manner) -> VehiclePlan:
    count = 0 if dice.random() < 0.05 else dice.randint(1, manner.secondaries_max)
    names = dice.sample(_NAMES, count)
    drawn = [(name, dice.random() < 0.35, dice.choice(("classic", "fast"))) for name in names]
    return vehicle_of(number, [(name, FULL if full else PARTIAL, bus) for name, full, bus in drawn])


def _with_firmware(dice: Random, vehicle: VehiclePlan) -> VehiclePlan:
    """Two of three Secondaries that verify partially run the C core; of their own dice, so that all else stays."""
    ecus = tuple(replace(each, firmware=not each.full and dice.random() < 0.67) for each in vehicle.secondaries)
    return replace(vehicle, secondaries=ecus)


def vehicle_of(number: int, secondaries: Sequence[tuple[str, str, str]]) -> VehiclePlan:
    """The vehicle of that number; its Secondaries by name, kind (KINDS) and bus."""
    ecus = tuple(
        EcuPlan(
            EcuId(f"{name}-{number}"),
            HardwareId(f"{name}-hw"),
            full=kind == FULL,
            bus=bus,
            address=0x21 + place,
            firmware=kind == FIRMWARE,
        )
        for place, (name, kind, bus) in enumerate(secondaries)
    )
    head = EcuPlan(EcuId(f"head-{number}"), HardwareId("head-hw"), full=True, bus="", address=0)
    return VehiclePlan(VehicleId(f"vehicle-{number}"), head, ecus)


def node_name(vehicle: VehiclePlan, ecu: EcuId) -> str:
    """How a trace calls an ECU: `v1.brake`; the Primary is `v1.primary`."""
    number = vehicle.vehicle.rpartition("-")[2]
    return f"v{number}.primary" if ecu == vehicle.primary.ecu else f"v{number}.{ecu.rpartition('-')[0]}"


def short(vehicle: VehiclePlan) -> str:
    """How a trace calls a vehicle: `v1`."""
    return f"v{vehicle.vehicle.rpartition('-')[2]}"


# ---------------------------------------------------------------------------------------------------------- acts

_Drawn = tuple[int, Fault | Act, str, int, int, int]


def _acts(dice: Random, vehicles: Sequence[VehiclePlan], updates: int, manner: Manner) -> list[_Drawn]:
    acts: list[_Drawn] = []
    for update in range(updates):
        for vehicle in vehicles:
            at_ms = 2_000 + update * _ACT_EVERY_MS + dice.randint(0, 8_000)
            kind = dice.choices((Act.ASSIGN, Act.RESIZE, Act.REVERT), (8, 2, 1))[0]
            amount = dice.randint(1, manner.image_length_max) if kind is Act.RESIZE else dice.choice((0, 0, 0, 1, 2, 3))
            acts.append((at_ms, kind, short(vehicle), 0, 0, amount))
    if manner.only_power:
        return acts
    end_ms = updates * _ACT_EVERY_MS
    seldom = (Act.ROTATE_DIRECTOR, Act.ROTATE_TIME, Act.ROTATE_IMAGE, Act.ROTATE_SUPPLIER, Act.RENEW)
    drawn = [kind for kind in seldom if dice.random() < 0.12]
    acts += [(dice.randint(0, end_ms), kind, "director", 0, 0, 0) for kind in drawn]
    for kind, chance in ((Act.REVOKE, 0.05), (Act.WITHDRAW, 0.08), (Act.SLEEP, 0.15)):
        if dice.random() < chance:
            vehicle = dice.choice(vehicles)
            days = dice.choice((1, 2, 30, 400)) if kind is Act.SLEEP else 0
            acts.append((dice.randint(0, end_ms), kind, short(vehicle), 0, 0, days))
    if dice.random() < 0.08 and (larger := [vehicle for vehicle in vehicles if vehicle.secondaries]):
        vehicle = dice.choice(larger)
        ecu = dice.choice(vehicle.secondaries).ecu
        acts.append((dice.randint(0, end_ms), Act.EXCHANGE, node_name(vehicle, ecu), 0, 0, 0))
    return sorted(acts, key=lambda act: act[0])


# -------------------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True, slots=True)
class _Places:
    """Where faults can happen."""

    nodes: tuple[str, ...]
    secondaries: tuple[str, ...]
    vehicles: tuple[str, ...]
    buses: tuple[str, ...]


def _places(vehicles: Sequence[VehiclePlan]) -> _Places:
    secondaries = [node_name(each, ecu.ecu) for each in vehicles for ecu in each.secondaries]
    primaries = [node_name(each, each.primary.ecu) for each in vehicles]
    buses = dict.fromkeys(f"{short(each)}.bus.{ecu.bus}" for each in vehicles for ecu in each.secondaries)
    return _Places(
        (*primaries, *secondaries), tuple(secondaries), tuple(short(each) for each in vehicles), tuple(buses)
    )


def _faults(dice: Random, vehicles: Sequence[VehiclePlan], calm_ms: int, manner: Manner) -> list[_Drawn]:
    places = _places(vehicles)
    power = (Fault.CUT, Fault.FLICKER, Fault.BLACKOUT)
    swarm = [kind for kind in Fault if dice.random() < (0.8 if kind in power else 0.25)]
    if manner.only_power:
        swarm = list(power)
    if not places.secondaries:
        swarm = [kind for kind in swarm if kind not in _OF_BUSES]
    weights = [6 if kind in power else 1 for kind in swarm]
    count = dice.randint(0, manner.faults_max) if swarm else 0
    kinds = dice.choices(swarm, weights, k=count) if count else []
    drawn = [_DRAWS[kind](dice, places, dice.randint(0, calm_ms - 1)) for kind in kinds]
    return sorted(drawn, key=lambda each: each[0])


_OF_BUSES: Final = frozenset(
    {
        *(Fault.UNPLUG, Fault.WORN, Fault.DEAF, Fault.NOISE, Fault.ECHO, Fault.BABBLE, Fault.BUS_OFF, Fault.INTRUDER),
    }
)
"""Faults that need a bus, and an ECU on it."""

_Draw = Callable[[Random, _Places, int], _Drawn]


def _power(kind: Fault, count_max: int) -> _Draw:
    def draw_one(dice: Random, places: _Places, at_ms: int) -> _Drawn:
        off_ms = dice.choice((0, 20, 300, 2_000, 9_000))
        return (at_ms, kind, dice.choice(places.nodes), off_ms, dice.randint(0, count_max), dice.randint(0, 1))

    return draw_one


def _window(
    kind: Fault, where: Callable[[Random, _Places], str], for_ms: tuple[int, int], amounts: Sequence[int] = (0,)
) -> _Draw:
    def draw_one(dice: Random, places: _Places, at_ms: int) -> _Drawn:
        return (at_ms, kind, where(dice, places), dice.randint(*for_ms), dice.randint(0, 3), dice.choice(amounts))

    return draw_one


def _node(dice: Random, places: _Places) -> str:
    return dice.choice(places.nodes)


def _secondary(dice: Random, places: _Places) -> str:
    return dice.choice(places.secondaries)


def _car(dice: Random, places: _Places) -> str:
    return dice.choice(places.vehicles)


def _bus(dice: Random, places: _Places) -> str:
    return dice.choice(places.buses)


def _server(dice: Random, _places: _Places) -> str:
    return dice.choice(_SERVERS)


def _way(dice: Random, places: _Places) -> str:
    return f"{dice.choice(places.vehicles)}/{dice.choice(_SERVERS)}"


_DRAWS: Final[dict[Fault, _Draw]] = {
    Fault.CUT: _power(Fault.CUT, 12),
    Fault.FLICKER: _power(Fault.FLICKER, 60),
    Fault.BLACKOUT: _power(Fault.BLACKOUT, 12),
    Fault.UNPLUG: _window(Fault.UNPLUG, _secondary, (500, 30_000)),
    Fault.FULL: _window(Fault.FULL, _node, (500, 20_000)),
    Fault.ROT: _window(Fault.ROT, _node, (0, 0), (0, 0, 0, 1)),
    Fault.WORN: _window(Fault.WORN, _secondary, (0, 0)),
    Fault.MOVING: _window(Fault.MOVING, _car, (500, 20_000)),
    Fault.UNWELL: _window(Fault.UNWELL, _node, (2_000, 40_000), (0, 1)),
    Fault.PARTITION: _window(Fault.PARTITION, _way, (500, 30_000)),
    Fault.LOSSY: _window(Fault.LOSSY, _car, (2_000, 30_000), (5, 30, 80)),
    Fault.GARBLED: _window(Fault.GARBLED, _car, (2_000, 30_000), (5, 30, 80)),
    Fault.SLOW: _window(Fault.SLOW, _car, (2_000, 30_000), (200, 3_000, 15_000)),
    Fault.TWICE: _window(Fault.TWICE, _car, (2_000, 30_000), (20, 100)),
    Fault.DEAF: _window(Fault.DEAF, _bus, (500, 20_000), (10, 100, 2_000)),
    Fault.NOISE: _window(Fault.NOISE, _bus, (500, 20_000), (10, 100, 2_000)),
    Fault.ECHO: _window(Fault.ECHO, _bus, (500, 20_000), (10, 500)),
    Fault.BABBLE: _window(Fault.BABBLE, _bus, (50, 4_000)),
    Fault.BUS_OFF: _window(Fault.BUS_OFF, _secondary, (100, 2_000)),
    Fault.INTRUDER: _window(Fault.INTRUDER, _bus, (500, 20_000)),
    Fault.PROXY: _window(Fault.PROXY, _car, (2_000, 30_000)),
    Fault.CRASH: _window(Fault.CRASH, _server, (0, 20_000)),
    Fault.SKEW: _window(Fault.SKEW, _server, (2_000, 40_000), (-90_000, -4_000, -30, 30, 4_000, 90_000, 400 * 86_400)),
}
