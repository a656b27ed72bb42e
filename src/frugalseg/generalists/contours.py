"""Closed outlines around clicks: rays leave the middle, and on each the border lies where colours change most.

Everything is measured in logarithms of the distance, so small and large objects are treated alike.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

RAYS, STOPS = 48, 40
"""Rays around the middle and places on each of them."""

NEAREST = 1.5
"""Distance in pixels of the first place."""

_BAND = 0.25  # width, in logarithms, of what is compared on both sides of a border
_BEND = 0.24  # price of a border that jumps by one place from ray to ray, in mean contrasts; jumps cost their square
_JUMP = 4  # places at most
_APART = 1.5  # ratio of radii at which another outline is sought
_FORBIDDEN = -20.0
_BESIDE = -0.2  # worth of a place outside of the picture


@dataclass(frozen=True, eq=False)
class _Rays:
    """Where the rays run: distances (STOPS,) of places from the middle, and their coordinates (2, RAYS, STOPS)."""

    middle: np.ndarray
    radii: np.ndarray
    places: np.ndarray

    def nearest(self, point: np.ndarray) -> tuple[int, int]:
        """The ray and the place next to a point."""
        away = point - self.middle
        ray = np.arctan2(away[0], away[1]) % (2 * np.pi) / (2 * np.pi) * RAYS
        return round(ray) % RAYS, int(np.searchsorted(self.radii, np.hypot(*away)))


def outlines(colours: np.ndarray, inside: np.ndarray, beside: np.ndarray, n: int) -> list[np.ndarray]:
    """The n outlines with the highest contrast, each as a map (H, W): distance from the middle over the border's there.

    The object is where a map is below 1. `colours` (K, H, W); points (N, 2) in `inside` lie within every outline, those
    in `beside` outside, as far as rays from the middle of `inside` can tell. They differ in size where possible.
    """
    size = colours.shape[1:]
    rays = _rays(_middle(inside, beside), size)
    steps = _steps(colours, rays)
    forbidden = _forbidden(rays, size, inside, beside)
    found = []
    for worth in (steps, -steps):  # brighter than what lies around, or darker
        allowed = worth + forbidden
        for _ in range(n):
            path = _best_path(allowed, _BEND * float(np.abs(worth).mean()))
            found.append((float(allowed[np.arange(RAYS), path].mean()), path))
            allowed = allowed + _near(rays, path) * _FORBIDDEN / 4
    found.sort(key=lambda item: -item[0])
    return [_relative(rays, path, size) for path in _distinct(rays, [path for _, path in found], n)]


def _middle(inside: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """The mean of the points inside, or the one next to it where a point beside is nearer."""
    mean = inside.mean(0)
    away = np.linalg.norm(inside - mean, axis=1)
    is_beside = len(beside) and np.linalg.norm(beside - mean, axis=1).min() < away.min()
    return np.asarray(inside[away.argmin()] if is_beside else mean)


def _rays(middle: np.ndarray, size: tuple[int, ...]) -> _Rays:
    radii = np.geomspace(NEAREST, max(0.75 * max(size), 2 * NEAREST), STOPS)
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    directions = np.stack([np.sin(angles), np.cos(angles)])
    return _Rays(middle, radii, middle[:, None, None] + directions[:, :, None] * radii)


def _steps(colours: np.ndarray, rays: _Rays) -> np.ndarray:
    """How much brighter it is before each place than behind it (RAYS, STOPS); of colours along their main change."""
    seen = np.stack([ndimage.map_coordinates(c, rays.places, order=1, mode="nearest") for c in colours])
    sums = np.concatenate([np.zeros_like(seen[..., :1]), np.cumsum(seen, -1)], -1)
    width = max(1, round(_BAND / float(np.log(rays.radii[1] / rays.radii[0]))))
    place = np.arange(1, STOPS + 1)
    first, behind = np.maximum(place - width, 0), np.minimum(place, STOPS - 1)
    last = np.minimum(behind + width, STOPS)
    inner = (sums[..., place] - sums[..., first]) / (place - first)
    outer = (sums[..., last] - sums[..., behind]) / (last - behind)
    change = ndimage.gaussian_filter1d(inner - outer, 1.0, axis=1, mode="wrap")
    values, directions = np.linalg.eigh(np.einsum("krs,lrs->kl", change, change))
    main = directions[:, int(values.argmax())]
    return np.asarray(np.einsum("k,krs->rs", main, change))


def _forbidden(rays: _Rays, size: tuple[int, ...], inside: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """What a border loses at each place because points lie on its wrong side, or the picture ends."""
    last = np.array(size)[:, None, None] - 0.5
    loss = np.where(((rays.places < -0.5) | (rays.places > last)).any(0), _BESIDE, 0.0)
    for points, is_inside in ((inside, True), (beside, False)):
        for point in points:
            ray, place = rays.nearest(point)
            for shift in range(-2, 3):  # a click speaks for its surroundings
                wrong = slice(0, max(0, place - abs(shift))) if is_inside else slice(place + abs(shift), None)
                loss[(ray + shift) % RAYS, wrong] += _FORBIDDEN
    return loss


def _best_path(worth: np.ndarray, bend: float) -> np.ndarray:
    """The place (RAYS,) on each ray of the closed path with the highest worth, by going round twice."""
    jumps = np.arange(-_JUMP, _JUMP + 1)
    sources = np.arange(STOPS)[None] + jumps[:, None]
    is_outside = (sources < 0) | (sources >= STOPS)
    price = np.where(is_outside, np.inf, bend * jumps[:, None] ** 2)
    sources = sources.clip(0, STOPS - 1)
    twice = np.concatenate([worth, worth])
    total, came_from = twice[0], []
    for ray in twice[1:]:
        options = total[sources] - price
        best = options.argmax(0)
        came_from.append(sources[best, np.arange(STOPS)])
        total = options[best, np.arange(STOPS)] + ray
    path = [int(total.argmax())]
    for origin in reversed(came_from):
        path.append(int(origin[path[-1]]))
    half = RAYS // 2
    return np.roll(np.array(path[::-1])[half : half + RAYS], half)


def _near(rays: _Rays, path: np.ndarray) -> np.ndarray:
    """1 at the places (RAYS, STOPS) close to a path."""
    return np.asarray(np.abs(np.log(rays.radii[None] / rays.radii[path][:, None])) <= np.log(_APART), float)


def _distinct(rays: _Rays, paths: list[np.ndarray], n: int) -> list[np.ndarray]:
    """The first n paths that differ in size by a quarter, then any others."""
    kept: list[np.ndarray] = []
    for path in paths:
        size = float(np.log(rays.radii[path]).mean())
        if all(abs(size - float(np.log(rays.radii[other]).mean())) > np.log(1.25) for other in kept):
            kept.append(path)
    rest = [path for path in paths if not any(path is other for other in kept)]
    return [*kept, *rest][:n]


def _relative(rays: _Rays, path: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    rows, columns = (np.arange(n) - m for n, m in zip(size, rays.middle, strict=True))
    angle = np.arctan2(rows[:, None], columns[None, :]) % (2 * np.pi) / (2 * np.pi) * RAYS
    border = np.log(rays.radii[path] + 0.5)
    radius = np.exp(np.interp(angle, np.arange(RAYS + 1), np.append(border, border[0])))
    return np.asarray(np.hypot(rows[:, None], columns[None, :]) / radius)
