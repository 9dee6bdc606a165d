"""The C firmware on the emulated board as the ECU of a workshop's tests: provisioned and driven like a process."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from demo.board import emulated
from firmware.tools import flash_file
from tests.builders import BRAKE, SUPPLIER
from tests.peers.secondary_process import READY_S, ROOT, SLOT_SIZE, SecondaryProcess, image_of
from tests.system.builds import build
from uptane.verify.image import installed_image


@dataclass
class BoardProcess(SecondaryProcess):
    """`python -m firmware run` on a bus of its own. A kill takes QEMU with it, as a power cut."""

    def _provision(self) -> None:
        self.factory_octets = build(emulated(), 1)
        pair = self.pair
        pair.offer(BRAKE, image_of(self.factory_octets, 1), SUPPLIER)
        pair.director.issue()
        before = pair.factory[self.ecu]
        super()._provision()
        pair.factory[self.ecu] = after = installed_image(image_of(self.factory_octets, 1))
        (self.folder / "initial" / "image.bin").write_bytes(self.factory_octets)
        text = self.config.read_text().replace(f"slot_size = {SLOT_SIZE}", f"slot_size = {self.slot_size}")
        text = text.replace(f"length = {before.length}", f"length = {after.length}")
        self.config.write_text(text.replace(before.sha256.hex(), after.sha256.hex()))

    @property
    def slot_size(self) -> int:
        """Octets of each slot."""
        return flash_file.layout()["SLOT_SIZE"]

    @property
    def board(self) -> Path:
        """The board's folder."""
        return self.folder / "board"

    def start(self, *, file_octets_max: int | None = None) -> "BoardProcess":
        """Give it power, and wait until it runs; it keeps what its flash holds."""
        assert file_octets_max is None
        words = ["firmware", "run", str(self.board), "--config", str(self.config)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, args=(self.process, said), daemon=True).start()
        try:
            while "is ready on" not in (line := said.get(timeout=READY_S)):
                assert line, "\n".join(self.lines)
        except Empty:
            raise AssertionError("\n".join(self.lines)) from None
        return self

    def slot(self, number: int) -> bytes:
        """What a slot holds."""
        return flash_file.slot(self.board, number)
