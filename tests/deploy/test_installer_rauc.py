"""RAUC as the installer, over a real D-Bus: what it is asked, what it may answer, and whoever else is on the bus."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jeepney import new_signal
from jeepney.io.blocking import DBusConnection, prep_socket

from primary.needs import Mark
from primary.shell.installer import TEXT_MAX, InstallerSettings, Kind
from primary.shell.installer_rauc import Rauc
from primary.shell.installing import look_at_installer
from tests.deploy.private_bus import Bus
from tests.peers.rauc_service import ADDRESS, SIGNED
from uptane.errors import Check, Rejected
from uptane.model.ids import Filename
from uptane.model.reports import InstalledImage
from uptane.shell.checkup import Grade

pytestmark = pytest.mark.process


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    made = Bus(tmp_path)
    made.start_rauc()
    yield made
    made.close()


@pytest.fixture
def rauc(bus: Bus) -> Rauc:
    return Rauc(settings(bus), bus.folder)


def settings(bus: Bus, *, timeout_s: int = 60, slots: tuple[str, ...] = ("rootfs.0", "rootfs.1")) -> InstallerSettings:
    return InstallerSettings(Kind.RAUC, slots, bus.socket, timeout_s=timeout_s)


def bundle(bus: Bus, octets: bytes = SIGNED + b"1") -> tuple[Path, InstalledImage]:
    file = bus.folder / "slot1.bin"
    file.unlink(missing_ok=True)
    file.write_bytes(octets)
    file.chmod(0o600)
    return file, InstalledImage(Filename("primary/app-2"), len(octets), sha256(octets).digest(), 2)


def refusal(check: Check, act: object) -> str:
    assert callable(act)
    with pytest.raises(Rejected) as refused:
        act()
    assert refused.value.check is check
    assert len(str(refused.value)) < TEXT_MAX + 200
    return str(refused.value)


def test_installed_in_the_other_slot_which_is_not_selected_before_it_is_to_be(bus: Bus, rauc: Rauc) -> None:
    file, image = bundle(bus)
    assert rauc.running() == 0
    rauc.install(1, file, image)
    rauc.check(1, image)
    assert bus.machine.load()["log"] == ["write 1", "active 1", "active 0"], "RAUC had selected it by itself"
    assert bus.machine.boot() == 0
    rauc.mark(1, Mark.ACTIVE)
    assert bus.machine.boot() == 1
    assert rauc.running() == 1
    rauc.mark(1, Mark.GOOD)
    rauc.mark(0, Mark.BAD)
    assert bus.machine.load()["tries"] == [0, 3]
    assert file.stat().st_mode & 0o777 == 0o644, "RAUC has taken the file, and we have to measure it again"


def test_a_system_conf_that_selects_nothing_by_itself(bus: Bus, rauc: Rauc) -> None:
    bus.behave(keeps_primary=True)
    rauc.install(1, *bundle(bus))
    assert bus.machine.load()["log"] == ["write 1"]


def test_the_same_again_changes_nothing_but_wear(bus: Bus, rauc: Rauc) -> None:
    rauc.install(1, *bundle(bus))
    file, image = bundle(bus)
    rauc.install(1, file, image)
    rauc.check(1, image)
    assert bus.machine.boot() == 0


def test_a_bundle_that_rauc_has_made_its_own_is_installed_again(
    bus: Bus, rauc: Rauc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is not root, and may not change the mode of what is root's."""
    file, image = bundle(bus)
    rauc.install(1, file, image)

    def chmod(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", chmod)
    rauc.install(1, file, image)
    rauc.check(1, image)


def test_a_bundle_that_rauc_refuses(bus: Bus, rauc: Rauc) -> None:
    """Its own signature is one more check, and its words are passed on, to where they end."""
    file, image = bundle(bus, b"not signed by the fleet")
    assert "signature verification failed" in refusal(Check.INSTALLER_REFUSED, lambda: rauc.install(1, file, image))
    assert bus.machine.load()["log"] == []
    refusal(Check.INSTALLER_REFUSED, lambda: rauc.check(1, image))


def test_a_slot_written_by_somebody_else_since(bus: Bus, rauc: Rauc) -> None:
    file, image = bundle(bus)
    rauc.install(1, file, image)
    slots = bus.machine.load()["slots"]
    slots[1]["installed.count"] += 1
    bus.machine.change(slots=slots)
    assert "not by us" in refusal(Check.INSTALLER_REFUSED, lambda: rauc.check(1, image))


def test_what_rauc_has_spoilt_is_not_left_selected(bus: Bus, rauc: Rauc) -> None:
    bus.behave(status="failed")
    assert "status failed" in refusal(Check.INSTALLER_REFUSED, lambda: rauc.install(1, *bundle(bus)))
    assert bus.machine.load()["log"] == ["write 1", "active 1", "active 0"]


def test_an_installation_that_rauc_calls_failed_after_it_selected_it(bus: Bus, rauc: Rauc) -> None:
    bus.behave(late="post-install handler failed")
    assert "post-install" in refusal(Check.INSTALLER_REFUSED, lambda: rauc.install(1, *bundle(bus)))
    assert bus.machine.load()["log"] == ["write 1", "active 1", "active 0"]


def test_what_left_the_factory_has_no_note_of_ours(bus: Bus, rauc: Rauc) -> None:
    """RAUC has never written it, or knows it by its hash; anything else that runs is not known to be it."""
    _, image = bundle(bus)
    rauc.check(0, image)
    refusal(Check.INSTALLER_REFUSED, lambda: rauc.check(1, image))
    there = {"status": "ok", "sha256": image.sha256.hex(), "installed.count": 1}
    bus.machine.change(slots=[there, {}])
    rauc.check(0, image)
    bus.machine.change(slots=[there | {"sha256": "00" * 32}, {}])
    text = refusal(Check.INSTALLER_REFUSED, lambda: rauc.check(0, image))
    assert "rootfs.0 was installed by RAUC, and no note of ours says what" in text


def test_state_that_was_purged_after_an_update(bus: Bus, rauc: Rauc) -> None:
    file, image = bundle(bus)
    rauc.install(1, file, image)
    rauc.mark(1, Mark.ACTIVE)
    bus.machine.boot()
    rauc.check(1, image)
    (bus.folder / "rauc1.json").unlink()
    slots = bus.machine.load()["slots"]
    slots[1]["sha256"] = "11" * 32  # RAUC tells of the image in the bundle
    bus.machine.change(slots=slots)
    refusal(Check.INSTALLER_REFUSED, lambda: rauc.check(1, image))


def test_rauc_is_told_once_it_has_ended_what_an_earlier_start_ordered(bus: Bus, rauc: Rauc) -> None:
    bus.behave(busy=True)
    impatient, listen = Rauc(settings(bus, timeout_s=1), bus.folder), rauc._listen
    assert "no end within 1 s" in refusal(Check.INSTALLER_DOWN, lambda: impatient.mark(0, Mark.ACTIVE))
    assert bus.machine.load()["log"] == [], "RAUC would not have listened"

    def until_idle(connection: DBusConnection) -> Any:
        signals = listen(connection)
        bus.behave()
        return signals

    rauc._listen = until_idle  # type: ignore[method-assign,assignment]
    rauc.mark(0, Mark.ACTIVE)
    assert bus.machine.load()["log"] == ["active 0"]


def test_power_that_fails_in_the_middle_of_an_installation(bus: Bus, rauc: Rauc) -> None:
    file, image = bundle(bus)
    bus.behave(cut=True)
    assert "went away" in refusal(Check.INSTALLER_DOWN, lambda: rauc.install(1, file, image))
    bus.stop_rauc()
    assert bus.machine.boot() == 0, "half a slot boots"
    bus.behave()
    bus.start_rauc()
    refusal(Check.INSTALLER_REFUSED, lambda: rauc.check(1, image))
    rauc.install(1, file, image)
    rauc.check(1, image)


def test_somebody_else_on_the_bus_cannot_say_that_it_is_done(bus: Bus, rauc: Rauc) -> None:
    bus.behave(stuck=True)
    file, image = bundle(bus)
    mallory = DBusConnection(prep_socket(str(bus.socket)))
    slow = Rauc(settings(bus, timeout_s=2), bus.folder)
    send, told = slow._call, []

    def call(connection: DBusConnection, member: str, *rest: Any) -> Any:
        answer = send(connection, member, *rest)
        if member == "InstallBundle":
            mallory.send(new_signal(ADDRESS, "Completed", "i", (0,)))
            told.append(member)
        return answer

    slow._call = call  # type: ignore[method-assign,assignment]
    assert "no end within 2 s" in refusal(Check.INSTALLER_DOWN, lambda: slow.install(1, file, image))
    assert told
    mallory.close()


def test_the_booted_slot_is_never_written(bus: Bus, rauc: Rauc) -> None:
    file, image = bundle(bus)
    bus.machine.change(booted=1)
    assert "not booted" in refusal(Check.INSTALLER_DOWN, lambda: rauc.install(1, file, image))
    assert bus.machine.load()["log"] == []


def test_rauc_is_busy(bus: Bus, rauc: Rauc) -> None:
    bus.behave(busy=True)
    assert "busy" in refusal(Check.INSTALLER_DOWN, lambda: rauc.install(1, *bundle(bus)))


def test_names_that_rauc_does_not_know(bus: Bus) -> None:
    wrong = Rauc(settings(bus, slots=("system0", "system1")), bus.folder)
    assert "which are: rootfs.0, rootfs.1" in refusal(Check.INSTALLER_DOWN, wrong.running)
    (finding,) = look_at_installer(settings(bus, slots=("system0", "system1")), bus.folder)
    assert finding.grade is Grade.BAD


def test_nobody_answers_for_rauc(bus: Bus, rauc: Rauc) -> None:
    bus.stop_rauc()
    assert "systemctl status rauc" in refusal(Check.INSTALLER_DOWN, rauc.running)


def test_no_d_bus_at_all(bus: Bus, rauc: Rauc) -> None:
    bus.close()
    assert "does dbus run" in refusal(Check.INSTALLER_DOWN, rauc.running)
    bus.socket.unlink(missing_ok=True)
    assert "does dbus run" in refusal(Check.INSTALLER_DOWN, rauc.running)


def test_a_restart_that_nobody_grants(bus: Bus, rauc: Rauc) -> None:
    assert "nobody answers" in refusal(Check.INSTALLER_DOWN, rauc.restart)


def test_stopping_ends_an_installation_that_hangs(bus: Bus, rauc: Rauc) -> None:
    bus.behave(stuck=True)
    file, image = bundle(bus)
    send = rauc._call

    def call(connection: DBusConnection, member: str, *rest: Any) -> Any:
        answer = send(connection, member, *rest)
        if member == "InstallBundle":
            rauc.stop()
        return answer

    rauc._call = call  # type: ignore[method-assign,assignment]
    refusal(Check.INSTALLER_DOWN, lambda: rauc.install(1, file, image))
