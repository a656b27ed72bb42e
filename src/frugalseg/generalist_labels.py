"""Labels that a generalist gives while a specialist is trained: asked for by its teacher, judged, and made ready.

The folder holds, by case and step: the labels with their prompts (``said/``, `prompt.pseudo_labels`), the form that the
training reads (``ready/``), what the teacher itself predicted and what confident learning makes of the labels
(``records/``, to look at and to measure), and for each step a report of what it took and how far each class is trusted.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frugalseg.data.batch import TRUST
from frugalseg.data.case import Case
from frugalseg.data.label import UNKNOWN
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError
from frugalseg.files import atomic_path, write_json
from frugalseg.generalists.generalist import Generalist
from frugalseg.learn import processes
from frugalseg.learn.confident import with_issues_corrected
from frugalseg.methods.gmabs import GmAbs, refreshes
from frugalseg.prompt.company import Needs, needed_company
from frugalseg.prompt.fusion import PseudoLabel
from frugalseg.prompt.guard import Examined, judged
from frugalseg.prompt.label_file import case_folder, newest_state
from frugalseg.prompt.prototypes import Prototypes, believe, expert_prototypes, mean_prototypes
from frugalseg.prompt.pseudo_labels import PseudoLabels, check_askable
from frugalseg.prompt.slices import Asked
from frugalseg.prompt.views import Place, Work, viewing_axes
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import Plan
from frugalseg.specialist.prepare import prepared_shape
from frugalseg.specialist.resample import resample_label

SAID = "said"
"""Folder of the generalist's labels."""


@dataclass(frozen=True, eq=False)
class Record:
    """What a case's labels looked like at a step, at the image's own voxels (*space), uint8; `UNKNOWN` where none.

    `said` by the generalist alone, `denoised` as confident learning leaves it, `predicted` by the teacher.
    """

    said: np.ndarray
    denoised: np.ndarray
    predicted: np.ndarray


