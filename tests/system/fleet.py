"""Servers and one vehicle as real processes, small and never paced: founded once, copied for each test.

What the demo shows with images of a real size is here with some ten thousand octets each, and slots to match.
All images have the same release counter, so that a test may assign any of them.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypeVar

from demo import world as setting
from demo.board import Emulated
from demo.display import Follow
from demo.images import BODY, BRAKE, CAMERA, ECUS, TELEMATICS, EcuOfDemo, sample
from demo.monitor import Bus
from demo.processes import Crew, command
from demo.world import VEHICLE, World
from director.shell.client import Client
from director.shell.console import status_facts
from tests.system.builds import build
from uptane.errors import LinkFailure
from uptane.rpc.gen import director_pb2 as pb

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("image-repository", "time-service", "director")
SECONDARIES = (BRAKE, BODY, CAMERA)
OEM = (TELEMATICS, BRAKE, BODY)  # whose images the manufacturer signs; a supplier signs the camera's
LENGTHS = {BRAKE: 40_000, BODY: 30_000, CAMERA: 150_000, TELEMATICS: 60_000}
RELEASES = (1, 2, 3, 4)
FACTORY = 1
SLOT_LENGTH = 262_144
UPDATE_S = 90.0  # an update takes 5 s on an idle machine; kills and a loaded machine take their time
AT_REST = {"idle", "committed", "released"}

Facts = dict[str, Any]
T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], what: str, *, seconds: float = UPDATE_S, every: float = 0.05) -> T:
    """The first true value of `condition`; what happens in other processes sets no event of ours, so we look."""
    pause, end = Event(), monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if monotonic() >= end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        pause.wait(every)


def filename(ecu: EcuOfDemo, release: int) -> str:
    """The name of a release in the Image repository."""
    return f"{ecu.name}-{release}.bin"


def _image(board: Emulated | None, ecu: EcuOfDemo, release: int) -> bytes:
    if board is not None and ecu is BRAKE:
        return build(board, release)
    return sample(replace(ecu, sample_length=LENGTHS[ecu]), release)


def _free_ports(names: Iterable[str]) -> dict[str, int]:
    """Ports nobody listens on, below those the kernel gives to outgoing connections."""
    ports: dict[str, int] = {}
    for name in names:
        while name not in ports:
            port = random.randrange(10_000, 32_000)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            ports[name] = port
    return ports


@dataclass
class Town(Crew):
    """Processes, some of which may live under a wrong clock: `clocks` are files for skewed_clock.py, by name."""

    clocks: dict[str, Path] = field(default_factory=dict)

    def start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it, under its clock."""
        if (clock := self.clocks.get(name)) is not None:
            module, arguments = "tests.system.skewed_clock", (str(clock), module, *arguments)
        return super().start(name, module, *arguments)


