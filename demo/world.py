"""The demo's servers and its vehicle, set up with the commands a person would type."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.board import Emulated, run_words
from demo.images import BODY, BRAKE, CAMERA, ECUS, SLOT_LENGTH_MAX, TELEMATICS, EcuOfDemo, sample
from demo.monitor import Bus
from demo.processes import Crew, DemoFailure, command, port_of
from uptane.link.bus_time import BusSpeed

VEHICLE = "DEMO0000000000001"  # 17 characters, as a VIN
SUPPLIER = "optics"  # signs for the camera, by delegation
SAFE = "safe\n"
POLL_SECONDS = 2  # a fleet polls every few minutes; a demo is watched


@dataclass
class World:
    """Everything the demo made below `folder`."""

    folder: Path
    buses: dict[str, Bus]
    crew: Crew
    ports: dict[str, int] = field(default_factory=dict)
    board: Emulated | None = None
    """What the brake controller is, if it is an emulated board."""

    @property
    def secret(self) -> Path:
        """The passphrase of all keys, drawn anew for each run."""
        return self.folder / "passphrase"

    @property
    def progress(self) -> Path:
        """Where the Primary writes what it does."""
        return self.folder / "progress.jsonl"

    def ecu(self, ecu: EcuOfDemo) -> Path:
        """The directory provisioned for an ECU."""
        return self.folder / "vehicle" / ecu.name

    def repo(self, verb: str, *arguments: str) -> str:
        """`marque-repo`, as the operator made at init."""
        where = ("--repo", str(self.folder / "image"), "--server", f"127.0.0.1:{self.ports['publish']}")
        return command("image_repo", verb, *arguments, *where)

    def director(self, *arguments: str) -> str:
        """`marque-director`, as the operator made at init."""
        where = ("--folder", str(self.folder / "director"), "--server", f"127.0.0.1:{self.ports['director']}")
        return command("director", *arguments, *where)

    def status(self) -> dict[str, Any]:
        """What the Director knows of the demo's vehicle."""
        vehicles: list[dict[str, Any]] = json.loads(self.director("status", VEHICLE, "--json"))["vehicles"]
        return vehicles[0]