class GeneralistLabels:
    """The labels of one training. Each process makes those of its share of the cases.

    Raises `SettingsError` when the generalist cannot be asked as the method's settings say.
    """

    def __init__(
        self,
        pool: Pool,
        plan: Plan,
        folder: Path,
        *,
        method: GmAbs,
        generalist: Generalist,
        seed: int,
        rater: str | None = None,
    ) -> None:
        self.pool, self.plan, self.folder, self.rater = pool, plan, folder, rater
        self.settings = method.settings
        geometries = (case.geometry for case in pool.cases)
        check_askable(generalist.info, self.settings.labels, geometries, channels=plan.channels)
        self.method, self.model = method, Model(plan, method.teacher.net).with_usual_windows()
        self.labels = PseudoLabels(folder / SAID, generalist, self.settings.labels, seed=seed)
        self.steps = refreshes(self.settings)

    def refresh(self, step: int) -> None:
        """Makes the labels that the steps from this one on learn from; those before need theirs no more."""
        began = time.monotonic()
        if processes.is_first():
            for left in self.folder.rglob(".part-*"):  # of a process that was killed while it wrote
                left.unlink()
        processes.barrier()
        earlier = max((s for s in self.steps if s < step), default=0)
        settled, known = self._settled(earlier), self._known_prototypes()
        work = Work()
        for case in self._mine():
            work += self._label(case, known, step=step, without=[*settled])
        work = self._of_all_processes(work)
        processes.barrier()
        examined = self._examined(step)
        verdict = self._verdict(step, settled, examined)
        weights = None if verdict is None else np.array([1.0, *(c["weight"] for c in verdict["classes"])])
        if weights is not None:
            self.method.trust(weights.tolist())
        needs = self._needs(examined, weights)
        for case in self._mine():
            self._make_ready(case, step, weights, needs)
        processes.barrier()
        if processes.is_first():
            took = {"work": asdict(work), "seconds": time.monotonic() - began}
            write_json(_report_file(self.folder, step), {"step": step, "verdict": verdict, **took})
            self._forget(before=step)
        processes.barrier()

    def begin(self, earlier: Path | None) -> None:
        """Begins without labels, whatever a training before has left, or with those of an earlier run's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if earlier is not None:
            share_labels(earlier, self.folder)

    def ready(self, case: str, step: int) -> np.ndarray:
        """What the training reads: labels and their trust, (2, *space) uint8 on the plan's spacing, as of a refresh."""
        array: np.ndarray = np.load(self._file("ready", case, step, "npy"), mmap_mode="r")
        return array

    def _mine(self) -> Iterator[Case]:
        """This process's share of the cases."""
        yield from self.pool.cases[processes.rank() :: processes.world()]

    def _drawn(self, case: str) -> np.ndarray | None:
        label = self.pool.label(case, self.rater)
        return None if label is None else label.array

    def _known_prototypes(self) -> Prototypes | None:
        """What each class looks like where experts have drawn it; None where that has no say."""
        if self.settings.prototypes.expert_share == 0:
            return None
        found = []
        for case in self.pool.labelled(self.rater):
            drawn = self._drawn(case)
            if drawn is not None:
                features = self.model.features(self.pool[case].image())
                found.append(expert_prototypes(features, drawn, len(self.plan.classes)))
        return mean_prototypes(found) if found else None

    def _label(self, case: Case, known: Prototypes | None, *, step: int, without: Sequence[int]) -> Work:
        image, drawn = case.image(), self._drawn(case.id)
        p, features = self.model.probabilities_and_features(image)
        belief = believe(p, features, expert=drawn, known=known, settings=self.settings.prototypes)
        done = self.labels.refresh(case.id, image, belief, expert=drawn, step=step, without=without)
        said = self._said(case.id, step)
        denoised = with_issues_corrected(torch.from_numpy(said.label)[None], torch.from_numpy(p)[None])[0].numpy()
        with atomic_path(self._file("records", case.id, step, "npz")) as part, part.open("wb") as file:
            np.savez_compressed(file, said=said.label, denoised=denoised, predicted=belief.predicted)
        return done.work

    def _of_all_processes(self, work: Work) -> Work:
        device = next(self.method.parameters()).device
        return Work(*processes.total(torch.tensor(astuple(work), device=device)).tolist())

    def _said(self, case: str, step: int) -> PseudoLabel:
        said = self.labels.said(case, step=step)
        if said is None:
            raise DataError(f"{self.folder}: the labels of {case} are gone; start the training again in another folder")
        return said

    def _settled(self, start: int) -> dict[int, dict[str, Any]]:
        """By class the guard's verdicts of a refresh that stand until the end; 0 is the beginning, before the first.

        These classes have no weight and are not asked about again.
        """
        verdict = read_report(self.folder, start)["verdict"] if start else None
        classes = [] if verdict is None else verdict["classes"]
        return {c["value"]: c for c in classes if c["settled"]}

    def _verdict(
        self, step: int, settled: Mapping[int, dict[str, Any]], examined: Sequence[Examined]
    ) -> dict[str, Any] | None:
        """The guard's verdict on what has just been said, but of settled classes the one that stands."""
        if self.settings.guard is None:
            return None
        verdict = asdict(judged(examined, len(self.plan.classes), self.settings.guard))
        return verdict | {"classes": [settled.get(c["value"], c | {"step": step}) for c in verdict["classes"]]}

    def _examined(self, step: int) -> list[Examined]:
        """The drawn cases beside what was said of them, for who judges the labels."""
        if self.settings.guard is None and self.settings.company is None:
            return []
        drawn = ((case, self._drawn(case)) for case in self.pool.labelled(self.rater))
        return [
            Examined(case, array, self._said(case, step), read_record(self.folder, case, step).predicted)
            for case, array in drawn
            if array is not None
        ]

    def _needs(self, examined: Sequence[Examined], weights: np.ndarray | None) -> Needs:
        """The company that trusted classes need, by what the generalist says where experts have drawn."""
        if self.settings.company is None:
            return {}
        axes = {axis for case in self.pool.cases for axis in self._axes(case)}
        known = [(e.expert, e.said, self.pool[e.case].geometry.spacing) for e in examined]
        needs = needed_company(known, sorted(axes), len(self.plan.classes), self.settings.company)
        if weights is None:
            return needs
        trusted = np.outer(weights > 0, weights > 0)
        return {axis: np.where(trusted, reach, np.nan) for axis, reach in needs.items()}

    def _axes(self, case: Case) -> tuple[int, ...]:
        return viewing_axes(case.geometry, self.settings.labels.views)

    def _make_ready(self, case: Case, step: int, weights: np.ndarray | None, needs: Needs) -> None:
        mine = {axis: needs[axis] for axis in self._axes(case) if axis in needs}
        found = self.labels.load(case.id, step=step, weights=weights, needs=mine, spacing=case.geometry.spacing)
        if found is None:
            raise DataError(f"{self.folder}: the labels of {case.id} are gone; start again in another folder")
        trust = np.rint(TRUST * found.weight.astype(np.float64)).astype(np.uint8)
        label = np.where(trust > 0, found.label, np.uint8(UNKNOWN))
        # Unknown in both at the same voxels, so that both are taken from the same place.
        maps = [label, np.where(label == UNKNOWN, np.uint8(UNKNOWN), trust)]
        shape = prepared_shape(case.geometry, self.plan)
        with atomic_path(self._file("ready", case.id, step, "npy")) as part, part.open("wb") as file:
            np.save(file, np.stack([resample_label(m, shape) for m in maps]))

    def _forget(self, *, before: int) -> None:
        """Deletes what no step from `before` on reads; records stay."""
        self.labels.forget(before=before)
        for file in sorted((self.folder / "ready").glob("*/[0-9]*.npy")):
            if int(file.stem) < before:
                file.unlink()

    def _file(self, what: str, case: str, step: int, suffix: str) -> Path:
        return _file(self.folder, what, case, f"{step:09d}.{suffix}")


