"""Workers begin with the files that take longest (tests/conftest.py), and the list of these is not one of the past."""

from pathlib import Path

import pytest

from tests.conftest import LONG_S, file_of

ROOT = Path(__file__).resolve().parent.parent


def test_every_long_file_is_there() -> None:
    assert not [name for name in LONG_S if not (ROOT / name).is_file()]


def test_long_files_come_first(request: pytest.FixtureRequest) -> None:
    seconds = [LONG_S.get(file_of(item), 0) for item in request.session.items]
    assert seconds == sorted(seconds, reverse=True)
