"""Goes through the warm campaign of `test_warm` in forks of itself that kill themselves: ``FOLDER``, as a script.

Twice after some stages and twice while a file of labels is half written; then it is let go to its end.
"""

import io
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

import lightning_fabric  # noqa: F401  (before the forks: once instead of in each)
import numpy as np
from test_warm import GM_ABS, gone_through

from frugalseg.generalists import registry
from killing import in_a_fork, kill
from view_worlds import BrightInBox


def until_half_a_label(folder: Path, which: int) -> None:
    """Kills itself when half of the bytes of a labels' file are written, the first or a later one of this process."""
    real, count = np.savez_compressed, itertools.count()

    def half(file: Any, *args: Any, **arrays: Any) -> None:
        if next(count) < which:
            return real(file, *args, **arrays)
        whole = io.BytesIO()
        real(whole, *args, **arrays)
        file.write(whole.getvalue()[: whole.tell() // 2])
        file.flush()
        return kill()

    np.savez_compressed = half
    gone_through(folder, settings=GM_ABS)


def until_a_stage(folder: Path, stages: int) -> None:
    """Kills itself after so many stages."""
    gone_through(folder, stages, GM_ABS, close=kill)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    registry.build_generalist = lambda name, **_: BrightInBox()
    assert in_a_fork(lambda: until_half_a_label(folder, 3)) == -signal.SIGKILL
    assert in_a_fork(lambda: until_a_stage(folder, 8)) == -signal.SIGKILL
    assert in_a_fork(lambda: until_half_a_label(folder, 5)) == -signal.SIGKILL
    assert in_a_fork(lambda: until_a_stage(folder, 6)) == -signal.SIGKILL
    assert in_a_fork(lambda: gone_through(folder, settings=GM_ABS)) == 0