def share_labels(folder: Path, other: Path) -> None:
    """Puts the labels of a folder into another place on the same disk too, where there are any and none there yet."""
    if folder.exists() and not other.exists():
        part = other.with_name(f".part-{other.name}")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part, copy_function=os.link)  # files are replaced, never written into
        part.rename(other)


def refreshes_in(folder: Path) -> list[int]:
    """The steps before which labels were made, of a training whose labels lie in a folder."""
    return sorted(int(file.stem.split("-")[1]) for file in folder.glob("report-*.json"))


def read_report(folder: Path, step: int) -> dict[str, Any]:
    """What a refresh took and how far each class is trusted (``verdict``, None without a guard)."""
    return dict(json.loads(_report_file(folder, step).read_text(encoding="utf-8")))


def trusted(folder: Path, classes: Sequence[str]) -> Iterator[tuple[int, dict[str, float]]]:
    """Step by step how far the labels of each object class are trusted, 0 to 1; 1 without a guard."""
    for step in refreshes_in(folder):
        verdict = read_report(folder, step)["verdict"]
        weights = [1.0] * (len(classes) - 1) if verdict is None else [float(c["weight"]) for c in verdict["classes"]]
        yield step, dict(zip(classes[1:], weights, strict=True))


def read_asked(folder: Path, case: str, step: int) -> Mapping[Place, Asked]:
    """The prompts that the labels of a case answer, as of a refresh; of the last one only they are kept."""
    state = newest_state(folder / SAID / case_folder(case), step)
    return {} if state is None else state.asked


def read_record(folder: Path, case: str, step: int) -> Record:
    """What the labels of a case were at a refresh."""
    with np.load(_file(folder, "records", case, f"{step:09d}.npz")) as arrays:
        return Record(arrays["said"], arrays["denoised"], arrays["predicted"])


def _file(folder: Path, what: str, case: str, name: str) -> Path:
    return folder / what / case_folder(case) / name


def _report_file(folder: Path, step: int) -> Path:
    return folder / f"report-{step:09d}.json"
