"""What happens in the demo, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo import world as setting
from demo.attacks import Attack, Scene, When
from demo.board import Emulated
from demo.display import Bars, Follow, bars, say
from demo.images import BRAKE, ECUS, EcuOfDemo
from demo.monitor import Monitor
from demo.processes import DemoFailure
from uptane.errors import BY_CODE

BASELINE_SECONDS_MAX = 120.0  # a first poll and four reports take 3; a loaded machine takes its time
LEARNED_SECONDS_MAX = 120.0  # a report is signed at the next cycle, and sent with it
UPDATE_SECONDS_MAX = 1_800.0  # a person's own image of 30 MB on a classic bus
FACTORY, NEXT = 1, 2  # releases


class Story:
    """One run."""

    def __init__(self, folder: Path, images: dict[str, Path], *, paced: bool, board: Emulated | None = None) -> None:
        self.world = setting.new_world(folder, paced=paced, board=board)
        self._images = images
        self._seconds: dict[str, float] = {}
        self._monitor: Monitor | None = None
        self._refusals: list[dict[str, Any]] = []

    def run(self, attack: Attack | None) -> dict[str, Any]:
        """Play it to the end; return the report."""
        world = self.world
        with self._phase("founding"):
            say("founding two repositories and a time service: keys, certificates, first metadata (half a minute)")
            setting.found(world)
            setting.serve(world)
        with self._phase("publishing and enrolling"):
            self._prepare()
        with self._phase("first reports"):
            say("starting the Primary and three Secondaries; the Director waits for their signed reports")
            self._monitor = Monitor(tuple(world.buses.values()))
            setting.start_vehicle(world)
            self._wait_for_reports()
        if attack is not None and attack.when is When.BEFORE:
            self._play(attack)
            self._refused_by_now(attack)
        with self._phase("update, from publishing to proof"):
            self._update(attack if attack is not None and attack.when is When.DURING else None)
        if world.board is not None:
            say(f"{BRAKE.name}, on its console: {self._last_start()}")
        if attack is not None and attack.when is When.AFTER:
            self._play(attack)
            self._refused_by_now(attack)
        return self._report()

    def _last_start(self) -> str:
        """What the board said when it came up last."""
        lines = self.world.crew.tail(BRAKE.name, 40).splitlines()
        return next((line for line in reversed(lines) if " runs: " in line), "nothing")

    def stop(self) -> None:
        """Leave nothing running."""
        self.world.crew.stop()
        if self._monitor is not None:
            self._monitor.stop()
            self._monitor = None

    def _play(self, attack: Attack) -> None:
        with self._phase("attack"):
            say(f"[bold red]attack:[/] {attack.text}")
            attack.play(Scene(self.world, say))

    def _refused_by_now(self, attack: Attack) -> None:
        """Wait until the Director knows who refused the attack, and by which check; then undo what was done."""
        with self._phase("the Director learns"):
            deadline = time.monotonic() + LEARNED_SECONDS_MAX
            while time.monotonic() < deadline:
                self.world.crew.check()
                rows = list(_refused(self.world.status()))
                if any((row["by"], row["check"]) == (attack.by.name, attack.check.name) for row in rows):
                    self._refusals = rows
                    say(f"the Director has learned: {attack.by.name} refused it, {attack.check.name}")
                    attack.mend(Scene(self.world, say))
                    return
                time.sleep(0.5)
        raise DemoFailure(f"the Director did not learn of {attack.check.name} within {LEARNED_SECONDS_MAX:.0f} s")

    def _prepare(self) -> None:
        world = self.world
        say(f"publishing release {FACTORY} for every ECU; a supplier signs for the camera by delegation")
        factory = {ecu.name: setting.write_image(world, ecu, FACTORY) for ecu in ECUS}
        setting.delegate(world)
        for ecu in ECUS:
            setting.publish(world, ecu, FACTORY, factory[ecu.name])
        if world.board is not None:
            say(f"{BRAKE.name} is an emulated Cortex-M3 board; it comes with {world.board.versions[0]} of its firmware")
        say(f"enrolling vehicle {setting.VEHICLE} and provisioning its {len(ECUS)} ECUs")
        setting.enrol(world, factory)

    def _wait_for_reports(self) -> None:
        deadline = time.monotonic() + BASELINE_SECONDS_MAX
        while time.monotonic() < deadline:
            self.world.crew.check()
            if all(ecu["reported"] for ecu in self.world.status()["ecus"]):
                return
            time.sleep(0.3)
        raise DemoFailure(f"not every ECU has reported within {BASELINE_SECONDS_MAX:.0f} s")

    def _update(self, attack: Attack | None) -> None:
        world = self.world
        started = time.monotonic()
        say(f"publishing release {NEXT}, and assigning it to every ECU")
        files = {ecu.name: self._images.get(ecu.name) or setting.write_image(world, ecu, NEXT) for ecu in ECUS}
        for ecu in ECUS:
            setting.publish(world, ecu, NEXT, files[ecu.name])
        if attack is not None:
            self._play(attack)
        orders = [f"{ecu.name}={setting.filename(ecu, NEXT)}" for ecu in ECUS]
        world.director("assign", *orders, "--vehicle", setting.VEHICLE)
        if attack is not None:
            self._refused_by_now(attack)
        self._seconds["update: publishing and assigning"] = time.monotonic() - started
        follow = Follow(world.progress)
        with bars([(ecu.name, files[ecu.name].stat().st_size) for ecu in ECUS]) as shown:
            self._watch(follow, shown)

    def _watch(self, follow: Follow, shown: Bars) -> None:
        """Show what the Primary does until the Director has every ECU proven; ask the Director once a second."""
        deadline = time.monotonic() + UPDATE_SECONDS_MAX
        next_look = 0.0
        clock = PhaseClock(self._seconds)
        while time.monotonic() < deadline:
            for note in follow.lines():
                shown.show(note)
                clock.note(str(note["step"]))
            self.world.crew.check()
            if time.monotonic() >= next_look:
                status = {ecu["ecu"]: ecu for ecu in self.world.status()["ecus"]}
                proven = [ecu for ecu in ECUS if self._is_proven(ecu, status[ecu.name])]
                for ecu in proven:
                    shown.step(ecu.name, "proven")
                if len(proven) == len(ECUS):
                    return
                next_look = time.monotonic() + 1.0
            time.sleep(0.05)

    @staticmethod
    def _is_proven(ecu: EcuOfDemo, status: dict[str, Any]) -> bool:
        assigned = status["assigned"]
        return bool(status["proven"] and assigned and assigned["filename"] == setting.filename(ecu, NEXT))

    def _report(self) -> dict[str, Any]:
        status = self.world.status()
        by_name = {ecu["ecu"]: ecu for ecu in status["ecus"]}
        monitor, self._monitor = self._monitor, None
        assert monitor is not None
        bus = monitor.stop()
        rows = []
        for ecu in ECUS:
            place = (ecu.bus, ecu.address)
            traffic = {"frames": monitor.frames[place], "octets": monitor.octets[place]}
            rows.append(self._row(ecu, by_name[ecu.name]) | traffic)
        return {
            "vehicle": status["vehicle"],
            "ecus": rows,
            "bus": bus,
            "seconds": {phase: round(seconds, 2) for phase, seconds in self._seconds.items()},
            "refused": self._refusals or list(_refused(status)),
        }

    def _row(self, ecu: EcuOfDemo, status: dict[str, Any]) -> dict[str, Any]:
        def name(field: str) -> str | None:
            return str(status[field]["filename"]) if status[field] else None

        return {
            "ecu": ecu.name,
            "hardware": status["hardware"],
            "verification": status["verification"],
            "before": name("before"),
            "assigned": name("assigned"),
            "after": name("reported"),
            "proven": self._is_proven(ecu, status),
        }

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - started


@dataclass
class PhaseClock:
    """Adds up how long the Primary spends in each step of the update, from what it writes while it works."""

    seconds: dict[str, float]
    step: str = "assignment to first step"
    since: float = field(default_factory=time.monotonic)

    def note(self, step: str) -> None:
        """The Primary is at `step` now."""
        now = time.monotonic()
        # The Primary says "done" when a cycle ends: until its next step it waits for the next poll.
        name = f"update: {'between polls' if self.step == 'done' else self.step}"
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.since
        self.step, self.since = step, now


def _refused(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What ECUs and the Director refused, by check."""
    by: list[tuple[str, list[dict[str, Any]]]] = [(ecu["ecu"], ecu["refused"]) for ecu in status["ecus"]]
    for who, rows in [*by, ("director", status["refused"])]:
        for row in rows:
            check = BY_CODE.get(row["check"])
            name, attack = (check.name, check.attack.value) if check else ("unknown", "unknown")
            yield {"by": who, "check": name, "code": row["check"], "attack": attack, "detail": str(row["detail"])}
