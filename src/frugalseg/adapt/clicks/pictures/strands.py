"""Shapes made of strokes: fibres, cracks, vessel trees, cells with long arms, coils."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

from frugalseg.adapt.clicks.pictures.chance import happens, log_uniform

Strand = Callable[[int, np.random.Generator], np.ndarray]
Path = tuple[np.ndarray, np.ndarray]  # points (k, 2) in the square 0..1, half widths (k,) in the same unit


def stroke(paths: list[Path], n: int) -> np.ndarray:
    """(n, n) mask of all points nearer to a path than the half width of the path there (at least half a pixel)."""
    widths = np.zeros((n, n), np.float32)
    for points, half in paths:
        at = np.round(points * (n - 1)).astype(int)
        seen = ((at >= 0) & (at < n)).all(1)
        widths[at[seen, 0], at[seen, 1]] = np.maximum(half[seen] * n, 0.75)
    if not widths.any():
        return np.zeros((n, n), bool)
    far, nearest = ndimage.distance_transform_edt(widths == 0, return_indices=True)
    return np.asarray(far <= widths[tuple(nearest)])


def wander(start: np.ndarray, angle: float, length: float, *, turn: float, rng: np.random.Generator) -> np.ndarray:
    """(k, 2) points of a way of this length whose direction drifts; `turn` in radians over the whole way."""
    k = max(8, int(300 * length))
    drift = np.interp(np.arange(k), np.linspace(0, k, 7), rng.normal(0, turn, 7))
    direction = angle + drift + np.linspace(0, rng.normal(0, turn), k)
    steps = np.stack([np.sin(direction), np.cos(direction)], 1) * (length / k)
    return np.asarray(start + np.cumsum(steps, 0))


def fibre(n: int, rng: np.random.Generator) -> np.ndarray:
    """One bent thread of nearly even width."""
    angle, half = rng.uniform(0, 2 * np.pi), log_uniform(0.012, 0.08, rng)
    start = 0.5 - 0.42 * np.array([np.sin(angle), np.cos(angle)])
    points = wander(start, angle, rng.uniform(0.7, 1.0), turn=rng.uniform(0, 0.9), rng=rng)
    swing = 1 + rng.uniform(0, 0.4) * np.sin(np.linspace(0, rng.uniform(3, 20), len(points)))
    return stroke([(points, half * swing)], n)


def crack(n: int, rng: np.random.Generator) -> np.ndarray:
    """A thin line with sharp corners, side cracks and a width that changes by jumps."""
    angle, half = rng.uniform(0, 2 * np.pi), log_uniform(0.008, 0.03, rng)
    start = 0.5 - 0.45 * np.array([np.sin(angle), np.cos(angle)])
    main = _zigzag(start, angle, 0.95, half, rng)
    sides = [
        _zigzag(main[0][rng.integers(len(main[0]))], angle + rng.normal(0, 1), rng.uniform(0.1, 0.4), half * 0.7, rng)
        for _ in range(int(rng.integers(0, 4)))
    ]
    return stroke([main, *sides], n)


def tree(n: int, rng: np.random.Generator) -> np.ndarray:
    """A vessel that parts again and again, each arm thinner than the one it leaves."""
    angle = rng.uniform(0, 2 * np.pi)
    start = 0.5 - 0.48 * np.array([np.sin(angle), np.cos(angle)])
    ends = [(start, angle, log_uniform(0.015, 0.06, rng), rng.uniform(0.25, 0.45))]
    paths: list[Path] = []
    for _ in range(int(rng.integers(4, 14))):
        if not ends:
            break
        begin, heading, half, length = ends.pop(0)
        points = wander(begin, heading, length, turn=0.4, rng=rng)
        paths.append((points, np.linspace(half, half * 0.75, len(points))))
        for side in (-1, 1):
            ends.append(
                (points[-1], heading + side * rng.uniform(0.2, 1.0), half * 0.72, length * rng.uniform(0.6, 0.9))
            )
    return stroke(paths, n)


def armed_cell(n: int, rng: np.random.Generator) -> np.ndarray:
    """A body, round or spindle-shaped, from which one to seven arms grow that taper and fork."""
    centre = rng.uniform(0.4, 0.6, 2)
    first = rng.uniform(0, 2 * np.pi)
    body = wander(centre, first, rng.uniform(0.01, 0.25), turn=0.2, rng=rng)
    body = body - body.mean(0) + centre
    thick = log_uniform(0.05, 0.2, rng)
    bulge = np.sin(np.linspace(0.2 * np.pi, 0.8 * np.pi, len(body)))
    paths: list[Path] = [(body, thick * bulge)]
    arms = int(rng.integers(1, 8))
    for a in first + 2 * np.pi * (np.arange(arms) + rng.uniform(-0.35, 0.35, arms)) / arms:
        paths += _arm(body[rng.integers(len(body))], float(a), thick, rng)
    return stroke(paths, n)


def coil(n: int, rng: np.random.Generator) -> np.ndarray:
    """A thread rolled up to a spiral, or one that swings from side to side like gut or a folded sheet."""
    t = np.linspace(0, 1, 500)
    half = rng.uniform(0.02, 0.07)
    if happens(0.5, rng):
        angle = rng.uniform(0, 6) + t * rng.uniform(5, 14)
        points = 0.5 + (0.05 + 0.38 * t)[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    else:
        swing = rng.uniform(0.1, 0.38) * np.sin(t * rng.uniform(6, 20) + rng.uniform(0, 6))
        points = np.stack([0.1 + 0.8 * t, 0.5 + swing], 1)[:, :: 1 if happens(0.5, rng) else -1]
    return stroke([(points, np.full(500, half))], n)


def _zigzag(start: np.ndarray, angle: float, length: float, half: float, rng: np.random.Generator) -> Path:
    corners = int(rng.integers(3, 12))
    heading = angle + rng.normal(0, 0.5, corners)
    steps = np.stack([np.sin(heading), np.cos(heading)], 1) * length / corners
    knots = np.vstack([start, start + np.cumsum(steps, 0)])
    at, fine = np.arange(corners + 1), np.linspace(0, corners, 400)
    points = np.stack([np.interp(fine, at, knots[:, 0]), np.interp(fine, at, knots[:, 1])], 1)
    return points, half * rng.uniform(0.4, 1.6, corners + 1)[fine.astype(int)]


def _arm(start: np.ndarray, angle: float, thick: float, rng: np.random.Generator) -> list[Path]:
    length, half = rng.uniform(0.15, 0.48), thick * rng.uniform(0.25, 0.9)
    points = wander(start, angle, length, turn=0.35, rng=rng)
    taper = np.linspace(1, rng.uniform(0.05, 0.4), len(points)) ** rng.uniform(1, 2.5)
    arm: list[Path] = [(points, half * taper)]
    if happens(0.3, rng):
        fork = wander(points[len(points) // 2], angle + rng.normal(0, 0.9), length * 0.4, turn=0.3, rng=rng)
        arm.append((fork, half * 0.4 * np.linspace(1, 0.2, len(fork))))
    return arm


STRANDS: Mapping[Strand, float] = {fibre: 2, crack: 1, tree: 1.5, armed_cell: 4, coil: 1}
"""How often each is drawn; ours."""
