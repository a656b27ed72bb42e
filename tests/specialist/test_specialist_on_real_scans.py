import os
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.pool import Pool
from frugalseg.files import fingerprint_file
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import build_network, make_plan
from frugalseg.specialist.prepare import PreparedCases

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("FRUGALSEG_DATA" not in os.environ, reason="FRUGALSEG_DATA does not name the real data sets"),
]


@dataclass(frozen=True)
class Scan:
    path: Path

    def read(self) -> Image:
        volume = nibabel.load(self.path)
        return Image(np.asarray(volume.dataobj), Geometry.from_affine(volume.shape, volume.affine))

    def fingerprint(self) -> str:
        return fingerprint_file(self.path)


def scans(folder, classes, n=20):
    files = sorted((Path(os.environ["FRUGALSEG_DATA"]) / folder / "images").glob("*.nii.gz"))[:n]
    return Pool([Case(f.name, f.name, Scan(f).read().geometry, Scan(f)) for f in files], classes)


def test_hippocampus_gets_a_3d_plan_and_predictions_lie_on_the_scans(tmp_path):
    pool = scans("hippocampus", ("background", "anterior", "posterior"))
    plan = make_plan(pool, network="unet-tiny")
    assert (plan.ndim, plan.patch) == (3, (40, 56, 40))
    prediction = Model(plan, build_network(plan, seed=0)).predict(pool.cases[0])
    assert prediction.geometry == pool.cases[0].image().geometry
    assert prediction.probabilities.shape == (3, *prediction.geometry.shape)
    cases = PreparedCases(pool, plan, tmp_path)
    spreads = [float(cases.image(c.id).std()) for c in pool.cases]
    np.testing.assert_allclose(spreads, 1, atol=1e-3)


def test_cardiac_stacks_of_few_slices_get_a_2d_plan():
    pool = scans("acdc_scribbles", ("background", "rv", "myocardium", "lv"), n=6)
    plan = make_plan(pool, network="unet-tiny")
    assert (plan.ndim, plan.axis) == (2, 2)
    image = pool.cases[0].image()
    assert Model(plan, build_network(plan, seed=0)).probabilities(image).shape == (4, *image.geometry.shape)