@dataclass
class Fleet:
    """Servers, and the vehicle with its four ECUs. `stop` leaves no process behind."""

    world: World
    _starts: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.world.folder

    @property
    def crew(self) -> Crew:
        return self.world.crew

    def set_clock(self, name: str, text: str) -> None:
        """Give a process a clock, the first time before it starts: seconds off, or `= SECONDS` for standing there."""
        assert isinstance(self.crew, Town)
        file = self.crew.clocks.setdefault(name, self.folder / f"{name}.clock")
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").replace(file)

    def pid(self, name: str) -> int:
        """The number of a running process."""
        return self.crew.running[name].pid

    def ecu(self, ecu: EcuOfDemo) -> Path:
        """The directory of an ECU."""
        return self.world.ecu(ecu)

    # ---------------------------------------------------------------------------------------------- founding

    @classmethod
    def founded(cls, folder: Path, board: Emulated | None = None) -> Fleet:
        """Servers with four releases for each ECU, and a vehicle whose ECUs have all reported; nothing runs.

        With `board` the brake controller is an emulated one.
        """
        world = setting.new_world(folder, paced=False, board=board)
        fleet = cls(world)
        try:
            setting.found(world)
            settings = folder / "director" / "director.toml"
            settings.write_text(settings.read_text().replace("poll_s = 2 ", "poll_s = 1 "))
            fleet.serve()
            fleet._publish()
            fleet._enrol()
            fleet.start_vehicle()
            wait_for(lambda: all(ecu["reported"] for ecu in fleet.status().values()), "four reports")
        finally:
            fleet.stop()
        return fleet

    def _publish(self) -> None:
        secret = ("--passphrase-file", str(self.world.secret))
        supplier = ("--path", f"{CAMERA.name}-*", "--hardware", CAMERA.hardware)
        self.world.repo("delegate", setting.SUPPLIER, *supplier, *secret)
        images = self.folder / "images"
        images.mkdir()
        for group, role in ((OEM, ()), ((CAMERA,), ("--role", setting.SUPPLIER))):
            files = []
            for ecu, release in itertools.product(group, RELEASES):
                files.append(str(images / filename(ecu, release)))
                Path(files[-1]).write_bytes(_image(self.world.board, ecu, release))
            hardware = itertools.chain.from_iterable(("--hardware", ecu.hardware) for ecu in group)
            self.world.repo("publish", *files, *hardware, "--counter", "1", *role, *secret)

    def _enrol(self) -> None:
        description = self.folder / "vehicle.toml"
        description.write_text(self.description(VEHICLE))
        self.world.director("enrol", str(description))
        self.provision(VEHICLE, self.folder / "vehicle")

    def description(self, vehicle: str) -> str:
        """VEHICLE.toml of a vehicle like ours, on the same buses."""
        buses = map(_bus_table, self.world.buses.values())
        ecus = (_ecu_table(self.world.board, ecu) for ecu in ECUS)
        return "\n".join((f'vehicle = "{vehicle}"\n', *buses, *ecus))

    def provision(self, vehicle: str, folder: Path) -> None:
        """Write the directory of each ECU of a vehicle, as its maker would complete it."""
        self.world.director("provision", vehicle, "--out", str(folder), *self._addresses())
        for ecu in ECUS:
            (folder / ecu.name / "initial" / "image.bin").write_bytes(_image(self.world.board, ecu, FACTORY))
            (folder / ecu.name / "interlock").write_text(setting.SAFE)
        (folder / TELEMATICS.name / "gate").write_text("parked yes\nminutes 60\nconsent any\n")

    def _addresses(self) -> list[str]:
        options = []
        for option in ("director", "time", "image"):
            options += [f"--{option}-address", f"127.0.0.1:{self.world.ports[option]}"]
        return options

    # --------------------------------------------------------------------------------------------- a copy of it

    def copied(self, folder: Path) -> Fleet:
        """The same in another folder, on other ports and other buses."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("logs", "*.port", "progress.jsonl"))
        world = setting.new_world(folder / "drawn", paced=False)  # for its buses
        ports = _free_ports(self.world.ports)
        copy = Fleet(World(folder, world.buses, Town(folder / "logs"), ports, self.world.board))
        for config in [*(folder / "vehicle").glob("*/config.toml"), folder / "vehicle.toml"]:
            config.write_text(self._moved(config.read_text(), copy))
        return copy

    def _moved(self, text: str, to: Fleet) -> str:
        for name, port in self.world.ports.items():
            text = text.replace(f'"127.0.0.1:{port}"', f'"127.0.0.1:{to.world.ports[name]}"')
        return moved(text, self.world.buses, to.world.buses)

    # ---------------------------------------------------------------------------------------------- processes

    def serve(self) -> None:
        """Start the three servers side by side: none of them needs another to start."""
        if not self.world.ports:
            self.world.ports.update(_free_ports(("image", "publish", "time", "director")))
        with ThreadPoolExecutor(len(SERVERS)) as pool:
            list(pool.map(self.start, SERVERS))

    def start_vehicle(self, *, but: Iterable[EcuOfDemo] = ()) -> None:
        """Start every ECU, but for these, and wait until they are up."""
        started = [ecu.name for ecu in ECUS if ecu not in but]
        for name in started:
            self.start(name)
        for name in started:
            self.wait_until_up(name)

    def wait_until_up(self, name: str) -> None:
        """Wait until the ECU that was started last says that it is ready."""
        wait_for(lambda: self._is_up(name), f"{name} is up")

    def _is_up(self, name: str) -> bool:
        self.crew.check()
        return self.said(name).count(f"{name} is ready") >= self._starts[name]

    def start_all(self) -> Fleet:
        """Start the servers, then the vehicle."""
        self.serve()
        self.start_vehicle()
        return self

    def start(self, name: str) -> None:
        """Start a process, or start it again; a server serves when this returns."""
        self._starts[name] = self.said(name).count(f"{name} is ready") + 1
        servers: dict[str, Callable[[World], None]] = {
            "image-repository": setting.serve_image_repository,
            "time-service": setting.serve_time,
            "director": setting.serve_director,
        }
        if name in servers:
            servers[name](self.world)
        elif name == TELEMATICS.name:
            setting.start_primary(self.world)
        else:
            setting.start_secondary(self.world, _by_name(name))

    def kill(self, name: str) -> None:
        """Kill -9."""
        self.crew.kill(name)

    def end(self, name: str) -> int:
        """End one process as an operator would; its exit status."""
        process = self.crew.running.pop(name)
        process.terminate()
        return process.wait(10)

    def stop(self) -> None:
        """End every process; none may have crashed meanwhile."""
        crashed = {name: process.poll() for name, process in self.crew.running.items() if process.poll() is not None}
        self.crew.stop()
        assert not crashed, "\n".join(
            f"{name} ended with {status}:\n{self.tail(name)}" for name, status in crashed.items()
        )

    def tail(self, name: str) -> str:
        """What a process said last."""
        return self.crew.tail(name, 30)

    def said(self, name: str) -> str:
        """Everything a process has said."""
        log = self.crew.logs / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    # ------------------------------------------------------------------------------------------- the operator

    def _operator(self) -> Client:
        identity = self.folder / "director" / "operators" / "operator"
        return Client(identity, f"127.0.0.1:{self.world.ports['director']}")

    def vehicle_status(self, vehicle: str = VEHICLE) -> Facts:
        """What the Director knows of a vehicle."""
        with self._operator() as client:
            return status_facts(client.status([vehicle])[0])

    def status(self) -> dict[str, Facts]:
        """The same, by ECU."""
        return {ecu["ecu"]: ecu for ecu in self.vehicle_status()["ecus"]}

    def order(self, release: int, ecus: Iterable[EcuOfDemo] = ECUS) -> None:
        """What `marque-director assign` asks of the Director, without half a second of a core for a new process."""
        chosen = [pb.Selection(ecu=ecu.name, image=filename(ecu, release)) for ecu in ecus]
        with self._operator() as client:
            client.assign(pb.AssignRequest(vehicles=[VEHICLE], selections=chosen))

    def order_by_command(self, release: int) -> str:
        """`marque-director assign` for every ECU: what it said. Raises DemoFailure when it refuses."""
        selections = [f"{ecu.name}={filename(ecu, release)}" for ecu in ECUS]
        return self.world.director("assign", *selections, "--vehicle", VEHICLE)

    def proven(self, release: int, ecus: Iterable[EcuOfDemo] = ECUS) -> bool:
        """Whether the Director has proof that these ECUs run `release`; no while it does not answer."""
        try:
            status = self.status()
        except LinkFailure:
            return False
        return all(_is_proven(status[ecu.name], ecu, release) for ecu in ecus)

    def runs(self, release: int, ecus: Iterable[EcuOfDemo] = ECUS) -> bool:
        """Whether these ECUs say that they run `release`, with nothing under way; no while the Director is down."""
        try:
            status = self.status()
        except LinkFailure:
            return False
        return all(
            status[ecu.name]["reported"]["filename"] == filename(ecu, release) and status[ecu.name]["state"] in AT_REST
            for ecu in ecus
        )

    # -------------------------------------------------------------------------------------------- the vehicle

    def stages(self) -> set[tuple[str, str]]:
        """Bundle and stage as they stand in the Primary's journal, in its two latest generations."""
        found = set()
        for file in self.ecu(TELEMATICS).glob("state/transaction~*"):
            try:
                octets = file.read_bytes()
            except FileNotFoundError:
                continue  # it is being replaced
            match = re.search(rb'"bundle": "([0-9a-f]{64})".*"stage": "([a-z ]+)"', octets)
            if match is not None:
                found.add((match.group(1).decode(), match.group(2).decode()))
        return found

    def watch(self) -> Watch:
        """The Primary's progress from now on."""
        return Watch(self)

    def told_by(self, ecu: EcuOfDemo) -> Facts:
        """What is durable of an ECU, as its own status command tells."""
        module = "primary" if ecu is TELEMATICS else "secondary"
        facts: Facts = json.loads(command(module, "status", "--config", str(self.ecu(ecu) / "config.toml"), "--json"))
        return facts


