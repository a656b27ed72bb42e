"""Seeded phantoms with exact truth: they show that the machinery works; claims are made on real data.

Every picture is made anew when it is read, from (kind, seed, index, shape), so a pool of thousands holds nothing.
"""

from collections.abc import Mapping

from frugalseg.data.case import Case
from frugalseg.data.phantoms.anatomy import ANATOMY
from frugalseg.data.phantoms.bubbles import BUBBLES
from frugalseg.data.phantoms.chambers import CHAMBERS
from frugalseg.data.phantoms.raters import RATED
from frugalseg.data.phantoms.shapes import SHAPES, SHAPES_INSTANCES
from frugalseg.data.phantoms.source import PhantomKind, PhantomSource, PhantomTruth
from frugalseg.data.pool import Pool, Truth
from frugalseg.errors import SettingsError, lookup

PHANTOMS: Mapping[str, PhantomKind] = {
    "anatomy": ANATOMY,
    "chambers": CHAMBERS,
    "bubbles": BUBBLES,
    "shapes": SHAPES,
    "shapes-instances": SHAPES_INSTANCES,
    "raters": RATED,
}


def phantom_pool(kind: str, *, n: int, seed: int = 0, shape: tuple[int, ...] | None = None) -> Pool:
    """A pool of `n` phantoms with their complete labels as hidden truth; ids are KIND-0000, KIND-0001, ...

    `shape` is in voxels, the kind's own by default. Raises `SettingsError` for an unknown kind or a wrong shape.
    """
    made = lookup(PHANTOMS, kind, "phantom")
    shape = shape or made.shape
    if len(shape) != len(made.shape) or min(shape) < made.smallest:
        raise SettingsError(
            f"shape {shape}: a phantom of kind '{kind}' has {len(made.shape)} axes of at least {made.smallest} voxels"
        )
    cases, truths = [], {}
    for index in range(n):
        source = PhantomSource(made, seed, index, shape)
        case = f"{kind}-{index:04d}"
        cases.append(Case(case, case, source.geometry, source))
        truths[case] = {rater: PhantomTruth(source, rater) for rater in made.raters}
    return Pool(cases, made.classes, truth=Truth(truths))
