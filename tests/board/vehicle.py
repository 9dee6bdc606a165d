"""A vehicle on an emulated board, and its servers on this machine: installed, enrolled and driven as the guide says.

The Primary (`gateway`) is on can0, the Secondary (`brake`) on can1 of the same bus. All of it on the board is from our
packages and from docs/raspberry-pi.md; nothing of it knows that it is tested.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from demo import world as setting
from demo.world import World
from director.shell.client import Client
from director.shell.console import status_facts
from tests.board import root
from tests.board.machine import Machine
from tests.board.root import ROOT
from uptane.errors import LinkFailure
from uptane.model.signed import PublicKey
from uptane.shell.key_text import from_text

VIN = "BOARD000000000001"
GATEWAY, BRAKE = "gateway", "brake"
ECUS = {GATEWAY: "primary", BRAKE: "secondary"}
LENGTH = 20_000  # of an image, in octets
RELEASES = (1, 2, 3, 4)
HOST = "10.0.2.2"  # this machine, as QEMU's user network has it
MAKE_S = 900
AT_REST = {"idle", "committed", "released"}
DESCRIPTION = """vehicle = "{vehicle}"
[[bus]]
name = "chassis"
interface = "socketcan"
channel = "can0"
bitrate = 500000
[[ecu]]
id = "gateway"
hardware = "gateway-a1"
primary = true
filename = "gateway-*"
slot_size = 65536
image = {{ filename = "gateway-1.bin", release_counter = 1, file = "images/gateway-1.bin" }}
public_key = "{gateway}"
[[ecu]]
id = "brake"
hardware = "brake-b2"
verification = "partial"
bus = "chassis"
address = 0x11
filename = "brake-*"
slot_size = 65536
image = {{ filename = "brake-1.bin", release_counter = 1, file = "images/brake-1.bin" }}
public_key = "{brake}"
"""
PRIMARY_TOML = """provisioned = "/var/lib/marque/primary"
[gate]
kind = "file"
path = "/etc/marque/gate"
"""
SECONDARY_TOML = """provisioned = "/var/lib/marque/secondary"
[can]
channel = "can1"
[interlock]
kind = "file"
path = "/etc/marque/interlock"
"""
INSTALL = """
set -e
mkdir -p /var/tmp/packages; cd /var/tmp/packages
dd if=/dev/vdb bs=1M iflag=direct status=none | tar -x
dpkg --force-unsafe-io -i ./*.deb && sync
rm -r /var/tmp/packages
"""
NETWORK = """
set -e
cd /usr/share/doc/marque-secondary/examples/network
cp 80-can.link 80-can0-classic.network /etc/systemd/network/
sed s/can0/can1/g 80-can0-classic.network > /etc/systemd/network/80-can1-classic.network
cp 60-can-buffers.conf /etc/sysctl.d/
systemctl restart systemd-sysctl
modprobe -r kvaser_pci; modprobe kvaser_pci
systemctl enable --now systemd-networkd
"""


def image(ecu: str, release: int) -> bytes:
    """What a release of an ECU's software is."""
    return f"{ecu} {release}\n".encode() + Random(f"{ecu} {release}").randbytes(LENGTH)


def packages(out: Path) -> list[Path]:
    """Both of our packages for this board, made from this checkout."""
    words = [sys.executable, "-m", "deploy", "--architecture", "arm64", "--fast", "--out", str(out)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=MAKE_S)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return sorted(out.glob("*.deb"))


def write_carried(disk: Path, files: Mapping[str, bytes]) -> None:
    """What lies on the second disk from now on. The board reads it past its cache."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, octets in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(octets)
            tar.addfile(member, io.BytesIO(octets))
    with disk.open("r+b" if disk.exists() else "wb") as file:
        file.write(packed.getvalue())
        file.truncate(-(-max(file.tell(), disk.stat().st_size) // 1_048_576) * 1_048_576)


def files_below(folder: Path) -> dict[str, bytes]:
    """A folder's files by their names from its parent."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder.parent)): path.read_bytes() for path in found}


@dataclass
class Vehicle:
    """The board, and the world it lives in."""

    world: World
    machine: Machine

    # ---------------------------------------------------------------------------------------------- the operator

    def serve(self) -> None:
        """Found the servers, start them, and publish four releases for each ECU."""
        folder = self.world.folder
        setting.found(self.world)
        setting.serve(self.world)
        (folder / "images").mkdir()
        files = []
        for ecu in ECUS:
            for release in RELEASES:
                file = folder / "images" / f"{ecu}-{release}.bin"
                file.write_bytes(image(ecu, release))
                files.append(str(file))
        hardware = ("--hardware", "gateway-a1", "--hardware", "brake-b2")
        secret = ("--passphrase-file", str(self.world.secret))
        self.world.repo("publish", *files, *hardware, "--counter", "1", *secret)

    def order(self, release: int) -> None:
        """`marque-director assign` for both."""
        self.world.director("assign", *(f"{ecu}={ecu}-{release}.bin" for ecu in ECUS), "--vehicle", VIN)

    def status(self) -> dict[str, dict[str, Any]]:
        """What the Director knows of each ECU."""
        operator = self.world.folder / "director" / "operators" / "operator"
        with Client(operator, f"127.0.0.1:{self.world.ports['director']}") as client:
            return {ecu["ecu"]: ecu for ecu in status_facts(client.status([VIN])[0])["ecus"]}

    def proven(self, release: int) -> bool:
        """Whether both have reported, signed, that they run this release, which is the one that was ordered."""
        return all(
            ecu["proven"] and ecu["assigned"] and ecu["assigned"]["filename"] == f"{name}-{release}.bin"
            for name, ecu in self._asked().items()
        )

    def at_rest(self) -> set[str]:
        """The images both have reported, when nothing is under way; nothing before."""
        asked = self._asked()
        if any(not ecu["reported"] or ecu["state"] not in AT_REST for ecu in asked.values()):
            return set()
        return {ecu["reported"]["filename"] for ecu in asked.values()}

    def _asked(self) -> dict[str, dict[str, Any]]:
        try:
            return self.status()
        except LinkFailure:
            return {name: {"proven": False, "assigned": None, "reported": None, "state": ""} for name in ECUS}

    def key(self, ecu: str) -> PublicKey:
        """The public half of the key that this ECU has made on the board, as its vehicle's description has it."""
        described = tomllib.loads((self.world.folder / "vehicle.toml").read_text())
        (text,) = (each["public_key"] for each in described["ecu"] if each["id"] == ecu)
        return from_text(text)

    # ---------------------------------------------------------------------------------------------- the board

    def install(self) -> None:
        """Our packages, by dpkg, and the buses, as the guide says."""
        self.machine.do(INSTALL)
        self.machine.do(NETWORK)

    def enrol(self) -> None:
        """Keys made on the board, folders carried back to it."""
        folder = self.world.folder
        made = {ecu: json.loads(self.machine.do(f"marque-{role} enrol --json")) for ecu, role in ECUS.items()}
        request = folder / "request.pem"
        request.write_text(self.machine.do(f"cat {made[GATEWAY]['request']}") + "\n")
        description = folder / "vehicle.toml"
        keys = {ecu: told["public_key"] for ecu, told in made.items()}
        description.write_text(DESCRIPTION.format(vehicle=VIN, **keys))
        self.world.director("enrol", str(description))
        where = []
        for option in ("director", "time", "image"):
            where += [f"--{option}-address", f"{HOST}:{self.world.ports[option]}"]
        out = folder / "vehicle"
        self.world.director("provision", str(description), "--out", str(out), "--request", str(request), *where)
        private = [path for path in out.rglob("*.pem") if b"PRIVATE" in path.read_bytes()]
        assert not private, "a private key left the board, or was made for it"
        assert self.machine.carried is not None
        carried = {name: octets for ecu in ECUS for name, octets in files_below(out / ecu).items()}
        write_carried(self.machine.carried, carried | self._settings())
        self.machine.do(
            "mkdir -p /var/tmp/stick; dd if=/dev/vdb bs=1M iflag=direct status=none | tar -x -C /var/tmp/stick"
        )
        self.machine.do("cp /var/tmp/stick/etc/* /etc/marque/; sync")
        for ecu, role in ECUS.items():
            self.machine.do(f"marque-{role} enrol --from /var/tmp/stick/{ecu}")

    def _settings(self) -> dict[str, bytes]:
        # The certificates are for this machine's own names, and the board sees it under another.
        servers = "".join(
            f'[{table}]\nserver_name = "localhost"\n' for table in ("director", "time", "image_repository")
        )
        return {
            "etc/primary.toml": (PRIMARY_TOML + servers).encode(),
            "etc/secondary.toml": SECONDARY_TOML.encode(),
            "etc/gate": b"parked yes\nminutes 60\nconsent any\n",
            "etc/interlock": b"safe\n",
        }

    def start(self) -> None:
        """Both services; systemd waits for their word that they are ready."""
        self.machine.do("systemctl start marque-primary marque-secondary")

    def runs(self) -> dict[str, str]:
        """The image each ECU runs, as it says itself, on the board."""
        told = {ecu: json.loads(self.machine.do(f"marque-{role} status --json")) for ecu, role in ECUS.items()}
        return {ecu: str(facts["image"]) for ecu, facts in told.items()}

    def frames(self) -> int:
        """What the two controllers have sent since they appeared."""
        files = " ".join(f"/sys/class/net/can{number}/statistics/tx_packets" for number in (0, 1))
        return sum(map(int, self.machine.do(f"cat {files}").split()))


@contextmanager
def on_a_new_board(folder: Path) -> Iterator[Vehicle]:
    """Our packages are installed on a clean Debian, both ECUs are enrolled, and their services run.

    Says how long each step took. What the console said stays in `folder`; disks of hundreds of megabytes do not.

    Raises:
        NoBoardError: Debian's part could not be had.
    """
    took = _Took()
    made = root.made()
    took.step("Debian's root")
    carried = folder / "carried.raw"
    write_carried(carried, {deb.name: deb.read_bytes() for deb in packages(folder / "deb")})
    took.step("our packages")
    machine = Machine(made, folder / "machine", carried=carried)
    vehicle = Vehicle(setting.new_world(folder / "world", paced=False), machine)
    try:
        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(vehicle.serve)
            machine.boot()
            took.step("booted")
            vehicle.install()
            serving.result()
        took.step("installed")
        vehicle.enrol()
        took.step("enrolled")
        vehicle.start()
        took.step("started")
        yield vehicle
    finally:
        machine.stop()
        vehicle.world.crew.stop()
        for path in (machine.disk, carried, *(folder / "deb").glob("*.deb")):
            path.unlink(missing_ok=True)


class _Took:
    """How long each step took, in seconds, for whoever reads the log."""

    def __init__(self) -> None:
        self._last = monotonic()

    def step(self, name: str) -> None:
        """Say it of the step that has ended now."""
        now = monotonic()
        print(f"board: {name}: {now - self._last:.1f} s", file=sys.stderr, flush=True)
        self._last = now
