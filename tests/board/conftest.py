"""One vehicle on an emulated board for the tests of this folder: made when the first of them asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.board import root
from tests.board.vehicle import Vehicle, on_a_new_board


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vehicle]:
    """Our packages are installed on a clean Debian, both ECUs are enrolled, and their services run."""
    missing = root.why_not()
    if missing is not None:
        pytest.skip(missing)
    with on_a_new_board(tmp_path_factory.mktemp("board")) as vehicle:
        yield vehicle
