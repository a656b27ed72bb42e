"""Confident learning: which of the given labels are probably wrong, judged by a model's probabilities.

Source: Northcutt, Jiang, Chuang: Confident learning: estimating uncertainty in dataset labels (JAIR 2021), with the
details of cleanlab 2.9, `find_label_issues(filter_by="both")`, whose answer this is voxel for voxel:

1 the threshold t_k of a class is the mean p_k over the voxels labelled k;
2 a voxel is confident in the class whose p_k >= t_k, and in the most probable of all when that holds of several;
3 C[s, j] counts the voxels labelled s that are confident in j, scaled to all the voxels labelled s;
4 suspects by class are, of label s, the size_s - C[s, s] voxels of the lowest p_s;
5 suspects by noise rate are, of label s and for each other j, the C[s, j] voxels of the largest p_j - p_s;
6 an issue is suspected by both, and its label is not the most probable class.

Sums, thresholds and differences are in double precision whatever the probabilities are in, so the same holds of
cleanlab when it gets doubles. Where voxels tie at the last place of 4 or 5 cleanlab leaves the choice to an unstable
sort, which answers differently on different processors; here the first voxels in array order are taken.

A class that no voxel is labelled with has a threshold that no voxel reaches. When all voxels have the same label, or
none is known, there are no issues (cleanlab raises an error there, unless all labels are 0). Of several processes each
judges the voxels that it has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import LabelValueError

TOLERANCE = 1e-6
"""How much lower than its threshold, or than another class, a probability may be; cleanlab's."""

LEAST_THRESHOLD = 2e-6
"""Thresholds are at least this; cleanlab's."""

BLOCK = 2**18
"""Voxels that are looked at together, so that what is computed of them stays in the processor's cache; ours."""


def find_label_issues(labels: UInt8[Tensor, "B *space"], p: Float[Tensor, "B C *space"]) -> Bool[Tensor, "B *space"]:
    """True where the given label is probably wrong.

    Voxels whose label is `UNKNOWN` (255) are no issues and count nowhere. `p` are probabilities of classes 0..C-1 by a
    model that has not learned these labels by heart. Without spatial axes each sample is one voxel. Raises
    `LabelValueError` for a label that is no class.
    """
    return _judge(labels, p).issues


def with_issues_corrected(
    labels: UInt8[Tensor, "B *space"], p: Float[Tensor, "B C *space"]
) -> UInt8[Tensor, "B *space"]:
    """A copy in which every issue has its confident class, and the most probable one where there is no other.

    Every issue is changed: its most probable class is never the given one. With two classes that is the flip of
    GM-ABS. Unknown voxels stay unknown.
    """
    found = _judge(labels, p)
    is_other = (found.confident != UNKNOWN) & (found.confident != labels)
    return torch.where(found.issues, torch.where(is_other, found.confident, found.likeliest), labels)


@dataclass(frozen=True, eq=False)
class _Judgement:
    """For each voxel: is it an issue; its confident class or `UNKNOWN`; its most probable class."""

    issues: Tensor
    confident: Tensor
    likeliest: Tensor


@torch.no_grad()
def _judge(labels: Tensor, p: Tensor) -> _Judgement:
    y, columns = _flat(labels, p)
    sizes = _sizes(y, len(columns))
    seen = _look(y, columns, _thresholds(y, columns, sizes))
    keep = _keep(seen.counts, np.array(sizes))
    issues = torch.zeros_like(y, dtype=torch.bool)
    for s, size in enumerate(sizes):
        by_class, by_noise = size - int(keep[s, s]), {j: int(n) for j, n in enumerate(keep[s]) if j != s and n > 0}
        if size > 1 and by_class > 0 and by_noise:
            _mark(issues, y == s, columns, s=s, limit=seen.limits[s], by_class=by_class, by_noise=by_noise)
    return _Judgement(*(x.reshape(labels.shape) for x in (issues, seen.confident, seen.likeliest)))


