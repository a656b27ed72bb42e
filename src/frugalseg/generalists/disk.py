"""What happens when the disk is full: one sentence instead of an errno."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frugalseg.errors import DiskFull

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_in(folder: Path, advice: str) -> Iterator[None]:
    """Raises `DiskFull`, which names the folder and gives the advice, when what is written inside finds no room."""
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFull(f"{folder}: the disk is full; {advice}") from None
    except SafetensorError as error:
        if not any(f"os error {code}" in str(error) for code in FULL):  # it keeps the errno in its text only
            raise
        raise DiskFull(f"{folder}: the disk is full; {advice}") from None
