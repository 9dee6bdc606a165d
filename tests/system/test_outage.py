"""What a fleet lives with: servers away, full disks, wrong clocks, damaged records, silent and failing ECUs."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import tester as workshop
from demo.images import BODY, BRAKE, CAMERA, ECUS, TELEMATICS, EcuOfDemo
from demo.processes import DemoFailure
from primary.primary import RETRY_MS
from tests.system.conftest import Road
from tests.system.fleet import FACTORY, SERVERS, Fleet, Watch, filename, start_and_end, wait_for
from uptane.moments import SECOND_MS

pytestmark = [pytest.mark.system, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(400)]

RETRY_S = RETRY_MS / SECOND_MS
FAILED = {"UNREACHABLE", "REFUSED", "STORAGE", "TRYING"}  # after which the next cycle comes later than after the last
OTHERS = tuple(ecu for ecu in ECUS if ecu is not CAMERA)


@contextmanager
def updated(road: Road) -> Iterator[tuple[Fleet, int]]:
    """The running fleet, and a release that it does not have; it runs that release on every ECU in the end."""
    with road.trip() as (fleet, release):
        yield fleet, release
        prove(fleet, release)
        road.release = release


def prove(fleet: Fleet, release: int, ecus: tuple[EcuOfDemo, ...] = ECUS) -> None:
    """Wait until the Director has proof."""

    def proven() -> bool:
        fleet.crew.check()
        return fleet.proven(release, ecus)

    wait_for(proven, f"release {release} is proven", every=0.2)


def restart(fleet: Fleet, ecu: EcuOfDemo) -> None:
    """Start an ECU anew, and wait until the Director has heard of it."""
    assert fleet.end(ecu.name) == 0
    fleet.start(ecu.name)
    fleet.wait_until_up(ecu.name)
    wait_for(lambda: not fleet.status()[ecu.name]["silent_since"], f"{ecu.name} is heard")


def none_is_new(fleet: Fleet, release: int) -> bool:
    """Whether no ECU runs `release`, as all say themselves."""
    return all(ecu["reported"]["filename"] != f"{name}-{release}.bin" for name, ecu in fleet.status().items())


# --------------------------------------------------------------------------------------------------------- servers


@pytest.mark.parametrize("server", ["director", "image-repository"])
def test_a_server_that_is_away_is_waited_for(road: Road, server: str) -> None:
    with updated(road) as (fleet, release):
        fleet.kill(TELEMATICS.name)
        watch = fleet.watch()
        fleet.order(release)
        fleet.kill(server)
        fleet.start(TELEMATICS.name)
        wait_for(lambda: len(watch.look().ended("UNREACHABLE")) >= 3, "three cycles without the server")
        failures, pauses = 0, []
        for cycle in watch.cycles():
            failures = failures + 1 if cycle["result"] in FAILED else 0
            if failures:
                longest = RETRY_S * 2 ** (failures - 1)
                assert longest / 2 <= cycle["pause_s"] <= longest  # growing, and drawn from its upper half
                pauses.append(cycle["pause_s"])
        assert any(pause != round(pause) for pause in pauses)
        assert none_is_new(fleet, release) if server != "director" else not watch.noted("verify")
        fleet.start(server)


def test_without_a_time_service_all_is_prepared_and_nothing_activated(road: Road) -> None:
    """An attestation counts for one power cycle: here none can be had in it."""
    with updated(road) as (fleet, release):
        fleet.kill("time-service")
        for ecu in ECUS:
            fleet.kill(ecu.name)
        watch = fleet.watch()
        fleet.start_vehicle()
        fleet.order(release)
        wait_for(lambda: all(watch.look().noted("prepare", ecu) for ecu in ECUS), "all are prepared")
        wait_for(lambda: watch.look().noted("gate", None, "no time has been attested"), "the gate says why it is shut")
        assert not watch.noted("activate")
        assert none_is_new(fleet, release)
        fleet.start("time-service")


def test_all_three_servers_are_away_and_come_back(road: Road) -> None:
    with updated(road) as (fleet, release):
        fleet.kill(TELEMATICS.name)
        watch = fleet.watch()
        fleet.order(release)
        for server in SERVERS:
            fleet.kill(server)
        fleet.start(TELEMATICS.name)
        wait_for(lambda: watch.look().ended("UNREACHABLE"), "a cycle without servers")
        fleet.serve()


# ----------------------------------------------------------------------------------------------------------- disks


@contextmanager
def full_disk(fleet: Fleet, name: str, octets: int) -> Iterator[None]:
    """No file of this process can grow beyond `octets`, as on a disk that is full."""
    before = resource.prlimit(fleet.pid(name), resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))
    yield
    resource.prlimit(fleet.pid(name), resource.RLIMIT_FSIZE, before)


def test_a_full_disk_of_the_primary(road: Road) -> None:
    with updated(road) as (fleet, release):
        fleet.world.progress.write_bytes(b"")  # what it shows has to fit, or nobody would see what becomes of it
        watch = fleet.watch()
        with full_disk(fleet, TELEMATICS.name, 20_000):
            fleet.order(release)
            (cycle, *_) = wait_for(lambda: watch.look().ended("STORAGE"), "storage fails")
            assert "File too large" in cycle["text"]
            assert none_is_new(fleet, release)
            assert fleet.told_by(TELEMATICS)["damaged"] == []


def test_a_primary_without_room_says_so_before_it_downloads(still: Fleet, tmpfs: Callable[[Path, int], None]) -> None:
    """A disk that really is full: records still fit, images do not."""
    fleet = still
    tmpfs(fleet.ecu(TELEMATICS) / "state" / "cache", 150_000)
    fleet.start_all()
    watch = fleet.watch()
    fleet.order(2)
    (cycle, *_) = wait_for(lambda: watch.look().ended("STORAGE"), "storage fails")
    assert "octets" in cycle["text"]
    assert not watch.noted("activate")
    tmpfs(fleet.ecu(TELEMATICS) / "state" / "cache", 10_000_000)
    prove(fleet, 2)


@pytest.fixture
def tmpfs() -> Iterator[Callable[[Path, int], None]]:
    """Give a folder a disk of its own of so many octets, or resize that."""
    mounted: list[Path] = []

    def mount(folder: Path, octets: int) -> None:
        again = folder in mounted
        folder.mkdir(parents=True, exist_ok=True)
        options = f"size={octets}" + (",remount" if again else "")
        done = start_and_end("mount", "-t", "tmpfs", "-o", options, "none", str(folder))
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        if not again:
            mounted.append(folder)

    yield mount
    for folder in mounted:
        start_and_end("umount", "--lazy", str(folder))


def test_a_full_disk_of_a_secondary(road: Road) -> None:
    with updated(road) as (fleet, release):
        watch = fleet.watch()
        with full_disk(fleet, BRAKE.name, 20_000):
            fleet.order(release)
            wait_for(lambda: watch.look().noted("trouble", BRAKE), "the brake cannot store")
            wait_for(lambda: watch.look().ended("TRYING"), "the Primary tries again later")
            assert none_is_new(fleet, release)


def test_a_full_disk_of_the_director(road: Road) -> None:
    with updated(road) as (fleet, release):
        before = fleet.vehicle_status()
        with full_disk(fleet, "director", 1_000):
            with pytest.raises(DemoFailure) as refused:
                fleet.order_by_command(release)
            assert "disk" in str(refused.value).rpartition("exit code")[2]
            after = fleet.vehicle_status()
            assert [ecu["wanted"] for ecu in after["ecus"]] == [None] * len(ECUS)
            assert after["targets_version"] == before["targets_version"]
        fleet.order(release)


# ---------------------------------------------------------------------------------------------------------- clocks


def test_no_ecu_cares_what_its_own_clock_says(still: Fleet) -> None:
    """Time comes from attestations. TLS alone reads the system's clock, which a board raises to the floor first."""
    fleet = still
    for ecu in ECUS:
        fleet.set_clock(ecu.name, "= 1")  # 1970
    fleet.start_all()
    fleet.order(2)
    prove(fleet, 2)
    for ecu in ECUS:
        fleet.set_clock(ecu.name, "1e9")  # in thirty years
    fleet.order(3)
    prove(fleet, 3)
    assert "1970-01-01" in fleet.said(BRAKE.name)


