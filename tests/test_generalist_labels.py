"""A training that learns from a generalist: labels are asked for, judged, and survive any kill."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frugalseg import generalist_labels
from frugalseg.annotator import annotate
from frugalseg.data.batch import TRUST
from frugalseg.data.label import UNKNOWN
from frugalseg.data.phantoms import phantom_pool
from frugalseg.data.pool import Pool
from frugalseg.data.unit import Unit
from frugalseg.errors import SettingsError
from frugalseg.generalist_labels import GeneralistLabels, read_asked, read_record, read_report, refreshes_in
from frugalseg.learn.engine import Reach
from frugalseg.learn.log import read_log
from frugalseg.prompt.guard import judged
from frugalseg.prompt.pseudo_labels import PUBLISHED
from frugalseg.prompt.views import ViewSettings, viewing_axes
from frugalseg.settings import override, parse
from frugalseg.specialist.plan import Plan
from frugalseg.training import GENERALIST_LABELS, Training, TrainSettings
from view_worlds import BrightInBox

SHAPE = (20, 16, 16)
STEPS = 10
BUILD = "frugalseg.generalists.registry.build_generalist"
SETTINGS = {
    "method": "gmabs",
    "options": {
        "generalist": "classic",
        "guard": {"floor": 0.0, "least_covered": 0.0},  # in ten steps a teacher learns to see nothing
        "labels": {"prompts": {"add_point": 0}, "views": {"least_overlap": 0.3}},
    },
    "fit": {"steps": STEPS, "lr": 0.01, "checkpoint_every": 4, "tensorboard": False},
}


@pytest.fixture(autouse=True)
def generalist(monkeypatch: pytest.MonkeyPatch) -> BrightInBox:
    """A quick stand-in whatever the name: what it says need not be good here."""
    found = BrightInBox()
    monkeypatch.setattr(BUILD, lambda name, **_: found)
    return found


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Five phantoms, of four of which the middle planes were drawn."""
    found = phantom_pool("anatomy", n=5, shape=SHAPE)
    middle = tuple(n // 2 for n in SHAPE)
    annotate(found, [Unit(case.id, "planes").placed(middle) for case in found.cases[:4]])
    return found


@dataclass(frozen=True)
class Whole:
    """A training that nobody stopped."""

    run: Training
    weights: dict[str, torch.Tensor]
    encoded: int

    def report(self, step: int) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"report-{step:09d}.json").read_text(encoding="utf-8")))

    @property
    def folder(self) -> Path:
        return self.run.folder / GENERALIST_LABELS


@pytest.fixture(scope="module")
def whole(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    found = BrightInBox()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BUILD, lambda name, **_: found)
        run = training(pool, tmp_path_factory.mktemp("whole"))
        return Whole(run, weights_after(run), found.encoded)


def training(pool: Pool, folder: Path, **changes: Any) -> Training:
    plan = Plan(ndim=3, classes=pool.classes, network="unet-tiny", patch=(16, 16, 16))
    settings = parse(TrainSettings, override(SETTINGS, changes), where="test")
    return Training(pool, plan, settings, folder)


def weights_after(run: Training, stop: int | None = None) -> dict[str, torch.Tensor]:
    steps = run.steps()
    for _ in itertools.islice(steps, stop):
        pass
    steps.close()  # type: ignore[attr-defined]
    return {} if stop is not None else dict(run.model.network.state_dict())


def test_every_case_gets_labels_and_experts_always_win(pool: Pool, whole: Whole) -> None:
    for case in pool.cases:
        files = sorted((whole.folder / "ready" / case.id).glob("*.npy"))
        assert [int(f.stem) for f in files] == [7]
        label, trust = np.load(files[0])
        drawn = pool.label(case.id)
        assert label.shape == SHAPE
        assert ((label == UNKNOWN) == (trust == UNKNOWN)).all()
        if drawn is not None:
            assert (label[drawn.known] == drawn.array[drawn.known]).all()
            assert (trust[drawn.known] == TRUST).all()


def test_every_refresh_is_judged_on_all_that_was_drawn(pool: Pool, whole: Whole) -> None:
    for step in (3, 5, 7):
        verdict = whole.report(step)["verdict"]
        assert set(verdict["cases"]) == set(pool.labelled())
        assert all(c["step"] == step or c["weight"] == 0 for c in verdict["classes"])
    assert any(0 < c["weight"] < 1 for step in (3, 5, 7) for c in whole.report(step)["verdict"]["classes"])


def judging(*settled: bool) -> Callable[..., Any]:
    """A guard that finds nothing good enough, and has settled so much at each refresh."""
    rounds = iter(settled)

    def judge(*args: Any) -> Any:
        found, is_settled = judged(*args), next(rounds)
        return replace(found, classes=tuple(replace(c, weight=0.0, settled=is_settled) for c in found.classes))

    return judge


