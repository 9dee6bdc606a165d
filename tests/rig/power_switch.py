"""The power switch of an ECU that is a process, its interlock, and the self-test of its images.

power_switch.py on|off FOLDER, board FOLDER on|off, interlock FOLDER WORD, self-test SLOT
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEGINS = {b"FAILS ": 1, b"HANGS ": None}


def on(folder: Path) -> None:
    if (folder / "pid").exists():
        return
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *program(folder), "run", "--config", str(folder / "config.toml")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))


def program(folder: Path) -> list[str]:
    """The Secondary, or one with a defect that a test has put beside its settings."""
    defect = folder / "defect.py"
    return [str(defect)] if defect.exists() else ["-m", "secondary"]


def off(folder: Path) -> None:
    try:
        pid = int((folder / "pid").read_text())
    except FileNotFoundError:
        return
    (folder / "pid").unlink()
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def self_test(slot: Path) -> int:
    with slot.open("rb") as file:
        code = BEGINS.get(file.read(6), 0)
    if code is None:
        threading.Event().wait()
    return code or 0


def board(folder: Path, word: str) -> None:
    """As `python -m firmware power` does, and as quickly as a switch: nothing has to be imported for it."""
    os.kill(int(state(folder)["pid"]), signal.SIGUSR2 if word == "on" else signal.SIGUSR1)
    while state(folder)["power"] != (word == "on"):
        threading.Event().wait(0.01)


def state(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "board.json").read_text())
    return told


match sys.argv[1:]:
    case ["board", where, word]:
        board(Path(where), word)
    case ["on", where]:
        on(Path(where))
    case ["off", where]:
        off(Path(where))
    case ["interlock", where, word]:
        (Path(where) / "interlock").write_text(word)
    case ["self-test", path]:
        sys.exit(self_test(Path(path)))
    case _:
        sys.exit(__doc__)