def test_a_time_service_in_1970_says_nothing(still: Fleet) -> None:
    fleet = still
    fleet.set_clock("time-service", "0")
    fleet.start_all()
    fleet.set_clock("time-service", "= 60")
    for ecu in ECUS:
        fleet.kill(ecu.name)
    watch = fleet.watch()
    fleet.start_vehicle()
    fleet.order(2)
    wait_for(lambda: watch.look().noted("gate", None, "no time has been attested"), "the gate says why it is shut")
    assert none_is_new(fleet, 2)
    assert "has certainly passed: set it" in fleet.tail("time-service")
    fleet.set_clock("time-service", "0")
    prove(fleet, 2)
    fleet.set_clock("time-service", "= 60")
    assert fleet.end("time-service") == 0
    with pytest.raises(DemoFailure, match="has certainly passed: set it"):
        fleet.start("time-service")
    fleet.crew.running.pop("time-service")


def test_a_director_in_1970_changes_nothing(still: Fleet) -> None:
    fleet = still
    fleet.set_clock("director", "0")
    fleet.start_all()
    fleet.order(2)
    prove(fleet, 2)
    fleet.set_clock("director", "= 60")
    with pytest.raises(DemoFailure, match="clock"):
        fleet.order_by_command(3)
    fleet.set_clock("director", "0")
    fleet.order_by_command(3)
    prove(fleet, 3)


