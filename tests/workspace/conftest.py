from pathlib import Path

import pytest
from workspace_worlds import make_workspace

from frugalseg.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "work")
