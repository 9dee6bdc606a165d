"""What ends the demo in the middle of starting a process leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.processes import Crew


def interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def test_a_signal_in_the_middle_of_a_start_waits_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(tmp_path)
    before = signal.signal(signal.SIGTERM, interrupt)

    class Slow(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            os.kill(os.getpid(), signal.SIGTERM)  # the process runs, and nobody has been told of it

    try:
        monkeypatch.setattr("demo.processes.subprocess.Popen", Slow)
        with pytest.raises(KeyboardInterrupt):
            crew.start("server", "http.server", "0")
        assert signal.getsignal(signal.SIGTERM) is interrupt
        started = crew.running["server"]
    finally:
        signal.signal(signal.SIGTERM, before)
        crew.stop()
    assert started.poll() is not None
