"""Limits of what others can make a Primary do."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from primary.cycle import Finished, Result
from primary.means import Means
from primary.needs import Blob, Place
from primary.primary import POLL_S_MAX, Pace, _pause_ms
from primary.shell.files import Blobs
from uptane.moments import SECOND_MS


def test_nobody_puts_a_vehicle_to_sleep_for_longer_than_a_day() -> None:
    means = cast("Means", None)  # dice are for failures only
    asked = Finished(Result.IDLE, poll_again_s=2**32 - 1)
    assert _pause_ms(means, Pace(60), asked, 0) == POLL_S_MAX * SECOND_MS
    asked = Finished(Result.IDLE, poll_again_s=7)
    assert _pause_ms(means, Pace(60), asked, 0) == 7 * SECOND_MS


def test_a_stray_file_in_the_cache_is_left_alone(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "cache", tmp_path / "slots")
    blobs.install(Blob(Place.CACHE, "ab12"), b"image")
    (tmp_path / "cache" / "lost+found.txt").write_text("not ours")
    assert blobs.cached() == ("ab12",)
