"""The Python of the README, on a folder of files."""

import nibabel as nib
import numpy as np
import pytest

import frugalseg as fs
from frugalseg.data.write import write_image, write_label


@pytest.fixture
def scans(tmp_path):
    pool = fs.phantom_pool("anatomy", n=4, shape=(20, 20, 16))
    for case in pool.cases:
        write_image(tmp_path / "scans" / "images" / f"{case.id}.nii.gz", case.image())
        write_label(tmp_path / "scans" / "labels" / f"{case.id}.nii.gz", pool.truth.semantic(case.id), case.geometry)
    return tmp_path / "scans"


def test_five_lines(scans, tmp_path):
    pool = fs.open_pool(scans, labels_are="truth")
    units = fs.select(pool, "round-robin", budget=2, unit="planes", seed=0)
    fs.annotate(pool, units, by="oracle")
    quick = {"fit.steps": 2, "fit.tensorboard": False, "labelled": 1, "unlabelled": 1}
    model = fs.train(pool, "mean-teacher", settings=quick)
    scan = scans / "images" / "anatomy-0003.nii.gz"
    model.predict(scan).save(tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == (20, 20, 16)
    assert np.allclose(mask.affine, nib.load(scan).affine)
    assert len(list(fs.evaluate(model, pool))) == 4


def test_what_is_bought_by_default_follows_from_strategy_and_scans():
    pool = fs.phantom_pool("anatomy", n=3, shape=(20, 20, 16))
    assert {(u.kind, u.axis) for u in fs.select(pool, "strided", budget=4)} == {("slice", 2)}
    assert {(u.kind, u.axis) for u in fs.select(pool, "strided", budget=4, axis=0)} == {("slice", 0)}
    assert {u.kind for u in fs.select(pool, "round-robin", budget=2)} == {"planes"}


def test_every_public_name_can_be_had():
    assert all(getattr(fs, name) is not None for name in fs.__all__)
    assert set(fs.__all__) <= set(dir(fs))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'open_pol'"):
        fs.open_pol  # noqa: B018
