"""Whether an embedding knows who belongs together: what lies nearest to each picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalseg.seeds import stream
from frugalseg.strategies.embedding.groups import families_of
from frugalseg.strategies.embedding.pictures import Picture

QUERIES = 2000
"""Pictures that are asked about, spread over the pool."""

NEAREST = 5
"""Neighbours that are looked at, fewer where a picture has fewer relatives."""


@dataclass(frozen=True)
class Retrieval:
    """Shares of nearest neighbours that are relatives, and what a random embedding would reach; None: no relatives.

    `volume`: slices of the same volume, but not those beside it, among these and other patients' slices. `patient`:
    slices of the patient's other volumes among all other volumes. `position`: how far apart in their volumes (0 to 1)
    a slice and the nearest slice of another patient lie; less is better.
    """

    volume: float | None
    volume_chance: float | None
    patient: float | None
    patient_chance: float | None
    position: float | None
    position_chance: float | None


def retrieval(features: np.ndarray, pictures: Sequence[Picture]) -> Retrieval:
    """How well neighbours are found among features (N, D) of length 1."""
    families = families_of(pictures)
    position = np.array([picture.position for picture in pictures])
    n = len(pictures)
    queries = np.sort(stream(0, "retrieval").permutation(n)[:QUERIES])
    found: dict[str, list[tuple[float, float]]] = {"volume": [], "patient": [], "position": []}
    for q in queries:
        closeness = features @ features[q]
        same_volume = families.volume == families.volume[q]
        same_patient = families.patient == families.patient[q]
        beside = same_volume & (np.abs(families.index - families.index[q]) <= 1)
        found["volume"] += _hits(closeness, same_volume & ~beside, same_volume & ~beside | ~same_patient)
        found["patient"] += _hits(closeness, same_patient & ~same_volume, ~same_volume)
        if pictures[q].at.n > 1 and not same_patient.all():
            gap = np.abs(position - position[q])
            nearest = int(np.where(same_patient, -np.inf, closeness).argmax())
            found["position"].append((float(gap[nearest]), float(gap[~same_patient].mean())))
    means = {name: np.mean(pairs, 0).tolist() if pairs else (None, None) for name, pairs in found.items()}
    return Retrieval(*means["volume"], *means["patient"], *means["position"])


def _hits(closeness: np.ndarray, wanted: np.ndarray, among: np.ndarray) -> list[tuple[float, float]]:
    """Share of the nearest that are wanted, beside the share by chance; nothing where nobody is wanted."""
    k = min(NEAREST, int(wanted.sum()))
    if not k:
        return []
    nearest = np.argsort(-np.where(among, closeness, -np.inf), kind="stable")[:k]
    return [(float(wanted[nearest].mean()), float(wanted.sum() / among.sum()))]
