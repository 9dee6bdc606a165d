"""RAUC as the installer of the Primary's own image, over D-Bus (de.pengutronix.rauc.Installer).

The image is a bundle, measured by us before RAUC sees it; its own signature is checked in addition, and replaces
nothing. RAUC may take the bundle file from its owner, so it has to be readable for us after that. A slot is known by
what RAUC says of it right after our installation: if that is another later, somebody else has written it. What left the
factory has no note of ours: then it is in a slot that RAUC has never written, or RAUC knows it by its hash.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    HeaderFields,
    MatchRule,
    Message,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, Proxy, prep_socket
from jeepney.wrappers import unwrap_msg

from primary.needs import Mark
from primary.shell.hook import Command
from primary.shell.installer import InstallerSettings, bounded, down, refused
from primary.shell.installer_command import restart_by
from uptane.errors import Rejected, StorageFailure
from uptane.model.reports import InstalledImage
from uptane.shell.files import sync

RAUC: Final = DBusAddress("/", "de.pengutronix.rauc", "de.pengutronix.rauc.Installer")
LOGIND: Final = DBusAddress("/org/freedesktop/login1", "org.freedesktop.login1", "org.freedesktop.login1.Manager")
CALL_S: Final = 25.0  # for everything but an installation: D-Bus's own patience
BUNDLE_MODE: Final = 0o644  # below a folder of ours; RAUC makes the file root's, and takes no bit away but write
FACTS: Final = ("sha256", "size", "status", "installed.timestamp", "installed.count", "bundle.hash")
FORMAT: Final = 1
NOTE_MAX: Final = 65_536

log = logging.getLogger("marque.rauc")


class Rauc:
    """See the module and `Installer`."""

    def __init__(self, settings: InstallerSettings, notes: Path) -> None:
        self._settings = settings
        self._notes = notes
        self._lock = threading.Lock()
        self._connection: DBusConnection | None = None
        self._stopped = False
        self._command = Command()

    def running(self) -> int:
        """The slot that this boot runs."""
        with self._bus(CALL_S) as bus:
            booted = str(self._property(bus, "BootSlot"))
            for slot, facts in enumerate(self._slots(bus)):
                if booted in {self._settings.slots[slot], facts.get("bootname"), facts.get("device")}:
                    return slot
            for slot, facts in enumerate(self._slots(bus)):
                if facts.get("state") == "booted":
                    return slot
        raise down(f"RAUC says that {booted!r} was booted, which is none of {', '.join(self._settings.slots)}")

    def install(self, slot: int, file: Path, image: InstalledImage) -> None:
        """Have RAUC install the bundle `file`, which it puts into the slot that is not booted."""
        try:
            if stat.S_IMODE(file.stat().st_mode) != BUNDLE_MODE:  # the second time it is root's, and as it should be
                file.chmod(BUNDLE_MODE)
        except OSError as error:
            raise down(f"{file}: {error.strerror}") from error
        with self._bus(self._settings.timeout_s) as bus:
            others = self._slots(bus)[1 - slot]
            if others.get("state") != "booted":
                raise down(f"{self._settings.slots[1 - slot]} is not booted, so RAUC would not write slot {slot}")
            self._forget(slot)
        try:
            with self._bus(self._settings.timeout_s) as bus:
                self._install(bus, file)
        except Rejected:
            with suppress(Rejected):  # why it was not installed is what has to be said
                self._keep_selected(1 - slot)
            raise
        self._keep_selected(1 - slot)
        with self._bus(CALL_S) as bus:
            facts = self._slots(bus)[slot]
        if facts.get("status", "ok") != "ok":
            raise refused(f"RAUC says of {self._settings.slots[slot]}: status {facts['status']}")
        self._remember(slot, image, facts)

    def check(self, slot: int, image: InstalledImage) -> None:
        """Pass when RAUC says of the slot what it said after our installation; see the module about the factory's."""
        with self._bus(CALL_S) as bus:
            said = self._slots(bus)[slot]
        name, now, note = self._settings.slots[slot], _facts(said), self._remembered(slot)
        if note is None and said.get("state") == "booted":
            if now and now.get("sha256") != image.sha256.hex():
                raise refused(f"{name} was installed by RAUC, and no note of ours says what: RAUC says {now}")
        elif note != {"format": FORMAT, "image": image.sha256.hex(), "slot": now}:
            raise refused(f"{name} was written again since, and not by us; it is installed anew")

    def mark(self, slot: int, mark: Mark) -> None:
        """Tell the bootloader through RAUC, which hears nobody while it installs: what an earlier start has ordered."""
        with self._bus(self._settings.timeout_s) as bus:
            self._slots(bus)
            self._await_idle(bus)
            self._call(bus, "Mark", "ss", (mark.value, self._settings.slots[slot]))

    def restart(self) -> None:
        """Restart the machine: by the command that is set, else by systemd-logind."""
        if self._settings.restart:
            restart_by(self._command, self._settings.restart)
            return
        with self._bus(CALL_S) as bus:
            _ask(bus, new_method_call(LOGIND, "Reboot", "b", (False,)))

    def stop(self) -> None:
        """End what is under way: whoever waits for an answer gets none."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                _cut(self._connection)
        self._command.stop()

    # ---------------------------------------------------------------------------------------------------- RAUC

    def _keep_selected(self, slot: int) -> None:
        """Select the old slot again: RAUC selects what it installs, unless system.conf: activate-installed=false."""
        with self._bus(CALL_S) as bus:
            if self._call(bus, "GetPrimary")[0] != self._settings.slots[slot]:
                self._call(bus, "Mark", "ss", ("active", self._settings.slots[slot]))

    def _await_idle(self, bus: DBusConnection) -> None:
        """Wait for the end of what RAUC does; a bus that is cut ends it."""
        if self._property(bus, "Operation") == "idle":
            return
        log.warning("RAUC is busy with what an earlier start has ordered, or somebody else: its end is awaited")
        signals = self._listen(bus)
        while self._property(bus, "Operation") != "idle":
            signal = bus.recv_until_filtered(signals)
            if signal.header.fields.get(HeaderFields.member) == "NameOwnerChanged" and not signal.body[2]:
                raise down("RAUC went away in the middle of an installation; journalctl -u rauc")

    def _install(self, bus: DBusConnection, file: Path) -> None:
        """InstallBundle, and wait for Completed. RAUC works on if we go away; the next try finds it busy, and waits."""
        operation = self._property(bus, "Operation")
        if operation != "idle":
            raise down(f"RAUC is busy: {operation}; it is asked again")
        signals = self._listen(bus)
        self._call(bus, "InstallBundle", "sa{sv}", (str(file.absolute()), {}))
        while True:
            signal = bus.recv_until_filtered(signals)
            member = str(signal.header.fields.get(HeaderFields.member))
            if member == "Completed":
                if signal.body[0]:
                    said = str(self._property(bus, "LastError"))
                    raise refused(f"RAUC: {said or 'the installation failed, and LastError is empty'}")
                return
            if member == "NameOwnerChanged" and not signal.body[2]:
                raise down("RAUC went away in the middle of the installation; journalctl -u rauc")
            if member == "PropertiesChanged" and "Progress" in signal.body[1]:
                percent, text, _ = signal.body[1]["Progress"][1]
                log.info("RAUC: %s %%, %s", percent, bounded(str(text)))

    @staticmethod
    def _listen(bus: DBusConnection) -> deque[Message]:
        """What RAUC itself signals, nobody else: any user of the bus may send a signal of that name."""
        dbus = Proxy(message_bus, bus, timeout=CALL_S)
        (owner,) = dbus.GetNameOwner(RAUC.bus_name)
        gone = MatchRule(type="signal", sender=message_bus.bus_name, member="NameOwnerChanged")
        gone.add_arg_condition(0, str(RAUC.bus_name))
        signals: deque[Message] = deque(maxlen=256)
        for rule in (
            MatchRule(type="signal", sender=owner, interface=RAUC.interface, member="Completed"),
            MatchRule(type="signal", sender=owner, interface="org.freedesktop.DBus.Properties"),
            gone,
        ):
            dbus.AddMatch(rule)
            bus.filter(rule, queue=signals)
        return signals

    def _slots(self, bus: DBusConnection) -> tuple[dict[str, Any], dict[str, Any]]:
        """What RAUC says of slot 0 and of slot 1."""
        found = {
            str(name): {str(key): value for key, (_, value) in facts.items()}
            for name, facts in self._call(bus, "GetSlotStatus")[0]
        }
        first, second = self._settings.slots
        for name in (first, second):
            if name not in found:
                names = ", ".join(sorted(found)) or "none"
                raise down(f"RAUC has no slot {name!r}: set [installer] slots to two of its own, which are: {names}")
        return found[first], found[second]

    @staticmethod
    def _call(bus: DBusConnection, member: str, signature: str | None = None, body: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401  (each method has its own answer)
        return _ask(bus, new_method_call(RAUC, member, signature, body))

    @staticmethod
    def _property(bus: DBusConnection, name: str) -> Any:  # noqa: ANN401  (each property has its own type)
        return _ask(bus, Properties(RAUC).get(name))[0][1]

    # --------------------------------------------------------------------------------------------------- D-Bus

    @contextmanager
    def _bus(self, timeout_s: float) -> Iterator[DBusConnection]:
        """A connection for one piece of work, which is cut when its time is over."""
        end = time.monotonic() + timeout_s
        timers: list[threading.Timer] = []
        try:
            connection = self._connect(end, timers)
            try:
                yield connection
            finally:
                with self._lock:
                    self._connection = None
                connection.close()
        except TimeoutError as error:
            raise down(f"D-Bus: no answer in time at {self._settings.bus}") from error
        except DBusErrorResponse as error:
            raise down(_explained(error)) from error
        except OSError as error:
            if time.monotonic() >= end:
                raise down(f"RAUC: no end within {timeout_s:g} s; journalctl -u rauc") from error
            why = error.strerror or error
            raise down(f"D-Bus: {self._settings.bus}: {why}; does dbus run, and is [installer] bus right?") from error
        except (ValueError, TypeError, LookupError) as error:
            raise down(f"RAUC says what nobody understands: {error!r}") from error
        finally:
            for timer in timers:
                timer.cancel()

    def _connect(self, end: float, timers: list[threading.Timer]) -> DBusConnection:
        socket = prep_socket(str(self._settings.bus), timeout=CALL_S)
        timer = threading.Timer(max(0.0, end - time.monotonic()), _cut_socket, (socket,))
        timer.daemon = True
        timers.append(timer)
        timer.start()
        connection = DBusConnection(socket)
        with self._lock:
            self._connection = connection
            if self._stopped:
                _cut(connection)
        return connection

    # --------------------------------------------------------------------------------------------------- notes

    def _note(self, slot: int) -> Path:
        return self._notes / f"rauc{slot}.json"

    def _forget(self, slot: int) -> None:
        try:
            self._note(slot).unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailure(f"{self._note(slot)}: {error.strerror}") from error

    def _remember(self, slot: int, image: InstalledImage, facts: dict[str, Any]) -> None:
        """What tells our installation from another, durably: without it the slot is not started."""
        note = {"format": FORMAT, "image": image.sha256.hex(), "slot": _facts(facts)}
        new = self._note(slot).with_suffix(".new")
        try:
            with new.open("w", encoding="ascii") as file:
                file.write(json.dumps(note))
                file.flush()
                os.fsync(file.fileno())
            new.rename(self._note(slot))
            sync(self._notes)
        except OSError as error:
            raise StorageFailure(f"{self._note(slot)}: {error.strerror}") from error

    def _remembered(self, slot: int) -> Any:  # noqa: ANN401  (whatever is there)
        try:
            with self._note(slot).open(encoding="ascii") as file:
                return json.loads(file.read(NOTE_MAX))
        except (OSError, ValueError, RecursionError):
            return None


def _facts(said: dict[str, Any]) -> dict[str, Any]:
    return {key: said[key] for key in FACTS if key in said}


def _ask(bus: DBusConnection, message: Message) -> Any:  # noqa: ANN401  (each method has its own answer)
    return unwrap_msg(bus.send_and_get_reply(message, timeout=CALL_S))


def _explained(error: DBusErrorResponse) -> str:
    text = str(error.data[0]) if error.data else ""
    if error.name.endswith((".ServiceUnknown", ".NameHasNoOwner")):
        return f"nobody answers for what was asked: {text}; systemctl status rauc"
    if error.name.endswith((".AccessDenied", ".InteractiveAuthorizationRequired", ".AuthFailed")):
        return f"not allowed: {text}; the user of this service needs a rule (docs/integrating.md, Installer)"
    return f"RAUC: {error.name}: {text}"


def _cut(connection: DBusConnection) -> None:
    _cut_socket(connection.sock)


def _cut_socket(socket: Any) -> None:  # noqa: ANN401  (jeepney has no types)
    """Wake whoever reads from it, in another thread."""
    try:
        socket.shutdown(2)
    except OSError:
        log.debug("closed already")
