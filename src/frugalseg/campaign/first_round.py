"""The first round of a campaign is the same in every arm that begins with the same units, so it is trained once.

What was trained is known by its content: method, settings, plan, the labels and images it learnt from, seed, the cases
it was measured on, and the code. The same training in another arm would end with the same bits.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from frugalseg import __version__
from frugalseg.campaign.rounds import TrainingRound, case_scores
from frugalseg.evaluation import CaseScore
from frugalseg.files import atomic_path, fingerprint_json, held, write_json
from frugalseg.generalist_labels import share_labels
from frugalseg.report.results import code_commit
from frugalseg.training import GENERALIST_LABELS

MODEL, FOUND = "model.safetensors", "found.json"


@dataclass(frozen=True)
class FirstRound:
    """One training, and the folder in which what came of it lies for all arms."""

    training: TrainingRound
    folder: Path

    @classmethod
    @contextmanager
    def of(cls, training: TrainingRound, measured_on: Sequence[str], cache: Path) -> Iterator["FirstRound"]:
        """Waits until no other process is at the same training, and keeps others waiting until the block ends."""
        cases = {case: training.workspace.pool[case].source.fingerprint() for case in measured_on}
        run, about = training.run, training.training.about()
        words = [run.method, dict(run.settings), run.seed, about, cases, __version__, code_commit()]
        folder = cache / "first-round" / fingerprint_json(words)
        with held(folder, wait=True):
            yield cls(training, folder)

    @property
    def is_there(self) -> bool:
        """True once somebody has trained and measured it."""
        return (self.folder / FOUND).is_file()

    def keep(self) -> None:
        """Leaves the model, what taught it and its scores, just finished in this arm, for the others."""
        workspace, number = self.training.workspace, self.training.run.id
        (run,) = [run for run in workspace.runs() if run.id == number]
        share_labels(workspace.run_folder(run) / GENERALIST_LABELS, self.folder / GENERALIST_LABELS)
        with atomic_path(self.folder / MODEL) as part:
            shutil.copyfile(workspace.folder / str(run.model), part)
        scores = {score.case: score.scores for score in case_scores(workspace, run)}
        write_json(self.folder / FOUND, {"seconds": run.seconds, "scores": scores})

    def take(self) -> None:
        """Makes the model and its scores those of this arm's run, unless it has them already."""
        workspace, number = self.training.workspace, self.training.run.id
        if any(run.id == number and run.is_done for run in workspace.runs()):
            return
        share_labels(self.folder / GENERALIST_LABELS, workspace.run_folder(self.training.run) / GENERALIST_LABELS)
        found = json.loads((self.folder / FOUND).read_text(encoding="utf-8"))
        scores = [CaseScore(case, values) for case, values in found["scores"].items()]
        self.training.finish(scores, seconds=found["seconds"], model=self.folder / MODEL)
