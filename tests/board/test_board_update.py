"""Both ECUs as services of an emulated board update through real servers, over real SocketCAN, and survive its switch.

The first two are the shortest honest form, and part of `make test`; the seeds of power cuts run by `make test-board`.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.board.vehicle import BRAKE, ECUS, GATEWAY, RELEASES, VIN, Vehicle
from tests.builders import VERIFIER
from tests.system.fleet import wait_for
from uptane.errors import Check
from uptane.model.limits import REPORT_LENGTH_MAX
from uptane.model.reports import EcuReport
from uptane.verify.threshold import accept_from, opened

pytestmark = [pytest.mark.board, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(2_400)]
HERE = Path(__file__).resolve().parent
UPDATE_S = 600.0
MIDDLE = 1_500  # frames after the order: of the image's 2,900 on the bus, some have been sent
SEEDS = range(1, 7)
FRAMES = 4_500  # of a whole update, about: where the seeds draw from
BLOCK = 4_093  # octets of a 36: what is left of ISO-TP's 4,095
LONG = 6_000
TARGETS = """/usr/lib/marque/primary/bin/python3 -I -c '
from pathlib import Path
from uptane.shell.files import Store
print(Store(Path("/var/lib/marque/primary/state")).read("metadata/director/targets").hex())
'"""
CLOCKLESS = "1970-01-01T00:00:00"


def _reported(vehicle: Vehicle) -> set[str]:
    return wait_for(vehicle.at_rest, "a report of both, with nothing under way", seconds=UPDATE_S, every=1.0)


def _cut_after(vehicle: Vehicle, release: int, frames: int) -> None:
    """Order a release, and take the power away when so many more frames have been on the bus, or all is over."""
    vehicle.start()  # after a boot, what the Director knows may be of the time before
    before = vehicle.frames()
    vehicle.order(release)
    wait_for(
        lambda: vehicle.frames() - before >= frames or vehicle.proven(release),
        f"{frames} frames",
        seconds=UPDATE_S,
        every=0.02,
    )
    vehicle.machine.cut()


@pytest.mark.alone
def test_installed_enrolled_and_updated_with_a_power_cut_and_no_clock(installed: Vehicle) -> None:
    machine = installed.machine
    assert _reported(installed) == {"gateway-1.bin", "brake-1.bin"}
    for role in ECUS.values():
        shown = machine.do(f"systemctl show -p ActiveState,SubState,Type,WatchdogUSec,NRestarts,User marque-{role}")
        told = dict(line.split("=", 1) for line in shown.splitlines())
        assert told == {
            "ActiveState": "active",
            "SubState": "running",
            "Type": "notify",
            "WatchdogUSec": "1min",
            "NRestarts": "0",
            "User": f"marque-{role}",
        }
        assert machine.do(f"journalctl -q -u marque-{role} -t marque-{role} | head -n 3"), "nothing in the journal"
        doctor = machine.tell(f"marque-{role} doctor")
        assert doctor.status == 0, doctor.text
    _cut_after(installed, 2, MIDDLE)
    assert all(ecu["reported"]["filename"].endswith("-1.bin") for ecu in installed.status().values()), "too late a cut"
    machine.clock = CLOCKLESS
    machine.boot()
    wait_for(lambda: installed.proven(2), "both updated after a boot in 1970", seconds=UPDATE_S, every=1.0)
    assert installed.runs() == {GATEWAY: "gateway-2.bin", BRAKE: "brake-2.bin"}
    machine.clock = "utc"


@pytest.mark.alone
def test_the_kernels_isotp_reads_from_and_transfers_to_the_secondary(installed: Vehicle) -> None:
    """Across the bus, from can0 to can1; both directions in one frame and in many.

    What came over is judged by signatures: its report's under its key, and the ECU's of the Director's Targets, which
    it takes again. With one bit turned it does not.
    """
    machine = installed.machine
    machine.do(f"cat > /var/tmp/peer.py <<'EOF'\n{(HERE / 'isotp_peer.py').read_text()}\nEOF")
    targets = bytes.fromhex(machine.do(TARGETS))
    turned = targets[:-1] + bytes([targets[-1] ^ 1])
    requests = [
        *("22f18c", "22f190", "22fd01", "1003"),
        *_delivered(turned),
        *_delivered(bytes(LONG)),
        *_delivered(targets),
        "1001",
    ]
    told = machine.do(f"modprobe can-isotp && python3 /var/tmp/peer.py can0 0x11 {' '.join(requests)}").split()
    answers = list(map(bytes.fromhex, told))
    assert answers[:2] == [b"\x62\xf1\x8c" + BRAKE.encode(), b"\x62\xf1\x90" + VIN.encode()]
    envelope = opened(VERIFIER, answers[2].removeprefix(b"\x62\xfd\x01"), REPORT_LENGTH_MAX)
    report = accept_from(VERIFIER, envelope, installed.key(BRAKE), EcuReport, check=Check.REPORT_SIGNATURE).value
    assert report.ecu == BRAKE
    assert report.image.filename in {f"brake-{release}.bin" for release in RELEASES}
    began, block, ended = b"\x74\x20\x0f\xff", b"\x76\x01", b"\x77"
    refused, accepted = b"\x7f\x31\x72", b"\x71\x01\x02\x02\x00"
    assert answers[4:8] == [began, block, ended, refused]
    assert answers[8:13] == [began, block, b"\x76\x02", ended, refused], "4,095 octets in one message, and the rest"
    assert answers[13:17] == [began, block, ended, accepted]


def _delivered(octets: bytes) -> list[str]:
    """The requests that bring an ECU Targets and have them checked."""
    begin = "340044f3000000" + len(octets).to_bytes(4).hex()
    pieces = [octets[at : at + BLOCK] for at in range(0, len(octets), BLOCK)]
    blocks = [f"36{number:02x}{piece.hex()}" for number, piece in enumerate(pieces, 1)]
    return [begin, *blocks, "37", "31010202f3"]


@pytest.mark.emulated
@pytest.mark.parametrize("seed", SEEDS)
def test_a_power_cut_at_any_moment_leaves_all_old_or_all_new(installed: Vehicle, seed: int) -> None:
    (before,) = {name.rsplit("-", 1)[1].removesuffix(".bin") for name in _reported(installed)}
    old = int(before)
    new = old % 3 + 2
    _cut_after(installed, new, Random(seed).randrange(FRAMES))
    installed.machine.boot()
    rest = wait_for(lambda: _end(installed, old, new), "all old or all new", seconds=UPDATE_S, every=1.0)
    if rest == old:  # rolled back; that set is not tried again, the next is
        new = new % 3 + 2
        installed.order(new)
        wait_for(lambda: installed.proven(new), "the next update", seconds=UPDATE_S, every=1.0)
    assert installed.runs() == {ecu: f"{ecu}-{new}.bin" for ecu in ECUS}


def _end(vehicle: Vehicle, old: int, new: int) -> int:
    """The release that both run in the end; 0 while that is open."""
    if vehicle.proven(new):
        return new
    told = vehicle.machine.do("journalctl -q -b -u marque-primary | grep -c 'rolled back on every ECU' || true")
    return old if int(told) and vehicle.at_rest() == {f"{ecu}-{old}.bin" for ecu in ECUS} else 0
