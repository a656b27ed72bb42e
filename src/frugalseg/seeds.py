"""Random streams: one for each purpose, so that one more draw in one place changes nothing in another."""

import zlib

import numpy as np

from frugalseg.errors import SettingsError


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the purpose only, e.g. ``stream(0, "select", round)``.

    Raises `SettingsError` for a negative seed.
    """
    if seed < 0:
        raise SettingsError(f"seed {seed}: a seed is a whole number from 0 on; choose another")
    return np.random.default_rng([seed, *(zlib.crc32(str(p).encode()) for p in purpose)])


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit integer seed of that stream, for libraries that want a number (torch)."""
    return int(stream(seed, *purpose).integers(0, 2**63 - 1))
