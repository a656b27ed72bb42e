"""How good a generalist's labels were while they taught, beside the teacher that prompted it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.evaluation import CaseScore, score_case
from frugalseg.generalist_labels import read_record, trusted
from frugalseg.generalists.generalist import Generalist
from frugalseg.methods.gmabs import GmAbsSettings
from frugalseg.prompt.prototypes import believe
from frugalseg.prompt.pseudo_labels import PseudoLabels
from frugalseg.report.figures import plain_style, to_png
from frugalseg.report.palette import CLASSES, INK, PAPER
from frugalseg.report.records import Panel
from frugalseg.specialist.model import Model


@dataclass(frozen=True)
class ClassQuality:
    """Dice with the truth on the voxels the generalist says something of, over all scans together; trust in 0..1.

    `covered` is the part of the true voxels of the class of which it says something. Dice are 1 where nobody has the
    class there.
    """

    name: str
    labels: float
    denoised: float  # what confident learning makes of them with the teacher's prediction of the whole image
    teacher: float
    covered: float
    trust: float

    @property
    def is_below_teacher(self) -> bool:
        """The labels are worse than what the teacher knows already: harmful where they are learnt from."""
        return self.labels < self.teacher


@dataclass(frozen=True)
class LabelQuality:
    """The quality of the labels that were made before a step."""

    step: int
    classes: tuple[ClassQuality, ...]


def classes_below_teacher(qualities: Sequence[LabelQuality]) -> dict[str, bool]:
    """The classes whose labels were worse than the teacher at some refresh, and whether such labels were learnt from.

    Behind the first refresh a class without trust does not count: it may not have been asked about again.
    """
    found: dict[str, bool] = {}
    for k, quality in enumerate(qualities):
        for c in quality.classes:
            if c.is_below_teacher and (c.trust > 0 or k == 0):
                found[c.name] = found.get(c.name, False) or c.trust > 0
    return {c.name: found[c.name] for c in qualities[-1].classes if c.name in found}


def label_metrics(qualities: Sequence[LabelQuality]) -> dict[str, float]:
    """``dice_labels``, ``dice_denoised``, ``dice_teacher`` and ``trust``: means over the classes, then each class's.

    A class's numbers are those of the last refresh, and of the first for one that the guard does not trust: it may not
    have been asked about again. ``below_teacher`` is the number of classes whose labels were worse than the teacher at
    some refresh, ``harmful`` that of those that were learnt from all the same.
    """
    first, last = qualities[0].classes, qualities[-1].classes
    classes = [b if b.trust > 0 else a for a, b in zip(first, last, strict=True)]
    below = classes_below_teacher(qualities)
    found = {"below_teacher": float(len(below)), "harmful": float(sum(below.values()))}
    for key, name in (
        ("dice_labels", "labels"),
        ("dice_denoised", "denoised"),
        ("dice_teacher", "teacher"),
        ("trust", "trust"),
    ):
        values = {c.name: float(getattr(c, name)) for c in classes}
        found[key] = float(np.mean([*values.values()]))
        found |= {f"{key}_{c}": v for c, v in values.items()}
    return found


def label_qualities(folder: Path, pool: Pool, cases: Sequence[str]) -> Iterator[LabelQuality]:
    """The quality at each refresh of a training whose labels lie in a folder, on these cases' hidden truth."""
    for step, trust in trusted(folder, pool.classes) if cases else ():
        counts = np.sum([_counts(folder, pool, case, step) for case in cases], 0)  # classes, columns
        yield LabelQuality(step, tuple(_quality(name, c, trust[name]) for name, c in zip(trust, counts, strict=True)))


def _counts(folder: Path, pool: Pool, case: str, step: int) -> np.ndarray:
    """For each object class: true voxels, those where something is said, then those of each map and shared by both."""
    record, truth = read_record(folder, case, step), pool.truth.semantic(case).array
    spoken = record.said != UNKNOWN
    rows = []
    for value in range(1, len(pool.classes)):
        true = truth == value
        row = [true.sum(), (true & spoken).sum()]
        for found in (record.said, record.denoised, record.predicted):
            mine = (found == value) & spoken
            row += [mine.sum(), (mine & true).sum()]
        rows.append(row)
    return np.array(rows, np.int64)


def _quality(name: str, counts: np.ndarray, trust: float) -> ClassQuality:
    everywhere, there, *pairs = counts.tolist()
    labels, denoised, teacher = (
        2 * both / (mine + there) if mine + there else 1.0 for mine, both in zip(pairs[::2], pairs[1::2], strict=True)
    )
    return ClassQuality(name, labels, denoised, teacher, there / everywhere if everywhere else 1.0, float(trust))


def generalist_alone(
    model: Model, generalist: Generalist, settings: GmAbsSettings, pool: Pool, cases: Sequence[str], *, folder: Path
) -> Iterator[CaseScore]:
    """How good the generalist's own masks of these cases are when the model prompts it; where it is silent is nothing.

    Prototypes are the model's own here: nothing else is known of a case nobody has drawn. `folder` keeps the answers.
    """
    fusion = settings.labels.fusion.model_copy(update={"short_of_votes": "background"})
    labels = PseudoLabels(folder, generalist, settings.labels.model_copy(update={"fusion": fusion}))
    for case in cases:
        image = pool[case].image()
        p, features = model.probabilities_and_features(image)
        labels.refresh(case, image, believe(p, features, settings=settings.prototypes))
        said = labels.said(case)
        mask = np.zeros(p.shape[1:], np.uint8) if said is None else np.where(said.label == UNKNOWN, 0, said.label)
        yield score_case(pool, case, SemanticLabel(mask.astype(np.uint8), pool.classes))


def label_panel(qualities: Sequence[LabelQuality], *, title: str) -> Panel:
    """One plot a class: Dice of labels, of denoised labels and of the teacher over the refreshes."""
    from matplotlib.figure import Figure

    names = [c.name for c in qualities[-1].classes]
    harmful = classes_below_teacher(qualities)
    steps = [q.step for q in qualities]
    with plain_style():
        figure = Figure((0.8 + 2.6 * len(names), 2.3), dpi=100, facecolor=PAPER, layout="tight")
        for k, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), k + 1)
            for colour, key in zip(CLASSES, ("labels", "denoised", "teacher"), strict=False):
                axes.plot(steps, [getattr(q.classes[k], key) for q in qualities], "o-", color=colour, label=key)
            trust = qualities[-1].classes[k].trust
            said = "harmful, " if name in harmful else ""
            axes.set_title(f"{name}: {said}trust {trust:.2f}", color=INK, fontsize=9)
            axes.set(ylim=(0, 1.02), xticks=steps, facecolor=PAPER)
            axes.set_xlabel("step", color=INK)
            axes.set_ylabel("Dice" if k == 0 else "", color=INK)
            axes.tick_params(colors=INK, labelsize=8)
            axes.spines[:].set_color(INK)
        figure.axes[-1].legend(fontsize=7, frameon=False, labelcolor=INK, bbox_to_anchor=(1, 0.5), loc="center left")
    parts = [f"{name} ({'learnt from' if taught else 'not learnt from'})" for name, taught in harmful.items()]
    verdict = f"harmful, below the teacher: {', '.join(parts)}" if harmful else "no class is harmful"
    return Panel(f"{title}, {verdict}", verdict, to_png(figure), f"{title}: Dice over the refreshes; {verdict}")
