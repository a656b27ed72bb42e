"""Class prototypes: what the specialist's features of a class look like in one case, and where else they look so.

Source: GM-ABS (Xu et al., IEEE TMI 2025), class-specific prompts, after its code: prototypes by confidence-weighted
pooling, similarity as a softmax of 20 times the cosine.

| paper, code | here |
|---|---|
| S, softmax scores of the teacher | `probabilities` (C, *space) |
| Fm, features of its last stage | `features` (F, *space) |
| yhat | `Belief.predicted` |
| P_c | `Prototypes.vectors` |
| Q, q | `Belief.similarity`, `Belief.classes` |

We differ: any number of classes; a class without a prototype is nowhere similar (a cosine of 0 would beat a negative
one); the voxels that an expert has drawn have a say in the prototypes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from pydantic import Field

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError
from frugalseg.settings import Settings


class PrototypeSettings(Settings):
    """How prototypes are made and compared."""

    expert_share: float = Field(0.5, ge=0, le=1)  # of the expert's voxels in a prototype; ours, GM-ABS has 0
    sharpness: float = Field(20.0, gt=0)  # factor of the cosine before the softmax; GM-ABS


@dataclass(frozen=True, eq=False)
class Prototypes:
    """One direction of the feature space a class: `vectors` (C, F) of length 1, 0 where the class has none."""

    vectors: Float32[np.ndarray, "C F"]

    @property
    def present(self) -> Bool[np.ndarray, " C"]:
        """Which classes have a prototype."""
        return np.asarray(self.vectors.any(1))


@dataclass(frozen=True, eq=False)
class Belief:
    """What the specialist holds of a case, or of a slice of it: the source of all prompts.

    `predicted` (*space) are its classes, `classes` (*space) those by prototype, from which boxes are made, and
    `similarity` (C, *space) how much each voxel looks like each class, summing to 1.
    """

    predicted: UInt8[np.ndarray, "*space"]
    classes: UInt8[np.ndarray, "*space"]
    similarity: Float[np.ndarray, "C *space"]

    def slice(self, axis: int, index: int) -> "Belief":
        """The slice at `index` across `axis`; a 2D belief, which has no slices, is its own (axis -1)."""
        if axis < 0:
            return self
        return Belief(
            np.take(self.predicted, index, axis),
            np.take(self.classes, index, axis),
            np.take(self.similarity, index, axis + 1),
        )


def believe(
    probabilities: Float[np.ndarray, "C *space"],
    features: Float[np.ndarray, "F *space"] | None = None,
    *,
    expert: UInt8[np.ndarray, "*space"] | None = None,
    known: Prototypes | None = None,
    settings: PrototypeSettings | None = None,
) -> Belief:
    """The belief of one case from a model's probabilities and features.

    `expert` is what was drawn of this case (`UNKNOWN` elsewhere), `known` are prototypes of other drawn cases by the
    same model; the case's own come first, and with an `expert_share` of 0 neither says anything. Without features there
    are no prototypes: the prediction stands for the prototypes' classes and the probabilities for the similarity.
    Raises `DataError` for arrays that do not fit.
    """
    settings = settings or PrototypeSettings()
    predicted = np.asarray(probabilities.argmax(0), np.uint8)
    if features is None:
        return Belief(predicted, predicted, np.asarray(probabilities, np.float32))
    _check(probabilities, features, expert)
    prototypes = predicted_prototypes(probabilities, features)
    drawn = [expert_prototypes(features, expert, len(probabilities))] if expert is not None else []
    drawn += [known] if known is not None else []
    if drawn and settings.expert_share > 0:
        prototypes = blended(prototypes, first_known(drawn), settings.expert_share)
    similarity = similarity_maps(features, prototypes, sharpness=settings.sharpness)
    return Belief(predicted, np.asarray(similarity.argmax(0), np.uint8), similarity)


def predicted_prototypes(
    probabilities: Float[np.ndarray, "C *space"], features: Float[np.ndarray, "F *space"]
) -> Prototypes:
    """The mean feature of the voxels that are predicted as each class, weighted by their probability of it."""
    winner = probabilities.argmax(0)
    weights = np.stack([np.where(winner == c, p, 0) for c, p in enumerate(probabilities)])  # (C, *space)
    return _pooled(weights, features)


def expert_prototypes(
    features: Float[np.ndarray, "F *space"], label: UInt8[np.ndarray, "*space"], n_classes: int
) -> Prototypes:
    """The mean feature of the voxels that somebody has drawn as each class."""
    return _pooled(np.stack([label == c for c in range(n_classes)]), features)


def mean_prototypes(several: Sequence[Prototypes]) -> Prototypes:
    """The mean direction of each class over those of several cases that have it; at least one case."""
    return Prototypes(_unit(np.sum([p.vectors for p in several], 0)))


def first_known(ranked: Sequence[Prototypes]) -> Prototypes:
    """Of each class the first prototype that is there; at least one entry."""
    vectors = ranked[0].vectors
    for other in ranked[1:]:
        vectors = np.where(Prototypes(vectors).present[:, None], vectors, other.vectors)
    return Prototypes(vectors)


def blended(predicted: Prototypes, expert: Prototypes, share: float) -> Prototypes:
    """Directions between both, `share` of the way to the expert's; where only one has the class, that one."""
    mixed = (1 - share) * predicted.vectors + share * expert.vectors
    both = (predicted.present & expert.present)[:, None]
    return Prototypes(_unit(np.where(both, mixed, predicted.vectors + expert.vectors)))


def similarity_maps(
    features: Float[np.ndarray, "F *space"], prototypes: Prototypes, *, sharpness: float = 20.0
) -> Float32[np.ndarray, "C *space"]:
    """The softmax over classes of `sharpness` times the cosine of each voxel's feature and each prototype.

    A class without a prototype gets 0 everywhere; where none has one, all is background.
    """
    flat = np.asarray(features, np.float32).reshape(len(features), -1)
    lengths = np.maximum(np.linalg.norm(flat, axis=0), 1e-8)
    scores = sharpness * (prototypes.vectors @ flat) / lengths  # (C, voxels)
    absent = ~prototypes.present
    scores[absent] = -np.inf
    if absent.all():
        scores[0] = 0
    scores = np.exp(scores - scores.max(0))
    maps = scores / scores.sum(0)
    return np.asarray(maps.reshape(-1, *features.shape[1:]), np.float32)


def _pooled(weights: np.ndarray, features: np.ndarray) -> Prototypes:
    """Features summed with the weights (C, *space), as directions: the weights' sum has no say in a cosine."""
    flat = np.asarray(features, np.float32).reshape(len(features), -1)
    return Prototypes(_unit(np.asarray(weights, np.float32).reshape(len(weights), -1) @ flat.T))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 1e-8, vectors / np.maximum(lengths, 1e-8), 0), np.float32)


def _check(probabilities: np.ndarray, features: np.ndarray, expert: np.ndarray | None) -> None:
    space = probabilities.shape[1:]
    if features.shape[1:] != space:
        raise DataError(f"features of shape {features.shape} and probabilities of {probabilities.shape} do not fit")
    if expert is not None and expert.shape != space:
        raise DataError(f"a drawn label of shape {expert.shape} does not fit a case of {space}")
    if expert is not None and ((expert >= len(probabilities)) & (expert != UNKNOWN)).any():
        raise DataError(f"a drawn label holds classes beyond the {len(probabilities)} of the probabilities")