class Watch:
    """What a Primary has noted, and decided, since this was made."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._follow = Follow(fleet.world.progress)
        self._before = fleet.stages()
        self.notes: list[Facts] = []
        self.stages: set[str] = set()
        self.look()
        self.notes.clear()

    def look(self) -> Watch:
        """Take in what is new."""
        self.notes.extend(self._follow.lines())
        self.stages |= {stage for _, stage in self._fleet.stages() - self._before}
        return self

    def cycles(self) -> list[Facts]:
        """The cycles that have ended."""
        return [note for note in self.notes if "result" in note]

    def ended(self, result: str) -> list[Facts]:
        """Those of them that ended so (a Result's name)."""
        return [cycle for cycle in self.cycles() if cycle["result"] == result]

    def noted(self, step: str, ecu: EcuOfDemo | None = None, text: str = "") -> bool:
        """Whether there was such a note."""
        name = None if ecu is None else ecu.name
        return any(
            note["step"] == step and (name is None or note.get("ecu") == name) and text in note["text"]
            for note in self.notes
        )


def moved(text: str, before: Mapping[str, Bus], after: Mapping[str, Bus]) -> str:
    """A configuration with other buses in it."""
    for name, bus in before.items():
        old, new = (f'channel = "{each.channel}"\nport = {each.port}\n' for each in (bus, after[name]))
        text = text.replace(old, new)
    return text


def start_and_end(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to end by itself."""
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds)


def _by_name(name: str) -> EcuOfDemo:
    return next(ecu for ecu in ECUS if ecu.name == name)


def _is_proven(status: Mapping[str, Any], ecu: EcuOfDemo, release: int) -> bool:
    assigned = status["assigned"]
    return bool(status["proven"] and assigned and assigned["filename"] == filename(ecu, release))


def _bus_table(bus: Bus) -> str:
    data = f"data_bitrate = {bus.speed.data}\n" if bus.fd else ""
    return (
        f'[[bus]]\nname = "{bus.name}"\ninterface = "udp_multicast"\nchannel = "{bus.channel}"\nport = {bus.port}\n'
        f"fd = {str(bus.fd).lower()}\nbitrate = {bus.speed.nominal}\n{data}paced = false\n"
    )


def _ecu_table(board: Emulated | None, ecu: EcuOfDemo) -> str:
    octets = _image(board, ecu, FACTORY)
    slot = board.slot_size if board is not None and ecu is BRAKE else SLOT_LENGTH
    place = f'bus = "{ecu.bus}"\naddress = {ecu.address}\n' if ecu.bus else "primary = true\n"
    port = f'[ecu.{"interlock" if ecu.bus else "gate"}]\nkind = "file"\npath = "{"interlock" if ecu.bus else "gate"}"\n'
    return (
        f'[[ecu]]\nid = "{ecu.name}"\nhardware = "{ecu.hardware}"\nverification = "{ecu.verification}"\n{place}'
        f'filename = "{ecu.name}-*"\nslot_size = {slot}\n'
        f'[ecu.image]\nfilename = "{filename(ecu, FACTORY)}"\nlength = {len(octets)}\n'
        f'sha256 = "{sha256(octets).hexdigest()}"\nrelease_counter = 1\n{port}'
    )