def new_world(folder: Path, *, paced: bool, board: Emulated | None = None) -> World:
    """An empty folder, a passphrase, and two buses on multicast groups drawn at random."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    world = World(folder, {bus.name: bus for bus in _buses(paced=paced)}, Crew(folder / "logs"), board=board)
    world.secret.touch(mode=0o600)
    world.secret.write_text(secrets.token_urlsafe(24) + "\n")
    return world


def _buses(*, paced: bool) -> tuple[Bus, Bus]:
    # Groups of the organisation-local scope; hop limit 0 keeps every frame on this host.
    groups = [f"239.{secrets.randbelow(63) + 192}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}" for _ in "12"]
    ports = [20_000 + secrets.randbelow(20_000) for _ in "12"]
    chassis = Bus("chassis", groups[0], ports[0], fd=False, speed=BusSpeed(500_000), paced=paced)
    backbone = Bus("backbone", groups[1], ports[1], fd=True, speed=BusSpeed(500_000, 2_000_000), paced=paced)
    return chassis, backbone


# -------------------------------------------------------------------------------------------------------- servers


def found(world: World) -> None:
    """Make the keys, certificates and first metadata of both repositories and of the time service."""
    secret = ("--passphrase-file", str(world.secret))
    command("image_repo", "init", str(world.folder / "image"), *secret)
    command("director.time_main", "init", str(world.folder / "time"), *secret)
    command(
        "director",
        "init",
        str(world.folder / "director"),
        "--time-key",
        str(world.folder / "time" / "public.pem"),
        "--image-repo",
        str(world.folder / "image"),
        "--poll",
        str(POLL_SECONDS),
        *secret,
    )


def serve(world: World) -> None:
    """Start the Image repository, the time service and the Director, each as its own process."""
    serve_image_repository(world)
    serve_time(world)
    serve_director(world)


def serve_image_repository(world: World) -> None:
    """Start it, on the ports it had before if it ran before."""
    files = {"image": world.folder / "image.port", "publish": world.folder / "publish.port"}
    _serve(world, "image-repository", ("image_repo", "--repo", str(world.folder / "image")), files)


def serve_time(world: World) -> None:
    """Start the time service."""
    module = ("director.time_main", "--folder", str(world.folder / "time"))
    _serve(world, "time-service", module, {"time": world.folder / "time.port"})


def serve_director(world: World) -> None:
    """Start the Director; it needs to know where the other two are."""
    further = ("--image-address", _address(world, "image"), "--time-address", _address(world, "time"))
    module = ("director", "--folder", str(world.folder / "director"))
    _serve(world, "director", module, {"director": world.folder / "director.port"}, *further)


def _serve(world: World, name: str, module: tuple[str, ...], files: dict[str, Path], *further: str) -> None:
    options: list[str] = []
    for option, (port, file) in zip(("", "operator-"), files.items(), strict=False):
        file.unlink(missing_ok=True)
        options += [f"--{option}port", str(world.ports.get(port, 0)), f"--{option}port-file", str(file)]
    secret = ("--passphrase-file", str(world.secret))
    world.crew.start(name, module[0], "serve", *module[1:], *options, *secret, *further)
    for port, file in files.items():
        world.ports[port] = port_of(world.crew, file)


def _address(world: World, port: str) -> str:
    return f"127.0.0.1:{world.ports[port]}"


# --------------------------------------------------------------------------------------------------------- images


def delegate(world: World) -> None:
    """Let a supplier sign for the camera: its own key, its own files, one kind of hardware."""
    world.repo(
        "delegate",
        SUPPLIER,
        "--path",
        f"{SUPPLIER}/*",
        "--hardware",
        CAMERA.hardware,
        "--passphrase-file",
        str(world.secret),
    )


def filename(ecu: EcuOfDemo, release: int) -> str:
    """The name of an image in the Image repository."""
    return f"{SUPPLIER if ecu is CAMERA else 'oem'}/{ecu.name}-{release}.bin"


def publish(world: World, ecu: EcuOfDemo, release: int, file: Path) -> None:
    """Publish an image for an ECU's hardware, with its release as release counter."""
    role = ("--role", SUPPLIER) if ecu is CAMERA else ()
    options = ("--filename", filename(ecu, release), "--hardware", ecu.hardware, "--counter", str(release))
    world.repo("publish", str(file), *options, *role, "--passphrase-file", str(world.secret))


def write_image(world: World, ecu: EcuOfDemo, release: int) -> Path:
    """Write an image into the demo's folder: a real build for an emulated board, else a sample."""
    file = world.folder / "images" / f"{ecu.name}-{release}.bin"
    file.parent.mkdir(exist_ok=True)
    real = world.board is not None and ecu is BRAKE
    file.write_bytes(world.board.build(release).read_bytes() if world.board and real else sample(ecu, release))
    return file


# -------------------------------------------------------------------------------------------------------- vehicle


def enrol(world: World, factory: dict[str, Path]) -> None:
    """Enter the vehicle into the Director's inventory, and write the directory each ECU starts from."""
    description = world.folder / "vehicle.toml"
    description.write_text(_description(world, factory))
    world.director("enrol", str(description))
    addresses = []
    for option in ("director", "time", "image"):
        addresses += [f"--{option}-address", _address(world, option)]
    world.director("provision", VEHICLE, "--out", str(world.folder / "vehicle"), *addresses)
    for ecu in ECUS:
        initial = world.ecu(ecu) / "initial"
        initial.mkdir(exist_ok=True)
        shutil.copy(factory[ecu.name], initial / "image.bin")
        (world.ecu(ecu) / "interlock").write_text(SAFE)
    (world.ecu(TELEMATICS) / "gate").write_text("parked yes\nminutes 60\nconsent any\n")


