import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.errors import SettingsError, TrainingDiverged
from frugalseg.learn.engine import FitSettings, Hardware, Reach, Step, fit
from frugalseg.learn.log import read_log
from frugalseg.learn.method import Method
from frugalseg.methods import build_method
from frugalseg.settings import Settings
from tiny_world import network_maker, world

CPU = Hardware(device="cpu")
SHORT = FitSettings(steps=6, lr=0.01, checkpoint_every=2, tensorboard=False)
Batches = Callable[[int], Batch]


def mean_teacher(seed: int = 0, *, dropout: float = 0.2, **options: Any) -> Method:
    return build_method("mean-teacher", network_maker(seed, dropout=dropout), {"ramp_steps": 3, **options})


def run(
    folder: Path, settings: FitSettings = SHORT, *, method: Method | None = None, batches: Batches | None = None,
    stop: int | None = None, **rest: Any,
) -> tuple[list[Step], dict[str, Tensor]]:  # fmt: skip
    """The records of a run (of its first `stop` steps) and the weights it left."""
    method = method or mean_teacher()
    steps = fit(method, batches or world(), settings, folder=folder, hardware=CPU, seed=rest.pop("seed", 0), **rest)
    records = list(itertools.islice(steps, stop))
    steps.close()  # type: ignore[attr-defined]
    return records, {name: x.clone() for name, x in method.state_dict().items()}  # type: ignore[attr-defined]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(x, b[name]) for name, x in a.items())


