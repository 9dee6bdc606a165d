"""RAUC as far as an installer sees it, on a real bus: slots, bundle signatures, and a bootloader that counts tries.

What outlives a power cut is one JSON file. Run as a process, with a folder and a socket; behave.json in it says how
to behave, and is read at every call.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, HeaderFields, MessageType, message_bus, new_error, new_method_return, new_signal
from jeepney.io.blocking import DBusConnection, Proxy, prep_socket

NAMES = ("rootfs.0", "rootfs.1")
BOOTNAMES = ("A", "B")
SIGNED = b"hsqs signed by the fleet\n"  # what a bundle begins with, here
TRIES = 3
ADDRESS = DBusAddress("/", "de.pengutronix.rauc", "de.pengutronix.rauc.Installer")


class Machine:
    """The flash and the bootloader of one board."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "machine.json"
        if not self.file.exists():
            self.save({"booted": 0, "order": [0, 1], "tries": [TRIES, 0], "slots": [{}, {}], "dead": [], "log": []})

    def load(self) -> Any:
        return json.loads(self.file.read_text())

    def save(self, state: Any) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.rename(self.file)

    def change(self, **changes: Any) -> None:
        self.save(self.load() | changes)

    def boot(self) -> int:
        """Power comes; which slot boots."""
        state = self.load()
        for slot in state["order"]:
            while state["tries"][slot]:
                state["tries"][slot] -= 1
                if slot not in state["dead"]:
                    state["booted"] = slot
                    state["log"].append(f"boot {slot}")
                    self.save(state)
                    return int(slot)
        raise AssertionError("nothing boots any more")


class Service:
    """The D-Bus side."""

    def __init__(self, folder: Path, bus: DBusConnection) -> None:
        self.folder, self.bus, self.machine = folder, bus, Machine(folder)
        self.error = ""
        self.operation = "idle"

    def serve(self) -> None:
        while True:
            message = self.bus.receive()
            if message.header.message_type is MessageType.method_call:
                self._answer(message)

    @property
    def behaviour(self) -> Any:
        file = self.folder / "behave.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def _answer(self, message: Any) -> None:
        member = message.header.fields.get(HeaderFields.member)
        if self.behaviour.get("mute") == member:
            return
        try:
            signature, body = getattr(self, f"_{member.lower()}")(*message.body)
        except LookupError as error:
            self.bus.send(new_error(message, "org.freedesktop.DBus.Error.Failed", "s", (str(error),)))
            return
        self.bus.send(new_method_return(message, signature, body))
        if member == "InstallBundle":
            self._work(Path(message.body[0]))

    def _get(self, _interface: str, name: str) -> Any:
        booted = self.machine.load()["booted"]
        kind, value = {
            "BootSlot": ("s", BOOTNAMES[booted]),
            "Operation": ("s", self.operation if "busy" not in self.behaviour else "installing"),
            "LastError": ("s", self.error),
            "Progress": ("(isi)", (0, "", 0)),
        }[name]
        return "v", ((kind, value),)

    def _getslotstatus(self) -> Any:
        state = self.machine.load()
        names = self.behaviour.get("names", NAMES)
        slots = [
            (
                name,
                {
                    "class": ("s", "rootfs"),
                    "bootname": ("s", BOOTNAMES[slot]),
                    "state": ("s", "booted" if state["booted"] == slot else "inactive"),
                    "boot-status": ("s", "good" if state["tries"][slot] else "bad"),
                    **{
                        key: ("u" if key.endswith("count") else "s", said) for key, said in state["slots"][slot].items()
                    },
                },
            )
            for slot, name in enumerate(names)
        ]
        return "a(sa{sv})", (slots,)

    def _getprimary(self) -> Any:
        state = self.machine.load()
        return "s", (NAMES[next(slot for slot in state["order"] if state["tries"][slot])],)

    def _mark(self, mark: str, name: str) -> Any:
        state, slot = self.machine.load(), NAMES.index(name)
        if mark == "active":
            state["order"] = [slot, 1 - slot]
        state["tries"][slot] = 0 if mark == "bad" else TRIES
        state["log"].append(f"{mark} {slot}")
        self.machine.save(state)
        return "ss", (name, f"marked {name} {mark}")

    def _installbundle(self, source: str, _arguments: Any) -> Any:
        if not Path(source).exists():
            raise LookupError(f"no such file: {source}")
        self.operation = "installing"
        return None, ()

    def _work(self, bundle: Path) -> None:
        """Write the slot that is not booted, then select it: activate-installed is true unless told otherwise."""
        if os.geteuid() == 0:
            os.chown(bundle, 0, 0)
        octets, state = bundle.read_bytes(), self.machine.load()
        slot = 1 - state["booted"]
        signed = octets.startswith(self.behaviour.get("signed", SIGNED.decode()).encode())
        self.error = "" if signed else "signature verification failed: self-signed certificate" * 40
        self._signal(
            "PropertiesChanged", "sa{sv}as", (ADDRESS.interface, {"Progress": ("(isi)", (40, "Copying", 2))}, [])
        )
        if not self.error:
            state["tries"][slot] = 0
            count = state["slots"][slot].get("installed.count", 0)
            state["slots"][slot] = {"status": "pending", "sha256": "", "installed.count": count}
            state["log"].append(f"write {slot}")
            self.machine.save(state)
            if self.behaviour.get("cut"):
                os._exit(9)
            if self.behaviour.get("stuck"):
                return
            status = self.behaviour.get("status", "ok")
            state["slots"][slot] = {
                "status": status,
                "sha256": sha256(octets).hexdigest(),
                "installed.count": count + 1,
            }
            self.machine.save(state)
            if not self.behaviour.get("keeps_primary"):
                self._mark("active", NAMES[slot])
            self.error = self.behaviour.get("late", "")
        self.operation = "idle"
        self._signal("Completed", "i", (1 if self.error else 0,))

    def _signal(self, member: str, signature: str, body: Any) -> None:
        interface = ADDRESS.interface if member == "Completed" else "org.freedesktop.DBus.Properties"
        self.bus.send(new_signal(ADDRESS.with_interface(interface), member, signature, body))


def main() -> None:
    """Serve until killed."""
    folder, socket = Path(sys.argv[1]), sys.argv[2]
    bus = DBusConnection(prep_socket(socket))
    Proxy(message_bus, bus).RequestName(ADDRESS.bus_name)
    print("ready", flush=True)
    Service(folder, bus).serve()


if __name__ == "__main__":
    main()