def enrol_other(world: World, vehicle: str) -> None:
    """Enrol a second vehicle with ECUs like the first one's, and provision it."""
    factory = {ecu.name: world.folder / "images" / f"{ecu.name}-1.bin" for ecu in ECUS}
    description = world.folder / f"{vehicle}.toml"
    description.write_text(_description(world, factory, vehicle))
    world.director("enrol", str(description))
    world.director("provision", vehicle, "--out", str(world.folder / vehicle))


def blob(world: World, ecu: EcuOfDemo, release: int) -> Path:
    """Where the Image repository keeps the octets of an image."""
    digest = hashlib.sha256(sample(ecu, release)).hexdigest()
    found = [path for path in (world.folder / "image" / "state").rglob(f"*{digest[2:]}*") if path.is_file()]
    if len(found) != 1:
        raise DemoFailure(f"the image {digest} is not where it was expected: {found}")
    return found[0]


def _description(world: World, factory: dict[str, Path], vehicle: str = VEHICLE) -> str:
    parts = [f'vehicle = "{vehicle}"\n']
    for bus in world.buses.values():
        data = f"data_bitrate = {bus.speed.data}\n" if bus.fd else ""
        parts.append(
            f'[[bus]]\nname = "{bus.name}"\ninterface = "udp_multicast"\nchannel = "{bus.channel}"\nport = {bus.port}\n'
            f"fd = {str(bus.fd).lower()}\nbitrate = {bus.speed.nominal}\n{data}paced = {str(bus.paced).lower()}\n"
        )
    sizes = {} if world.board is None else {BRAKE: world.board.slot_size}
    parts += [_ecu_description(ecu, factory[ecu.name], sizes.get(ecu, SLOT_LENGTH_MAX)) for ecu in ECUS]
    return "\n".join(parts)


def _ecu_description(ecu: EcuOfDemo, image: Path, slot_size: int) -> str:
    octets = image.read_bytes()
    primary = ecu is TELEMATICS
    place = "primary = true\n" if primary else f'bus = "{ecu.bus}"\naddress = {ecu.address}\n'
    port = (
        '[ecu.gate]\nkind = "file"\npath = "gate"\n'
        if primary
        else '[ecu.interlock]\nkind = "file"\npath = "interlock"\n'
    )
    prefix = SUPPLIER if ecu is CAMERA else "oem"
    return (
        f'[[ecu]]\nid = "{ecu.name}"\nhardware = "{ecu.hardware}"\nverification = "{ecu.verification}"\n{place}'
        f'filename = "{prefix}/{ecu.name}-*"\nslot_size = {slot_size}\n'
        f'[ecu.image]\nfilename = "{filename(ecu, 1)}"\nlength = {len(octets)}\n'
        f'sha256 = "{hashlib.sha256(octets).hexdigest()}"\nrelease_counter = 1\n{port}'
    )


def start_secondary(world: World, ecu: EcuOfDemo) -> None:
    """Start a Secondary, or start it again."""
    config = world.ecu(ecu) / "config.toml"
    if ecu is BRAKE and world.board is not None:
        world.crew.start(ecu.name, *run_words(world.ecu(ecu) / "board", config))
    else:
        world.crew.start(ecu.name, "secondary", "run", "--config", str(config))


def start_primary(world: World) -> None:
    """Start the Primary, or start it again."""
    config = str(world.ecu(TELEMATICS) / "config.toml")
    world.crew.start(TELEMATICS.name, "primary", "run", "--config", config, "--progress", str(world.progress))


def start_vehicle(world: World) -> None:
    """Start all ECUs."""
    for ecu in (BRAKE, BODY, CAMERA):
        start_secondary(world, ecu)
    start_primary(world)
