"""Every arm with every seed of a comparison: which folder each has, which have ended, which one to take next.

The same command may be started several times on the same OUT (one for each GPU, say): each process takes an (arm, seed)
that no other holds and that has not ended.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frugalseg.errors import SettingsError
from frugalseg.files import held, write_json
from frugalseg.report.results import Environment, code_commit, environment

FINISHED = "finished.json"


@dataclass(frozen=True)
class Trials:
    """The arms and seeds of a campaign or a bench; each pair lies in OUT/ARM/seed-N.

    An arm in `fewer` has only so many of the seeds, the first ones, so that it shares them with the others.
    """

    out: Path
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    fewer: Mapping[str, int] = field(default_factory=dict)

    def folder(self, arm: str, seed: int) -> Path:
        """Where everything of an (arm, seed) lies."""
        return self.out / arm / f"seed-{seed}"

    def pairs(self) -> list[tuple[str, int]]:
        """Every (arm, seed)."""
        return [(arm, seed) for arm in self.arms for seed in self.seeds_of(arm)]

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds of an arm."""
        return self.seeds[: self.fewer.get(arm, len(self.seeds))]

    def finished(self) -> list[tuple[str, int]]:
        """Every (arm, seed) that has ended."""
        return [pair for pair in self.pairs() if (self.folder(*pair) / FINISHED).exists()]

    def left(self, arms: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
        """Each (arm, seed) of these arms (all by default) that is neither finished nor held by another process.

        It is held by this process until the next one is asked for. Seeds come one after the other, with all arms.
        """
        code_commit()  # before somebody changes the files that this process has read
        for seed in self.seeds:
            for arm in [a for a in arms or self.arms if seed in self.seeds_of(a)]:
                with held(self.folder(arm, seed)) as mine:
                    if mine and not (self.folder(arm, seed) / FINISHED).exists():
                        yield arm, seed

    def finish(self, arm: str, seed: int, found: Mapping[str, Any]) -> None:
        """Notes what came of an (arm, seed), and of which code; it is never run again."""
        write_json(self.folder(arm, seed) / FINISHED, {**found, "commit": code_commit()})

    def found(self, arm: str, seed: int) -> dict[str, Any]:
        """What `finish` was given, and the ``commit`` of the code."""
        return dict(json.loads((self.folder(arm, seed) / FINISHED).read_text(encoding="utf-8")))

    def environment(self, device: str) -> Environment:
        """On what, and with which code, the finished ones were measured."""
        return environment(device).model_copy(update={"commit": self.commit()})

    def commit(self) -> str | None:
        """Of which code the finished ones are, this process's while there are none; of several each with its arms."""
        arms: dict[str | None, dict[str, None]] = {}
        for arm, seed in self.finished():
            arms.setdefault(self.found(arm, seed).get("commit"), {})[arm] = None
        if len(arms) < 2:
            return next(iter(arms), code_commit())
        return "; ".join(f"{commit or 'unknown'}: {', '.join(those)}" for commit, those in arms.items())


def check_unchanged(folder: Path, kept: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises `SettingsError` that names the keys in which the settings of what lies in a folder differ."""
    keys = [key for key in {**given, **kept} if (key in kept, kept.get(key)) != (key in given, given.get(key))]
    if keys:
        raise SettingsError(
            f"{folder} was made with other settings of {', '.join(sorted(keys))}; choose another -o, or remove that "
            "folder"
        )