def _flat(labels: Tensor, p: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Labels and the probabilities of each class as (B, voxels); rows of single voxels are one sample."""
    p = p if p.dtype in (torch.float32, torch.float64) else p.float()
    if labels.ndim == 1:
        return labels[None], [column[None] for column in p.unbind(1)]
    return labels.flatten(1), [*p.flatten(2).unbind(1)]


def _blocks(y: Tensor, columns: Sequence[Tensor]) -> Iterator[tuple[tuple[slice, slice], Tensor, list[Tensor]]]:
    """The same, some whole samples or a part of one at a time, with their place; views, not copies."""
    n_samples, n_voxels = y.shape
    rows = max(1, BLOCK // max(1, n_voxels))
    for row in range(0, n_samples, rows):
        for start in range(0, n_voxels, BLOCK):
            part = slice(row, row + rows), slice(start, start + BLOCK)
            yield part, y[part], [column[part] for column in columns]


def _sizes(y: Tensor, n_classes: int) -> list[int]:
    """The number of voxels of each label."""
    counts = torch.bincount(y.flatten(), minlength=256).tolist()
    strange = [value for value in range(n_classes, UNKNOWN) if counts[value]]
    if strange:
        raise LabelValueError(
            f"labels {strange[:8]} are not among 0..{n_classes - 1} or {UNKNOWN} (unknown), the classes of the "
            "probabilities; give labels of the same classes"
        )
    return [int(n) for n in counts[:n_classes]]


def _thresholds(y: Tensor, columns: Sequence[Tensor], sizes: Sequence[int]) -> list[float]:
    """What p_k must reach, in double precision; no probability reaches that of an absent class."""
    sums = torch.zeros(len(columns), dtype=torch.float64, device=y.device)
    for _, labels, p in _blocks(y, columns):
        sums += torch.stack([torch.where(labels == k, p[k], 0).sum(dtype=torch.float64) for k in range(len(p))])
    means = [total / n if n else 2.0 for total, n in zip(sums.tolist(), sizes, strict=True)]
    return [max(mean, LEAST_THRESHOLD) - TOLERANCE for mean in means]


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one look at all voxels tells.

    `counts` are the voxels of each label (row) that are confident in each class (column), in Fortran order. `limits`
    are the highest p_s of each label s among its voxels whose most probable class is another.
    """

    confident: Tensor
    likeliest: Tensor
    counts: np.ndarray
    limits: Tensor


def _look(y: Tensor, columns: Sequence[Tensor], thresholds: Sequence[float]) -> _Seen:
    n = len(columns)
    confident, likeliest = torch.empty_like(y), torch.empty_like(y)
    pairs = torch.zeros((n + 1) ** 2, dtype=torch.int64, device=y.device)
    limits = columns[0].new_zeros(n)
    for part, labels, p in _blocks(y, columns):
        likely = _likeliest(p)
        sure = _confident(p, thresholds, likely)
        pairs += _pairs(sure, labels, n)
        where = ((likely != labels) & (labels != UNKNOWN)).nonzero(as_tuple=True)
        theirs = labels[where]
        doubted = [torch.where(theirs == s, p[s][where], 0) for s in range(n)] if len(theirs) else []
        if doubted:
            limits = torch.maximum(limits, torch.stack([d.amax() for d in doubted]))
        confident[part], likeliest[part] = sure, likely
    return _Seen(confident, likeliest, pairs.view(n + 1, n + 1)[:n, :n].cpu().numpy().T, limits)


def _pairs(sure: Tensor, labels: Tensor, n: int) -> Tensor:
    """How often each of n classes and `UNKNOWN`, the last, is confident (row) and given (column), in one row."""
    wide = torch.uint8 if (n + 1) ** 2 <= 256 else torch.int32
    codes = sure.clamp(max=n).to(wide) * (n + 1) + labels.clamp(max=n)
    return torch.bincount(codes.flatten(), minlength=(n + 1) ** 2)


def _likeliest(p: Sequence[Tensor]) -> Tensor:
    """The most probable class of each voxel, the lowest of equal ones."""
    likeliest = torch.zeros_like(p[0], dtype=torch.uint8)
    highest = p[0]
    for k, column in enumerate(p[1:], 1):
        likeliest = torch.maximum(likeliest, (column > highest).view(torch.uint8) * k)
        if k < len(p) - 1:
            highest = torch.maximum(highest, column)
    return likeliest


def _confident(p: Sequence[Tensor], thresholds: Sequence[float], likeliest: Tensor) -> Tensor:
    """The confident class of each voxel, or `UNKNOWN`."""
    n, last = torch.zeros_like(likeliest), torch.zeros_like(likeliest)
    for k, (column, threshold) in enumerate(zip(p, thresholds, strict=True)):
        reached = (column >= _rounded_up(threshold, column.dtype)).view(torch.uint8)
        n += reached
        last = torch.maximum(last, reached * (k + 1))
    return torch.where(n > 1, likeliest, last - 1)  # 0 - 1 is 255: confident in none


def _rounded_up(x: float, dtype: torch.dtype) -> float:
    """The lowest number of the type that is not below x, so that comparing with it is comparing with x."""
    rounded = torch.tensor(x, dtype=dtype)
    return float(rounded if float(rounded) >= x else torch.nextafter(rounded, torch.tensor(torch.inf, dtype=dtype)))


def _keep(counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """C[s, j] of step 3 as integers, at least one on the diagonal.

    The order of operations and of memory is cleanlab's, because a last bit may decide how a half is rounded.
    """
    counts = counts.copy("F")
    np.fill_diagonal(counts, counts.diagonal().clip(min=1))
    scaled = (counts.T / counts.sum(axis=1) * sizes).T
    scaled = scaled / max(float(np.sum(scaled)), 1e-100) * int(sizes.sum())
    joint = np.stack([_rounded_keeping_the_sum(row) for row in scaled])
    raised = np.maximum(joint.diagonal(), 1)
    n_others = np.maximum(np.count_nonzero(joint, axis=1) - 1.0, 1.0)
    spread = joint - ((raised - joint.diagonal()) / n_others)[:, None]
    np.fill_diagonal(spread, raised)
    return np.asarray(np.maximum(spread, 0).astype(np.int64))


def _rounded_keeping_the_sum(x: np.ndarray) -> np.ndarray:
    """Whole numbers with the same (rounded) sum: those that were rounded furthest are corrected by one."""
    whole = x.round()
    while missing := int(np.round(np.sum(x).round() - whole.sum())):
        order = np.argsort(x - whole, kind="stable")
        if missing > 0:
            order = order[::-1]
        whole[order[: abs(missing)]] += np.sign(missing)
    return np.asarray(whole.astype(np.int64))


def _mark(
    issues: Tensor,
    mine: Tensor,
    columns: Sequence[Tensor],
    *,
    s: int,
    limit: Tensor,
    by_class: int,
    by_noise: dict[int, int],
) -> None:
    """Marks the issues of label s (steps 4 to 6).

    Only voxels whose most probable class is another can be issues. So only those that are not surer of s than the
    surest of these (`limit`) need to be ranked, which are few; or all of the label, when so many are asked for that
    these do not suffice.
    """
    near = mine & (columns[s] <= limit)
    for candidates in (near, mine):
        where = candidates.nonzero(as_tuple=True)
        p = [column[where].double() for column in columns]
        is_less = _is_less(p, s)
        margins = {j: p[j] - p[s] for j in by_noise}
        if candidates is mine or all(_suffices(m, by_noise[j], is_less) for j, m in margins.items()):
            break
    suspects = reduce(torch.logical_or, (_lowest(-margins[j], n) for j, n in by_noise.items()))
    issues[where] = suspects & _lowest(p[s], by_class) & is_less


def _is_less(p: Sequence[Tensor], s: int) -> Tensor:
    """True where another class is more probable than class s, by the tolerance; a lower class wins a tie."""
    mine = p[s] + TOLERANCE
    return reduce(torch.logical_or, (q >= mine if j < s else q > mine for j, q in enumerate(p) if j != s))


def _suffices(margin: Tensor, n: int, is_less: Tensor) -> bool:
    """True when no voxel outside, whose margins are not positive, can take the place of one inside that matters."""
    return bool((margin > 0).sum() >= n) or not bool((is_less & (margin <= 0)).any())


def _lowest(x: Tensor, n: int) -> Tensor:
    """True for the n lowest values; of equal ones for the first."""
    if n >= len(x):
        return torch.ones_like(x, dtype=torch.bool)
    cut = x.kthvalue(n).values
    below, at = x < cut, x == cut
    return below | (at & (at.cumsum(0) <= n - below.sum()))
