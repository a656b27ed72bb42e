import gc
import weakref

import nibabel
import numpy as np
import pytest
import torch
from specialist_world import ArraySource, Brightness, image_of, pool_of, tiny_plan

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.errors import DataError
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import build_network
from frugalseg.specialist.predict import WINDOW_VOXELS
from frugalseg.specialist.prepare import prepare_image


def untrained(plan):
    return Model(plan, build_network(plan, seed=0))


def bright(plan):
    return Model(plan, Brightness())


def box_image(shape, spacing, box):
    array = np.zeros(shape, np.float32)
    array[box] = 1
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -7, 5, 3
    return Image(array, Geometry.from_affine(shape, affine))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_patch_that_covers_the_image_is_one_pass_of_the_network(ndim):
    model, image = untrained(tiny_plan(ndim)), image_of((16,) * ndim)
    x = torch.from_numpy(prepare_image(image, model.plan))[None]
    with torch.no_grad():
        expected = model.network.eval()(x)[0].softmax(0).numpy()
    np.testing.assert_allclose(model.probabilities(image), expected, atol=1e-5)


@pytest.mark.parametrize(("ndim", "shape"), [(2, (37, 21)), (2, (5, 60)), (3, (19, 40, 16)), (3, (9, 8, 33))])
def test_probabilities_have_the_images_shape_and_sum_to_one(ndim, shape):
    p = untrained(tiny_plan(ndim)).probabilities(image_of(shape))
    assert p.shape == (2, *shape)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)


def test_windows_make_no_seams_where_the_network_looks_at_single_voxels():
    whole, windows = bright(tiny_plan(patch=(40, 40, 40))), bright(tiny_plan(patch=(16, 16, 16), overlap=0.25))
    image = image_of((40, 37, 21))
    np.testing.assert_allclose(whole.probabilities(image), windows.probabilities(image), atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_2d_plan_goes_through_a_volume_slice_by_slice(axis):
    image = image_of((20, 21, 22))
    model = untrained(tiny_plan(2, axis=axis, patch=(32, 32)))
    p = np.moveaxis(model.probabilities(image), axis + 1, 0)
    x = np.moveaxis(prepare_image(image, model.plan)[0], axis, 0)
    before = [(32 - n) // 2 for n in x.shape[1:]]
    padded = np.zeros((len(x), 1, 32, 32), np.float32)
    inside = np.s_[:, :, before[0] : before[0] + x.shape[1], before[1] : before[1] + x.shape[2]]
    padded[inside] = x[:, None]
    with torch.no_grad():
        expected = model.network.eval()(torch.from_numpy(padded)).softmax(1).numpy()
    np.testing.assert_allclose(p, expected[inside], atol=1e-5)


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0), (1.5, 1.5, 1.5), (0.5, 1.0, 2.0)])
def test_a_box_stays_where_it_was_and_the_affine_too(spacing):
    image = box_image((24, 30, 16), (1.0, 1.0, 2.0), np.s_[6:14, 8:20, 4:12])
    prediction = bright(tiny_plan(spacing=spacing, normalise="zscore")).predict(image)
    assert prediction.geometry == image.geometry
    assert prediction.label.array.shape == image.array.shape
    found = np.argwhere(prediction.label.array == 1)
    assert np.abs(found.min(0) - (6, 8, 4)).max() <= 1
    assert np.abs(found.max(0) - (13, 19, 11)).max() <= 1
    if spacing is None:
        np.testing.assert_array_equal(prediction.label.array, image.array)


def test_a_saved_prediction_opens_over_its_image(tmp_path):
    image = box_image((24, 30, 16), (1.0, 1.5, 2.0), np.s_[6:14, 8:20, 4:12])
    prediction = bright(tiny_plan()).predict(image)
    prediction.save(tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(mask.affine, image.geometry.matrix, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), image.array)


def test_a_file_is_predicted_in_its_own_geometry_and_a_bad_one_is_named(tmp_path):
    image = box_image((24, 30, 16), (1.0, 1.5, 2.0), np.s_[6:14, 8:20, 4:12])
    nibabel.save(nibabel.Nifti1Image(image.array, image.geometry.matrix), tmp_path / "scan.nii.gz")
    prediction = bright(tiny_plan()).predict(tmp_path / "scan.nii.gz")
    assert prediction.geometry.differs(image.geometry) == ""
    np.testing.assert_array_equal(prediction.label.array, image.array)
    with pytest.raises(DataError, match=r"scan\.nii\.gz: the image has 3 axes"):
        bright(tiny_plan(2)).predict(str(tmp_path / "scan.nii.gz"))