class Odd(nn.Module):
    """A method with one weight whose loss is a function of weight and step; counts nothing, follows nothing."""

    def __init__(self, loss: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        self.weight, self.loss, self.settings = nn.Parameter(torch.ones(1)), loss, Settings()

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        return {"fine": self.weight.sum(), "odd": self.loss(self.weight, step)}

    def after(self, step: int) -> None: ...

    @property
    def predictor(self) -> nn.Module:
        return self


def test_each_step_reports_its_losses_by_name_and_the_learning_rate(tmp_path: Path) -> None:
    records, _ = run(tmp_path)
    assert [r.index for r in records] == [0, 1, 2, 3, 4, 5]
    assert list(records[0].losses) == ["ce", "dice", "consistency"]
    assert records[0].lr == 0.01
    assert records[-1].lr < 0.003


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    assert same(run(tmp_path / "a")[1], run(tmp_path / "b")[1])


def test_another_seed_draws_another_dropout(tmp_path: Path) -> None:
    assert not same(run(tmp_path / "a")[1], run(tmp_path / "b", seed=1)[1])


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    run(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd"}, {"channels_last": True, "schedule": "cosine"}])
def test_a_run_that_was_stopped_ends_bit_equal(tmp_path: Path, stop: int, changes: dict[str, Any]) -> None:
    settings = SHORT.model_copy(update=changes)
    whole, weights = run(tmp_path / "whole", settings)
    run(tmp_path / "stopped", settings, stop=stop)
    rest, resumed = run(tmp_path / "stopped", settings)
    assert [r.index for r in rest] == list(range(stop // 2 * 2, 6))
    assert same(weights, resumed)
    assert [r["losses"] for r in read_log(tmp_path / "stopped")] == [r.losses for r in whole]


def test_a_finished_run_yields_nothing_and_loads_its_weights(tmp_path: Path) -> None:
    _, weights = run(tmp_path)
    again, loaded = run(tmp_path, method=mean_teacher(seed=5))
    assert again == []
    assert same(weights, loaded)


def test_settings_that_change_no_result_may_change_between_starts(tmp_path: Path) -> None:
    _, weights = run(tmp_path / "whole")
    run(tmp_path / "stopped", stop=3)
    other = SHORT.model_copy(update={"checkpoint_every": 5, "log_every": 3})
    assert same(weights, run(tmp_path / "stopped", other)[1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": SHORT.model_copy(update={"lr": 0.5})}, "fit.lr = 0.01 there, 0.5 here"),
        ({"method": mean_teacher(decay=0.5)}, "method.decay = 0.99 there, 0.5 here"),
        (
            {"method": build_method("supervised", network_maker(), {})},
            "method.name = MeanTeacher there, Supervised here",
        ),
        ({"seed": 4}, "seed = 0 there, 4 here"),
        ({"about": {"pool": "b"}}, "about.pool = None there, b here"),
    ],
)
def test_a_folder_of_another_run_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    run(tmp_path, stop=3)
    with pytest.raises(SettingsError, match=words):
        run(tmp_path, **changes)


def test_batches_are_asked_for_once_each_and_in_order(tmp_path: Path) -> None:
    asked: list[int] = []
    batches = world()
    run(tmp_path, batches=lambda step: asked.append(step) or batches(step))  # type: ignore[func-returns-value]
    assert asked == [0, 1, 2, 3, 4, 5]


def test_an_error_in_the_sampling_thread_reaches_the_caller(tmp_path: Path) -> None:
    def batches(step: int) -> Batch:
        raise OSError(f"no scan {step}")

    with pytest.raises(OSError, match="no scan 0"):
        run(tmp_path, batches=batches)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_stops_and_is_named_with_the_cases(tmp_path: Path, value: str) -> None:
    method = Odd(lambda w, step: w.sum() * (float(value) if step == 3 else 1))
    with pytest.raises(
        TrainingDiverged, match=rf"step 3: loss term 'odd' is {value}, on the cases case-3-0, case-3-1.*lower fit.lr"
    ):
        run(tmp_path, method=method)


def test_a_gradient_that_is_not_finite_changes_no_weight(tmp_path: Path) -> None:
    method = Odd(lambda w, step: (w - 1).sqrt().sum())
    with pytest.raises(TrainingDiverged, match="step 0: the gradient is not finite"):
        run(tmp_path, method=method)
    assert method.weight == 1


@pytest.mark.parametrize(("clip", "moved"), [(0.5, 0.5), (None, 3.0)])
def test_the_gradient_norm_is_clipped(tmp_path: Path, clip: float | None, moved: float) -> None:
    settings = FitSettings(
        steps=1, lr=1, optimizer="sgd", momentum=0, weight_decay=0, clip_norm=clip, tensorboard=False
    )
    method = Odd(lambda w, step: 2 * w.sum())
    run(tmp_path, settings, method=method)
    assert method.weight.item() == pytest.approx(1 - moved)


def test_only_logged_steps_are_in_the_log(tmp_path: Path) -> None:
    run(tmp_path, SHORT.model_copy(update={"log_every": 4}))
    assert [r["step"] for r in read_log(tmp_path)] == [0, 4]


def test_mixed_precision_reaches_the_networks_and_losses_stay_float(tmp_path: Path) -> None:
    seen: set[torch.dtype] = set()
    make = network_maker()
    method = build_method("supervised", make, {})
    method.predictor[-1].register_forward_hook(lambda module, x, y: seen.add(y.dtype))  # type: ignore[index, operator]
    records, _ = run(tmp_path, SHORT.model_copy(update={"precision": "bf16-mixed"}), method=method)
    assert seen == {torch.bfloat16}
    assert records[-1].losses["ce"] < records[0].losses["ce"]


def test_the_memory_format_changes_the_result_by_rounding_only(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain")[1]
    moved = run(tmp_path / "moved", SHORT.model_copy(update={"channels_last": True}))[1]
    for name, x in plain.items():
        torch.testing.assert_close(moved[name], x, atol=1e-4, rtol=1e-4)


def test_volumes_train_as_planes_do(tmp_path: Path) -> None:
    def batches(step: int) -> Batch:
        flat = world()(step)
        image, label = flat.image[..., None].expand(-1, -1, -1, -1, 4), flat.label[..., None].expand(-1, -1, -1, 4)
        return replace(flat, image=image.contiguous(), label=label.contiguous())

    method = build_method("mean-teacher", network_maker(ndim=3), {})
    records, _ = run(tmp_path, SHORT.model_copy(update={"channels_last": True}), method=method, batches=batches)
    assert records[-1].losses["ce"] < records[0].losses["ce"]


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a method is an nn.Module, but str is none"):
        next(fit("mean-teacher", world(), SHORT, folder=tmp_path, hardware=CPU, seed=0))  # type: ignore[arg-type]


def told(done: list[str], *steps: int) -> dict[int, Callable[[], None]]:
    return {step: lambda step=step: done.append(f"interlude {step}") for step in steps}  # type: ignore[misc]


def test_interludes_come_between_their_step_and_the_making_of_its_batch(tmp_path: Path) -> None:
    done: list[str] = []

    def batches(step: int) -> Batch:
        done.append(f"batch {step}")
        return world()(step)

    run(tmp_path, batches=batches, interludes=told(done, 3, 0, 6))
    assert done == ["interlude 0", *(f"batch {n}" for n in range(3)), "interlude 3", *(f"batch {n}" for n in (3, 4, 5))]


@pytest.mark.parametrize(("stop", "repeated"), [(2, [3]), (3, [3]), (4, []), (5, [])])
def test_a_run_goes_on_from_the_interlude_it_was_stopped_at(tmp_path: Path, stop: int, repeated: list[int]) -> None:
    settings = SHORT.model_copy(update={"checkpoint_every": 4})
    _, weights = run(tmp_path / "whole", settings)
    run(tmp_path / "stopped", settings, stop=stop, interludes=told([], 3))
    done: list[str] = []
    rest, resumed = run(tmp_path / "stopped", settings, interludes=told(done, 3))
    assert done == [f"interlude {n}" for n in repeated]
    assert rest[0].index == {2: 0, 3: 3, 4: 4, 5: 4}[stop]
    assert same(weights, resumed)


def part(folder: Path, reach: Reach, labels: str, settings: FitSettings = SHORT, **rest: Any) -> Any:
    return run(folder, settings, reach=reach, about={"labels": labels, "plan": "p"}, **rest)


@pytest.mark.parametrize("stop", [None, 1, 2])
def test_parts_of_a_training_end_as_the_whole(tmp_path: Path, stop: int | None) -> None:
    _, whole = run(tmp_path / "whole")
    first, _ = part(tmp_path / "a", Reach(until=3), "few")
    second = Reach(after=tmp_path / "a")
    part(tmp_path / "b", second, "more", stop=stop)
    rest, weights = part(tmp_path / "b", second, "more")
    assert [s.index for s in first] == [0, 1, 2]
    assert [s.index for s in rest] == {None: [], 1: [4, 5], 2: [4, 5]}[stop]
    assert same(whole, weights)


def test_a_part_is_not_joined_to_one_of_other_settings(tmp_path: Path) -> None:
    part(tmp_path / "a", Reach(until=3), "few")
    with pytest.raises(SettingsError, match=r"cannot go on from .*fit.lr = 0.01 there, 0.5 here"):
        part(tmp_path / "b", Reach(after=tmp_path / "a"), "more", SHORT.model_copy(update={"lr": 0.5}))
    with pytest.raises(SettingsError, match=r"belongs to another run \(about.labels"):
        part(tmp_path / "a", Reach(until=4), "more")