def test_a_class_that_the_guard_does_not_trust_is_not_asked_about_again(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generalist_labels, "judged", judging(True, True, True))
    run = training(pool, tmp_path)
    weights_after(run)
    folder = run.folder / GENERALIST_LABELS
    first, *later = (read_report(folder, step) for step in (3, 5, 7))
    assert {c["weight"] for c in first["verdict"]["classes"]} == {0}
    assert first["work"]["decoded"] > 0
    assert [report["work"]["decoded"] for report in later] == [0, 0]
    assert all((read_record(folder, case.id, 7).said == UNKNOWN).all() for case in pool.cases)


def test_a_class_that_the_teacher_does_not_see_yet_is_asked_about_and_judged_again(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generalist_labels, "judged", judging(False, False, False))
    run = training(pool, tmp_path)
    weights_after(run)
    for step in (3, 5, 7):
        report = read_report(run.folder / GENERALIST_LABELS, step)
        assert {c["step"] for c in report["verdict"]["classes"]} == {step}
        assert report["work"]["shown"] > 0


def test_a_settled_class_is_left_alone_while_another_is_asked_about_and_judged_again(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(*args: Any) -> Any:
        found = judged(*args)
        return replace(found, classes=tuple(replace(c, weight=0.0, settled=c.value == 1) for c in found.classes))

    monkeypatch.setattr(generalist_labels, "judged", judge)
    weights_after(training(pool, tmp_path))
    folder = tmp_path / GENERALIST_LABELS
    for step in (3, 5, 7):
        classes = read_report(folder, step)["verdict"]["classes"]
        assert [c["step"] for c in classes] == [3, *[step] * (len(pool.classes) - 2)]
    asked = {int(v) for case in pool.cases for a in read_asked(folder, case.id, 7).values() for v in a.classes}
    assert asked == {2, 3}


def first_label(pool: Pool, folder: Path, **changes: Any) -> np.ndarray:
    """What is learnt of the case that nobody has drawn, before it is asked about again."""
    weights_after(training(pool, folder, **{"options.guard": None, **changes}), 4)
    label: np.ndarray = np.load(folder / GENERALIST_LABELS / "ready" / pool.cases[-1].id / "000000003.npy")[0]
    return np.moveaxis(label, viewing_axes(pool.cases[-1].geometry, ViewSettings())[0], 0)


def test_slices_whose_classes_lack_company_are_not_learnt_from(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = first_label(pool, tmp_path / "all", **{"options.company": None})
    has = np.stack([[(x == value).any() for value in range(len(pool.classes))] for x in before])
    one, other = next((a, b) for a, b in itertools.permutations((1, 2, 3), 2) if (has[:, a] & ~has[:, b]).sum() > 0)
    needed = np.full((len(pool.classes),) * 2, np.nan)
    needed[one, other] = np.inf
    monkeypatch.setattr(generalist_labels, "needed_company", lambda _, axes, *__: {axes[0]: needed})
    kept = first_label(pool, tmp_path / "some")
    for x, was, is_lacking in zip(kept, before, has[:, one] & ~has[:, other], strict=True):
        assert (x == (UNKNOWN if is_lacking else was)).all()


def test_pictures_are_encoded_once(pool: Pool, whole: Whole) -> None:
    first, *later = [whole.report(step)["work"] for step in (3, 5, 7)]
    assert first["encoded"] == first["shown"] > 0
    assert whole.encoded == sum(work["encoded"] for work in (first, *later))
    assert whole.encoded <= len(pool) * sum(SHAPE)


@pytest.mark.parametrize("stop", [2, 3, 4, 6, 9])
def test_a_run_that_was_stopped_anywhere_ends_bit_equal(pool: Pool, whole: Whole, tmp_path: Path, stop: int) -> None:
    weights_after(training(pool, tmp_path), stop)
    resumed = weights_after(training(pool, tmp_path))
    assert all(torch.equal(x, resumed[name]) for name, x in whole.weights.items())


def test_a_run_that_was_stopped_counts_the_seconds_of_all_its_steps_and_refreshes(pool: Pool, tmp_path: Path) -> None:
    weights_after(training(pool, tmp_path), 4)
    before = training(pool, tmp_path).seconds()
    resumed = training(pool, tmp_path)
    weights_after(resumed)
    steps = [step["seconds"] for step in read_log(tmp_path)]
    labels = [read_report(tmp_path / GENERALIST_LABELS, step)["seconds"] for step in (3, 5, 7)]
    assert len(steps) == STEPS
    assert resumed.seconds() == pytest.approx(sum(steps) + sum(labels))
    assert resumed.seconds() > before > 0


@pytest.mark.parametrize("until", [2, 3, 6])
def test_a_part_goes_on_with_the_labels_of_the_part_before(
    pool: Pool, whole: Whole, tmp_path: Path, until: int
) -> None:
    first, second = training(pool, tmp_path / "first"), training(pool, tmp_path / "second")
    first.reach, second.reach = Reach(until=until), Reach(after=tmp_path / "first")
    weights_after(first)
    second_weights = weights_after(second)
    assert all(torch.equal(x, second_weights[name]) for name, x in whole.weights.items())


@pytest.mark.parametrize("part", ["_label", "_make_ready", "_forget"])
def test_a_run_that_died_while_labels_were_made_ends_bit_equal(
    pool: Pool, whole: Whole, tmp_path: Path, part: str
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(GeneralistLabels, part, dying(getattr(GeneralistLabels, part), after=2))
        with pytest.raises(KeyboardInterrupt):
            weights_after(training(pool, tmp_path))
    resumed = weights_after(training(pool, tmp_path))
    assert all(torch.equal(x, resumed[name]) for name, x in whole.weights.items())


def dying(real: Callable[..., Any], *, after: int) -> Callable[..., Any]:
    count = itertools.count()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(count) == after:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    return wrapped


def test_another_generalist_makes_another_run(pool: Pool, tmp_path: Path, generalist: BrightInBox) -> None:
    weights_after(training(pool, tmp_path), 4)
    generalist.info = replace(generalist.info, fingerprint="f1")
    with pytest.raises(SettingsError, match="generalist = f0 there, f1 here"):
        weights_after(training(pool, tmp_path))


def test_who_starts_again_in_the_same_folder_begins_without_labels(pool: Pool, whole: Whole, tmp_path: Path) -> None:
    weights_after(training(pool, tmp_path, **{"options.guard": None, "fit.steps": 7}))
    (tmp_path / "last.ckpt").unlink()
    again = training(pool, tmp_path)
    found = weights_after(again)
    assert all(torch.equal(x, found[name]) for name, x in whole.weights.items())
    assert refreshes_in(again.folder / GENERALIST_LABELS) == refreshes_in(whole.folder) == [3, 5, 7]


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_that_are_no_colours_are_refused_before_the_training(
    pool: Pool, tmp_path: Path, channels: int
) -> None:
    run = training(pool, tmp_path)
    run.plan = run.plan.model_copy(update={"channels": channels})
    with pytest.raises(SettingsError, match=f"these images have {channels} channels"):
        weights_after(run, 1)


def test_without_a_guard_there_is_no_verdict(pool: Pool, tmp_path: Path) -> None:
    run = training(pool, tmp_path, **{"options.guard": None})
    weights_after(run, 4)
    assert Whole(run, {}, 0).report(3)["verdict"] is None


def test_what_a_killed_process_left_half_written_does_not_disturb(pool: Pool, whole: Whole, tmp_path: Path) -> None:
    weights_after(training(pool, tmp_path), 4)
    for place in ("ready", "records", "said"):
        (tmp_path / GENERALIST_LABELS / place / pool.cases[0].id / ".part-x-000000003.npy").write_bytes(b"half")
    resumed = weights_after(training(pool, tmp_path))
    assert all(torch.equal(x, resumed[name]) for name, x in whole.weights.items())
    assert not list((tmp_path / GENERALIST_LABELS).rglob(".part-*"))


def test_a_coarser_plan_keeps_trust_and_label_together(pool: Pool, tmp_path: Path) -> None:
    run = training(pool, tmp_path)
    run.plan = Plan(ndim=3, classes=pool.classes, network="unet-tiny", patch=(8, 8, 8), spacing=(2.0, 2.0, 2.0))
    weights_after(run, 4)
    for case in pool.cases:
        label, trust = np.load(next((tmp_path / GENERALIST_LABELS / "ready" / case.id).glob("*.npy")))
        assert ((label == UNKNOWN) == (trust == UNKNOWN)).all()
        assert (trust[label != UNKNOWN] > 0).all()


def test_a_plan_of_slices_learns_from_labels_too(pool: Pool, tmp_path: Path) -> None:
    run = training(pool, tmp_path)
    run.plan = Plan(ndim=2, axis=2, side=16, classes=pool.classes, network="unet-tiny", patch=(16, 16))
    weights_after(run)
    file = next((tmp_path / GENERALIST_LABELS / "ready" / pool.cases[0].id).glob("*.npy"))
    assert np.load(file).shape == (2, 16, 13, 16)


@pytest.mark.slow
def test_the_schedule_of_the_paper_makes_its_labels_before_step_600(pool: Pool, tmp_path: Path) -> None:
    options = {"options.schedule": "paper", "options.labels": PUBLISHED.model_dump(mode="json"), "fit.steps": 760}
    run = training(pool, tmp_path, **options, **{"options.labels.prompts.add_point": 0, "fit.checkpoint_every": 300})
    weights_after(run, 602)
    assert refreshes_in(tmp_path / GENERALIST_LABELS) == [600]
    terms = [record["losses"]["generalist"] for record in read_log(run.folder)]
    assert not any(terms[:600])
    assert all(terms[600:])