def test_a_2d_plan_resamples_within_slices_only():
    image = box_image((24, 30, 5), (0.5, 0.5, 8.0), np.s_[6:14, 8:20, 2:4])
    label = bright(tiny_plan(2, axis=2, spacing=(1.0, 1.0))).predict(image).label.array
    assert np.flatnonzero(label.any((0, 1))).tolist() == [2, 3]


def test_features_have_the_images_shape():
    image = image_of((20, 18), spacing=(2.0, 1.0))
    features = untrained(tiny_plan(2, spacing=(1.0, 1.0))).features(image)
    assert features.shape == (8, 20, 18)
    raw = bright(tiny_plan(2)).features(image)
    np.testing.assert_allclose(raw[0] ** 2, raw[1], atol=1e-4)


def test_flips_leave_a_symmetric_network_as_it_is_and_average_another():
    image = image_of((20, 18))
    model = bright(tiny_plan(2))
    np.testing.assert_allclose(model.probabilities(image, flips=True), model.probabilities(image), atol=1e-5)
    model = untrained(tiny_plan(2))
    mirrored = Image(np.ascontiguousarray(image.array[::-1]), image.geometry)
    p, q = (model.probabilities(i, flips=True) for i in (image, mirrored))
    np.testing.assert_allclose(p, q[:, ::-1], atol=1e-5)


def test_a_constant_image_is_predicted():
    constant = Image(np.full((20, 20, 20), 3, np.int16), Geometry.plain((20, 20, 20)))
    assert np.isfinite(untrained(tiny_plan()).probabilities(constant)).all()


def test_hugely_anisotropic_volumes_are_predicted():
    image = image_of((3, 60, 50), spacing=(50.0, 0.3, 0.3))
    for plan in [tiny_plan(spacing=(50.0, 0.3, 0.3), patch=(3, 32, 32)), tiny_plan(2, axis=0, spacing=(0.6, 0.6))]:
        assert untrained(plan).predict(image).label.array.shape == (3, 60, 50)


def test_every_kind_of_input_gives_the_same():
    model, image = untrained(tiny_plan(2, channels=3)), image_of((20, 18), channels=3)
    expected = model.predict(image).probabilities
    for x in [image.array, Case("a", "a", image.geometry, ArraySource(image))]:
        np.testing.assert_array_equal(model.predict(x).probabilities, expected)


def test_a_wrong_input_is_named():
    case = pool_of([image_of((9, 9))]).cases[0]
    with pytest.raises(DataError, match="case000: the image has 2 axes"):
        untrained(tiny_plan()).predict(case)


def test_modes_of_all_modules_and_gradients_are_left_as_they_were():
    model = untrained(tiny_plan(2))
    model.network.train()
    model.network.decoder.eval()
    before = [m.training for m in model.network.modules()]
    model.predict(image_of((20, 20)))
    assert [m.training for m in model.network.modules()] == before
    assert torch.is_grad_enabled()
    assert all(p.grad is None for p in model.network.parameters())


def test_modes_are_restored_after_an_error():
    class Broken(Brightness):
        def forward(self, x):
            raise RuntimeError("broken")

    model = Model(tiny_plan(2), Broken().train())
    with pytest.raises(RuntimeError, match="broken"):
        model.predict(image_of((20, 20)))
    assert model.network.training


def test_dropout_sleeps_in_prediction():
    model = untrained(tiny_plan(2, dropout=0.5))
    model.network.train()
    image = image_of((20, 20))
    np.testing.assert_array_equal(model.probabilities(image), model.probabilities(image))


def test_windows_at_once_are_bounded():
    model = bright(tiny_plan(patch=(32, 32, 32)))
    model.predict(image_of((70, 70, 70)))
    assert max(model.network.windows) * 32**3 <= WINDOW_VOXELS
    model = bright(tiny_plan(2, axis=0, patch=(256, 256)))
    model.predict(image_of((40, 40, 40)))
    assert max(model.network.windows) * 256**2 <= WINDOW_VOXELS


def test_nothing_of_a_case_is_kept():
    model = untrained(tiny_plan())
    image = image_of((40, 20, 20))
    prediction = model.predict(image)
    kept = [weakref.ref(a) for a in (image.array, prediction.probabilities, prediction.label.array)]
    del image, prediction
    gc.collect()
    assert [ref() for ref in kept] == [None, None, None]