# --------------------------------------------------------------------------------------------------------- records


GENERATION = slice(10, 18)  # of a record's file, ascending as octets do


def cut(file: Path) -> None:
    """Half of a file is lost."""
    octets = file.read_bytes()
    file.write_bytes(octets[: len(octets) // 2])


def newest(record: str) -> Path | None:
    """The newest generation of a record; None when there is no such record any more."""
    generations = [file for number in (0, 1) if (file := Path(f"{record}~{number}")).exists()]
    return max(generations, key=lambda file: file.read_bytes()[GENERATION], default=None)


@pytest.mark.parametrize("ecu", [TELEMATICS, BRAKE, CAMERA], ids=lambda ecu: ecu.name)
def test_the_newest_of_each_record_is_cut_short(road: Road, ecu: EcuOfDemo) -> None:
    """One after the other: the ECU comes up each time without a person, and the vehicle takes its update."""
    with updated(road) as (fleet, release):
        if road.release == FACTORY:  # what provisioning wrote has one generation: somebody has to look at such a loss
            fleet.order(release % 3 + 2)
            prove(fleet, release % 3 + 2)
        fleet.kill(ecu.name)
        records = {str(file)[:-2] for file in (fleet.ecu(ecu) / "state").rglob("*~[01]")}
        for record in sorted(records):
            if (file := newest(record)) is not None:
                cut(file)
                fleet.start(ecu.name)
                fleet.wait_until_up(ecu.name)
                fleet.kill(ecu.name)
        fleet.start(ecu.name)
        fleet.order(release)


def test_the_directors_database_is_cut_short(road: Road) -> None:
    with updated(road) as (fleet, release):
        database = fleet.folder / "director" / "state" / "director.db"
        assert fleet.end("director") == 0
        backup = database.read_bytes()
        cut(database)
        damaged = database.read_bytes()
        with pytest.raises(DemoFailure) as refused:
            fleet.start("director")
        fleet.crew.running.pop("director")
        assert "Traceback" not in str(refused.value)
        assert "director.db" in str(refused.value)
        assert database.read_bytes() == damaged, "what can still be saved is saved by a person"
        database.write_bytes(backup)
        fleet.start("director")
        fleet.order(release)


# -------------------------------------------------------------------------------------------------------- the vehicle


def test_a_silent_ecu_is_admitted_as_silent_and_shown(road: Road) -> None:
    with updated(road) as (fleet, release):
        refused = fleet.vehicle_status()["refused"]
        fleet.kill(CAMERA.name)
        wait_for(lambda: fleet.status()[CAMERA.name]["silent_since"], "the Director knows that the camera is silent")
        fleet.order(release)
        prove(fleet, release, OTHERS)
        camera = fleet.status()[CAMERA.name]
        assert "silent" in camera["held_back"]
        assert camera["wanted"]["filename"] == filename(CAMERA, release)
        assert camera["reported"]["filename"] != filename(CAMERA, release), "its last report stands"
        assert fleet.vehicle_status()["refused"] == refused, "nothing is wrong with such a manifest"
        fleet.start(CAMERA.name)
        wait_for(lambda: not fleet.status()[CAMERA.name]["silent_since"], "the camera is back")


def test_a_failed_self_test_rolls_everybody_back_and_is_not_tried_again(road: Road) -> None:
    with road.trip() as (fleet, bad):
        config = fleet.ecu(BRAKE) / "config.toml"
        text = config.read_text()
        judge = f"import sys; sys.exit(b'release {bad}' in open(sys.argv[1], 'rb').read(100))"
        config.write_text(f"{text}\n[self_test]\ncommand = {json.dumps([sys.executable, '-c', judge])}\n")
        restart(fleet, BRAKE)
        watch = fleet.watch()
        fleet.order(bad)
        wait_for(lambda: watch.look().ended("ROLLED_BACK"), "it is rolled back")
        wait_for(lambda: fleet.status()[BRAKE.name]["outcome"] == "selfTestFailed", "the Director knows why")
        wait_for(lambda: fleet.runs(road.release), "all run what they ran before")
        assert {ecu["outcome"] for ecu in fleet.status().values()} == {"rolledBack", "selfTestFailed"}
        watch = fleet.watch()
        wait_for(lambda: len(watch.look().ended("IDLE")) >= 3, "three more cycles")
        assert not watch.noted("activate")
        config.write_text(text)
        restart(fleet, BRAKE)
        fleet.order(bad % 3 + 2)
        prove(fleet, bad % 3 + 2)
        road.release = bad % 3 + 2


@pytest.mark.parametrize(
    ("shut", "why"),
    [
        ("parked no\nminutes 60\nconsent any\n", "parked"),
        ("parked yes\nminutes 1\nconsent any\n", "energy"),
        ("parked yes\nminutes 60\nconsent " + "00" * 32 + "\n", "nobody has agreed"),
        ("", "parked"),
    ],
    ids=["not parked", "no energy", "no consent", "nobody says"],
)
def test_the_gate_is_waited_at(road: Road, shut: str, why: str) -> None:
    with updated(road) as (fleet, release):
        gate = fleet.ecu(TELEMATICS) / "gate"
        opened = gate.read_text()
        gate.write_text(shut)
        watch = fleet.watch()
        fleet.order(release)
        wait_for(lambda: watch.look().ended("WAITING"), "the gate is found shut")
        assert watch.noted("gate", None, why), watch.notes
        assert not watch.noted("activate")
        assert none_is_new(fleet, release)
        gate.write_text(opened)


def test_an_interlock_that_says_unsafe_is_waited_for(road: Road) -> None:
    with updated(road) as (fleet, release):
        (fleet.ecu(BODY) / "interlock").write_text("unsafe\n")
        watch = fleet.watch()
        fleet.order(release)
        wait_for(lambda: watch.look().ended("TRYING") or watch.ended("WAITING"), "the body is not ready")
        assert not watch.noted("activate")
        assert none_is_new(fleet, release)
        (fleet.ecu(BODY) / "interlock").write_text("safe\n")


def test_two_testers_at_once(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """One conversation at a time: the second tester and the Primary are told to wait, and reads are for all."""
    with updated(road) as (fleet, release):
        with workshop.plugged_in(fleet.world.buses[BRAKE.bus], BRAKE.address) as first:
            assert first.session(3) is None
            monkeypatch.setattr(workshop, "SOURCE", 0xF6)
            with workshop.plugged_in(fleet.world.buses[BRAKE.bus], BRAKE.address) as second:
                assert second.session(3) == 0x21
                assert second.routine(0xFF00) == 0x21
                assert second.download(0xFA000000, bytes(10)) == 0x21
                assert second.restart() == 0x21
                assert len(second.read(workshop.STATUS)) > 50
                assert first.session(3) is None, "nothing was taken from the first"
                assert first.session(1) is None
                assert second.session(3) is None
                assert first.session(3) == 0x21
                assert second.session(1) is None
        fleet.order(release)


def test_a_tester_who_stays_delays_the_update_no_longer_than_his_session(road: Road) -> None:
    with (
        updated(road) as (fleet, release),
        workshop.plugged_in(fleet.world.buses[BODY.bus], BODY.address) as tester,
    ):
        watch = fleet.watch()
        assert tester.session(2) is None
        fleet.order(release)

        def kept_busy() -> Watch | None:
            assert tester.session(2) is None, "his session lives as long as he speaks"
            return watch if watch.look().noted("trouble", BODY) else None

        wait_for(kept_busy, "the Primary is told that the body is busy", every=0.5)
        assert not watch.noted("activate")
