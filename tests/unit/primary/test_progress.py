"""What people see of a Primary is written as long as it can be; nothing depends on it."""

from __future__ import annotations

import io
import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from primary.cycle import Finished, Result
from primary.needs import Note, Step
from primary.primary import CycleEnded
from primary.shell.progress import JsonLines, Lines, say
from uptane.errors import StorageFailure
from uptane.model.ids import EcuId

NOTE = Note(Step.PREPARE, "prepared", EcuId("brake-1"))
FULL = Path("/dev/full")  # a disk that takes nothing


def test_a_line_for_each_note_and_for_each_cycle(tmp_path: Path) -> None:
    with closing(JsonLines(tmp_path / "progress")) as lines:
        lines.show(NOTE)
        lines.show(CycleEnded(Finished(Result.WAITING, "not parked"), 1_500))
    with closing(JsonLines(tmp_path / "progress")) as lines:  # a restart goes on in the same file
        lines.show(NOTE)
    first, second, third = map(json.loads, (tmp_path / "progress").read_text().splitlines())
    assert first == third == {"step": "prepare", "ecu": "brake-1", "text": "prepared", "done": 0, "total": 0}
    assert second == {"step": "done", "result": "WAITING", "text": "not parked", "pause_s": 1.5}


def test_octets_on_their_way_are_thinned_out(tmp_path: Path) -> None:
    with closing(JsonLines(tmp_path / "progress")) as lines:
        for done in range(1_001):
            lines.show(Note(Step.TRANSFER, "image", EcuId("brake-1"), done, 1_000))
    shown = [json.loads(line)["done"] for line in (tmp_path / "progress").read_text().splitlines()]
    assert shown[0] == 0
    assert shown[-1] == 1_000
    assert len(shown) < 100


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_full_disk_takes_no_line_and_stops_nobody() -> None:
    with closing(JsonLines(FULL)) as lines:
        lines.show(NOTE)


def test_a_log_that_takes_nothing_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    Lines(say).show(NOTE)


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="no/progress"):
        JsonLines(tmp_path / "no" / "progress")
