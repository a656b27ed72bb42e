"""Which slices meet in a step of contrastive learning: groups of relatives from many patients.

A group is a slice (the anchor), a neighbour of it, another slice of its volume and another slice of its patient, as far
as they are wanted. There is nothing to wait for: who has no such relative brings a smaller group, and small pools make
small batches.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from frugalseg.seeds import stream
from frugalseg.strategies.embedding.pictures import Picture

Companion = Literal["slices", "volumes", "patients"]
"""Whom an anchor brings: a neighbour, another slice of its volume, another slice of its patient."""


@dataclass(frozen=True, eq=False)
class Families:
    """The place in its volume, the volume and the patient of each of N pictures, as numbers.

    A pool of one patient is told apart by its volumes, a pool of one volume by its slices: someone must be a stranger.
    """

    index: Int[np.ndarray, " N"]
    volume: Int[np.ndarray, " N"]
    patient: Int[np.ndarray, " N"]


def families_of(pictures: Sequence[Picture]) -> Families:
    """The families of these pictures by volume, group and index."""
    index = np.array([picture.at.index for picture in pictures], np.int64)
    volume = _numbers([picture.at.volume for picture in pictures])
    patient = _numbers([picture.group for picture in pictures])
    alone = np.arange(len(pictures))
    if patient.max() > 0:
        return Families(index, volume, patient)
    return Families(index, volume, volume) if volume.max() > 0 else Families(index, alone, alone)


def _numbers(names: Sequence[str]) -> np.ndarray:
    return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)


class GroupSampler:
    """Batches of different pictures, each a pure function of the seed and the step.

    Groups of an anchor and up to one of each of its companions come from the patients in a random order, one from each;
    where these are not enough for the batch, everybody gives a second one, and so on until it is full or the pool is
    spent.
    """

    def __init__(
        self,
        families: Families,
        batch: int,
        *,
        seed: int,
        companions: Collection[Companion] = ("slices", "volumes", "patients"),
    ) -> None:
        self.families, self.seed, self.companions = families, seed, companions
        self.batch = min(batch, len(families.index))
        order = np.argsort(families.patient, kind="stable")
        starts = np.flatnonzero(np.diff(families.patient[order])) + 1
        self._members = np.split(order, starts)

    def rows(self, step: int) -> list[int]:
        """The pictures of a step."""
        rng = stream(self.seed, "groups", step)
        taken: dict[int, None] = {}
        while len(taken) < self.batch:
            for patient in rng.permutation(len(self._members)):
                for row in self._group(self._members[patient], taken, rng)[: self.batch - len(taken)]:
                    taken[row] = None
                if len(taken) == self.batch:
                    break
        return list(taken)

    def _group(self, members: np.ndarray, taken: dict[int, None], rng: np.random.Generator) -> list[int]:
        """An anchor of this patient that is not in the batch yet, and its companions; empty when all are."""
        free = [int(row) for row in members if int(row) not in taken]
        if not free:
            return []
        index, volume = self.families.index, self.families.volume
        anchor = free[int(rng.integers(len(free)))]
        group = [anchor]
        for companion, is_one in (
            ("slices", lambda row: volume[row] == volume[anchor] and abs(index[row] - index[anchor]) == 1),
            ("volumes", lambda row: volume[row] == volume[anchor]),
            ("patients", lambda row: True),
        ):
            found = [row for row in free if row not in group and is_one(row)] if companion in self.companions else []
            if found:
                group.append(found[int(rng.integers(len(found)))])
        return group
