import itertools

import numpy as np
import pytest
import torch
from torch import nn

from frugalseg.data.batch import Batch
from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.learn.engine import FitSettings, Hardware, fit
from frugalseg.learn.ramps import learning_rate_factor
from frugalseg.protocols import LA_PATCH, LA_STEP, la_protocol
from frugalseg.settings import Settings, override, parse
from frugalseg.specialist.plan import Plan, build_network
from frugalseg.specialist.predict import predict_windows
from frugalseg.training import Training, TrainSettings

CLASSES = ("background", "atrium")


def la_plan(**changes):
    return parse(Plan, {"classes": CLASSES, **la_protocol().plan, **changes}, where="plan")


def la_settings(**changes):
    return parse(TrainSettings, override(override({}, la_protocol().train), changes), where="train")


def test_the_plan_is_the_published_one_and_its_network_has_the_published_size():
    plan = la_plan()
    assert (plan.patch, plan.step, plan.blend, plan.normalise) == ((112, 112, 80), (18, 18, 4), "uniform", "none")
    assert sum(p.numel() for p in build_network(plan, seed=0).parameters()) == 9_448_866


def test_the_settings_are_the_published_ones():
    s = la_settings()
    assert (s.labelled, s.unlabelled, s.fit.steps, s.fit.optimizer) == (2, 2, 10_000, "sgd")
    assert (s.fit.lr, s.fit.momentum, s.fit.weight_decay, s.fit.nesterov) == (0.01, 0.9, 1e-4, False)
    assert s.fit.clip_norm is None


@pytest.mark.parametrize(
    ("step", "lr"), [(0, 1e-2), (2500, 1e-2), (4999, 1e-2), (5000, 1e-4), (7499, 1e-4), (7500, 1e-5), (9999, 1e-5)]
)
def test_the_learning_rate_falls_as_published(step, lr):
    fit = la_settings().fit
    factor = learning_rate_factor(fit.schedule, step, steps=fit.steps, warmup=fit.warmup, drops=fit.drops)
    assert fit.lr * factor == pytest.approx(lr)


def test_what_the_user_says_beside_the_protocol_counts():
    settings = la_settings(**{"fit.steps": 6000, "fit.drops": [2500, 5000], "augment.flip": [0]})
    assert (settings.fit.steps, settings.fit.drops, settings.fit.lr) == (6000, (2500, 5000), 0.01)
    assert (settings.augment.flip, settings.augment.quarter_turns) == ((0,), (0, 1))


def published_starts(shape):
    """Where the windows of UA-MT's `test_single_case` begin."""
    counts = [-(-(n - p) // s) + 1 for n, p, s in zip(shape, LA_PATCH, LA_STEP, strict=True)]
    axes = [[min(s * i, n - p) for i in range(c)] for n, p, s, c in zip(shape, LA_PATCH, LA_STEP, counts, strict=True)]
    return set(itertools.product(*axes))


@pytest.mark.parametrize(("shape", "n"), [((220, 166, 84), 56), ((185, 140, 88), 54), ((112, 112, 80), 1)])
def test_windows_are_as_many_as_published_and_where_they_are_published(shape, n):
    """7 x 4 x 2 windows: (220 - 112) / 18 = 6, (166 - 112) / 18 = 3 and (84 - 80) / 4 = 1 steps, and the first."""
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)  # below 2^24, so exact
    starts = []

    def network(x):
        starts.extend(tuple(int(i) for i in np.unravel_index(int(w.flatten()[0]), shape)) for w in x)
        return x

    result = predict_windows(network, numbers, la_plan(), device=torch.device("cpu"))
    assert len(starts) == len(set(starts)) == n
    assert set(starts) == published_starts(shape)
    np.testing.assert_allclose(result, numbers, rtol=1e-5)


class Slope(nn.Module):
    """A method with one weight and the loss w^2."""

    def __init__(self):
        super().__init__()
        self.weight, self.settings = nn.Parameter(torch.ones(1)), Settings()

    def losses(self, batch, step):
        return {"square": self.weight.square().sum()}

    def after(self, step):
        pass

    @property
    def predictor(self):
        return self


def test_the_optimiser_is_torchs_plain_sgd_under_the_published_schedule(tmp_path):
    chosen = la_settings(**{"fit.steps": 8, "fit.drops": [4, 4, 6], "fit.tensorboard": False}).fit
    method, batch = Slope(), Batch(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8), 1, ("c",), (0,))
    list(fit(method, lambda step: batch, chosen, folder=tmp_path, hardware=Hardware(device="cpu"), seed=0))
    weight = nn.Parameter(torch.ones(1))
    sgd = torch.optim.SGD([weight], lr=0.01, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(sgd, [4, 4, 6], gamma=0.1)
    for _ in range(8):
        sgd.zero_grad()
        weight.square().sum().backward()
        sgd.step()
        schedule.step()
    torch.testing.assert_close(method.weight.detach(), weight.detach(), rtol=1e-6, atol=0)


def test_nesterov_stays_the_default():
    assert FitSettings().nesterov


class Stored:
    """An image in memory."""

    def __init__(self, array):
        self.image = Image(array, Geometry.plain(array.shape))

    def read(self):
        return self.image

    def fingerprint(self):
        return str(float(self.image.array.sum()))


def test_a_small_run_of_the_protocol_trains_and_predicts(tmp_path):
    rng = np.random.default_rng(0)
    cases, truth = [], np.zeros((40, 36, 20), np.uint8)
    truth[10:30, 8:28, 4:16] = 1
    for name in ("a", "b", "c"):
        stored = Stored((2 * truth - 1 + rng.normal(0, 0.3, truth.shape)).astype(np.float32))
        cases.append(Case(name, name, stored.image.geometry, stored))
    pool = Pool(cases, CLASSES)
    label = np.full_like(truth, UNKNOWN)
    label[20], label[:, 18], label[:, :, 10] = truth[20], truth[:, 18], truth[:, :, 10]
    pool.labels.put("a", "cross", SemanticLabel(label, CLASSES))
    plan = la_plan(patch=(32, 32, 16), step=(8, 8, 4), widths=(2, 2, 2, 2, 2))
    few = la_settings(**{"method": "mean-teacher", "fit.steps": 3, "fit.drops": [1], "fit.tensorboard": False})
    training = Training(pool, plan, few, tmp_path, hardware=Hardware(device="cpu"))
    rates = [step.lr for step in training.steps()]
    assert rates == pytest.approx([0.01, 0.001, 0.001])
    assert training.model.predict(pool["b"]).label.array.shape == truth.shape
