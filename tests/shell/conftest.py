"""What the process tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.primary_site import Site, sites
from tests.shell.repository_process import answer, secret_file


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository just founded, not served; tests copy it, for founding takes two seconds."""
    folder = tmp_path_factory.mktemp("founded")
    answer("init", folder / "repo", "--passphrase-file", secret_file(folder), "--port", 0, "--operator-port", 0)
    return folder / "repo"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A Primary of one ECU with its servers."""
    yield from sites(tmp_path)
