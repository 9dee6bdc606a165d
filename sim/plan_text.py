"""A plan as text: what a seed meant when it failed, so that it means the same when plans are drawn in other ways.

    plan 1 seed 17 image 512 calm 95475
    vehicle 1 head brake:partial:classic seat:full:fast door:firmware:fast
    5 3427 blackout v1.brake 20 1 0

One line for each fault or act: number, milliseconds, kind, where, for how many milliseconds, count, amount.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sim.founding import EcuPlan, VehiclePlan
from sim.plan import FIRMWARE, FULL, PARTIAL, Act, Fault, Plan, Planned, vehicle_of
from uptane.errors import Malformed

FORMAT: Final = 1
LINES_MAX: Final = 1_000  # a plan has some dozens

_HEAD = re.compile(r"plan (\d{1,3}) seed (\d{1,19}) image (\d{1,6}) calm (\d{1,9})", re.ASCII)
_VEHICLE = re.compile(r"vehicle (\d) head((?: [a-z]{1,16}:(?:full|partial|firmware):(?:classic|fast)){0,9})", re.ASCII)
_PLANNED = re.compile(
    r"(\d{1,6}) (\d{1,9}) ([a-z-]{1,20}) ([a-z0-9./-]{1,40}) (\d{1,9}) (\d{1,6}) (-?\d{1,9})", re.ASCII
)

_KINDS: Final[dict[str, Fault | Act]] = {kind.value: kind for kinds in (Fault, Act) for kind in kinds}


def dump(plan: Plan, *, only: Iterable[int] | None = None) -> str:
    """The text of `plan`; of its faults and acts `only` those of these numbers, if any are given."""
    kept = None if only is None else set(only)
    lines = [f"plan {FORMAT} seed {plan.seed} image {plan.image_length} calm {plan.calm_ms}"]
    lines += [_vehicle_line(vehicle) for vehicle in plan.vehicles]
    lines += [
        f"{each.number} {each.at_ms} {each.kind.value} {each.where} {each.for_ms} {each.count} {each.amount}"
        for each in sorted((*plan.acts, *plan.faults), key=lambda each: each.number)
        if kept is None or each.number in kept
    ]
    return "\n".join(lines) + "\n"


def _vehicle_line(vehicle: VehiclePlan) -> str:
    number = vehicle.vehicle.rpartition("-")[2]
    ecus = (f" {each.ecu.rpartition('-')[0]}:{_kind(each)}:{each.bus}" for each in vehicle.secondaries)
    return f"vehicle {number} head{''.join(ecus)}"


def load(text: str) -> Plan:
    """The plan that `text` says.

    Raises:
        Malformed: it is none; the message names the line.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    head = _HEAD.fullmatch(lines[0]) if 0 < len(lines) <= LINES_MAX else None
    if head is None or int(head[1]) != FORMAT:
        raise Malformed(f"a plan of format {FORMAT} begins with `plan {FORMAT} seed N image OCTETS calm MS`")
    vehicles: list[VehiclePlan] = []
    planned: list[Planned] = []
    for number, line in enumerate(lines[1:], 2):
        vehicle, each = _VEHICLE.fullmatch(line), _PLANNED.fullmatch(line)
        if vehicle is not None and int(vehicle[1]) == len(vehicles) + 1:
            vehicles.append(vehicle_of(len(vehicles) + 1, [_ecu(word) for word in vehicle[2].split()]))
        elif each is not None and each[3] in _KINDS:
            kind = _KINDS[each[3]]
            planned.append(Planned(int(each[1]), int(each[2]), kind, each[4], int(each[5]), int(each[6]), int(each[7])))
        else:
            raise Malformed(f"line {number} of the plan is neither a vehicle nor a fault nor an act: {line[:60]!r}")
    return Plan(
        seed=int(head[2]),
        vehicles=tuple(vehicles),
        image_length=int(head[3]),
        faults=tuple(each for each in planned if isinstance(each.kind, Fault)),
        acts=tuple(each for each in planned if isinstance(each.kind, Act)),
        calm_ms=int(head[4]),
    )


def _kind(ecu: EcuPlan) -> str:
    if ecu.full:
        return FULL
    return FIRMWARE if ecu.firmware else PARTIAL


def _ecu(word: str) -> tuple[str, str, str]:
    name, kind, bus = word.split(":")
    return name, kind, bus
