"""What the names and the Info files of ACDC say: patient, frame, slice, phase. Read here, at the door, nowhere else.

Source: the data set of Bernard et al., TMI 2018, and the names that WSL4MIS gives to its slices.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frugalseg.errors import DataError

_NAME = re.compile(r"(patient\d+)_frame(\d+)(?:_slice_(\d+))?")


@dataclass(frozen=True)
class FrameName:
    """``patient001_frame12`` or ``patient001_frame12_slice_10``: all digits of a number count."""

    patient: str
    frame: int
    volume: str
    slice: int | None


def parse_name(name: str) -> FrameName | None:
    """What a name says; None for one that is of another form."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    volume = name[: match.start(3) - len("_slice_")] if match[3] else name
    return FrameName(match[1], int(match[2]), volume, int(match[3]) if match[3] else None)


def read_info(path: Path) -> dict[str, str]:
    """The lines ``key: value`` of a patient's Info.cfg. Raises `DataError` unless ED and ES are numbers of frames."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as the Info file of an ACDC patient ({error})") from None
    info = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines if ":" in line)}
    for phase in ("ED", "ES"):
        if not info.get(phase, "").isdigit():
            raise DataError(f"{path}: the line '{phase}: N' with the number of a frame is missing; copy the file again")
    return info


def phase_of(info: Mapping[str, str], frame: int) -> str:
    """ED or ES, or nothing for a frame that is neither."""
    return next((phase for phase in ("ED", "ES") if int(info[phase]) == frame), "")
