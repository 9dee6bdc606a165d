"""Both ECUs as services of an emulated board update through real servers, over real SocketCAN, and survive its switch.

The first two are the shortest honest form; all of it runs by `make test-board`, as it takes minutes.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.board.vehicle import BRAKE, ECUS, GATEWAY, VIN, Vehicle
from tests.system.fleet import wait_for

pytestmark = [
    *(pytest.mark.board, pytest.mark.emulated, pytest.mark.process, pytest.mark.slow),
    pytest.mark.timeout(2_400),
]
HERE = Path(__file__).resolve().parent
UPDATE_S = 600.0
MIDDLE = 1_500  # frames after the order: of the image's 2,900 on the bus, some have been sent
SEEDS = range(1, 7)
FRAMES = 4_500  # of a whole update, about: where the seeds draw from
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


def test_the_kernels_isotp_talks_to_the_secondary(installed: Vehicle) -> None:
    """Across the bus, from can0 to can1; both directions in one frame and in several."""
    machine = installed.machine
    machine.do(f"cat > /var/tmp/peer.py <<'EOF'\n{(HERE / 'isotp_peer.py').read_text()}\nEOF")
    short, vehicle, long = "22f18c", "22f190", "22" + "f18c" * 100
    told = machine.do(f"modprobe can-isotp && python3 /var/tmp/peer.py can0 0x11 {short} {vehicle} {long}").split()
    assert bytes.fromhex(told[0]) == b"\x62\xf1\x8c" + BRAKE.encode()
    assert bytes.fromhex(told[1]) == b"\x62\xf1\x90" + VIN.encode()
    assert told[2].startswith(("62", "7f22")), "201 octets in many frames are answered, whatever is thought of them"


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
