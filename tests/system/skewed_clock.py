"""Run a module of ours under a wall clock that is wrong: `python -m tests.system.skewed_clock FILE MODULE ARGUMENTS`.

FILE holds seconds to be added to the clock, or `= SECONDS` for a clock that stands there. It is read whenever the clock
is, so that the clock can jump while the process runs. Only Python is deceived, and gRPC is not: it compares what Python
tells it with the clock it reads by itself.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

_REAL = time.time


def _skewed(file: Path) -> float:
    text = file.read_text().strip()
    return float(text[1:]) if text.startswith("=") else _REAL() + float(text)


def _told(file: Path) -> float:
    asking = str(sys._getframe(2).f_globals.get("__name__"))
    return _REAL() if asking.partition(".")[0] == "grpc" else _skewed(file)


def main() -> None:
    """Deceive, then run the module as if it had been started by itself."""
    file, module = Path(sys.argv[1]), sys.argv[2]
    time.time = lambda: _told(file)
    time.time_ns = lambda: int(_told(file) * 1e9)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
