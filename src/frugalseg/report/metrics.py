"""How metrics are called and written for people: title, direction, digits."""

import math

_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "nsd": "NSD",
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "pq": "PQ",
    "aubc": "AUBC",
    "hd95_mm": "HD95 (mm)",
    "hd95": "HD95 (voxels)",
    "asd_mm": "ASD (mm)",
    "asd": "ASD (voxels)",
    "instance_f1": "Instance F1",
    "seconds": "Time (s)",
    "choice_seconds": "Choice (s)",
    "noc80": "Clicks to 0.80 IoU",
    "noc90": "Clicks to 0.90 IoU",
    "score_rank": "Score ranking",
    "embed_ms": "Embedding (ms)",
    "decode_ms": "Decoding (ms)",
}
_LOWER_IS_BETTER = ("hd95", "asd", "seconds", "noc", "count_error", "area_error", "porosity_error", "d50_error", "ged")


def title(key: str) -> str:
    """The name of a metric on the page: ``dice_anterior`` -> ``Dice anterior``."""
    if key in _TITLES:
        return _TITLES[key]
    stem = next((k for k in sorted(_TITLES, key=len, reverse=True) if key.startswith(k + "_")), None)
    if stem is None:
        return key.replace("_", " ")
    return f"{_TITLES[stem]} {key[len(stem) + 1 :].replace('_', ' ')}"


def lower_is_better(key: str) -> bool:
    """True for distances, errors, clicks and times."""
    return key.startswith(_LOWER_IS_BETTER) or key.endswith(("_ms", "_seconds"))


def text(key: str, value: float) -> str:
    """The number with the digits that this metric deserves."""
    return f"{value:.{digits(key)}f}"


def signed(key: str, value: float) -> str:
    """The number with its sign, and a true minus."""
    return f"{'−' if value < 0 else '+'}{text(key, abs(value))}"


def digits(key: str) -> int:
    """Decimals: none for training times, one for other times and counts, two for distances, three for scores."""
    if key == "seconds":
        return 0
    if key.endswith(("_ms", "_seconds")) or key in ("units", "strokes") or key.startswith("noc"):
        return 1
    return 2 if key.startswith(("hd95", "asd")) else 3


def duration(seconds: float) -> str:
    """A duration for people: ``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 99.5 else f"{minutes / 60:.1f} h"


def count(number: float) -> str:
    """A mean count: whole where it is whole, one decimal otherwise."""
    return f"{number:.0f}" if math.isclose(number, round(number), abs_tol=1e-9) else f"{number:.1f}"
