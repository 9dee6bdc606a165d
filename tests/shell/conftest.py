"""What the process tests share."""

from pathlib import Path

import pytest

from tests.shell.repository_process import answer, secret_file


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository just founded, not served; tests copy it, for founding takes two seconds."""
    folder = tmp_path_factory.mktemp("founded")
    answer("init", folder / "repo", "--passphrase-file", secret_file(folder), "--port", 0, "--operator-port", 0)
    return folder / "repo"
