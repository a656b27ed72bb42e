import gzip

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from frugalseg.data.formats import read_geometry, read_image, read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(-500, 500, (7, 8, 9)).astype(np.int16)


def placed(seed, *, shape=None):
    """A geometry that is turned, mirrored and permuted at random."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    axes = Rotation.random(random_state=seed).as_matrix() @ np.diag(rng.uniform(0.2, 5, 3) * rng.choice([-1, 1], 3))
    affine[:3, :3], affine[:3, 3] = axes[:, rng.permutation(3)], rng.normal(0, 50, 3)
    return Geometry.from_affine(shape or tuple(int(n) for n in rng.integers(1, 7, 3)), affine)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**31), st.sampled_from(["nii", "nii.gz", "nrrd", "mha"]))
def test_what_was_written_is_read_back_in_its_place(tmp_path_factory, seed, suffix):
    folder, geometry, rng = tmp_path_factory.mktemp("a"), placed(seed), np.random.default_rng(seed)
    image = rng.normal(size=geometry.shape).astype(np.float32)
    classes = rng.choice([0, 1, 255], geometry.shape).astype(np.uint8)
    ids = rng.integers(-1, 10**6, geometry.shape).astype(np.int32)
    write_image(folder / f"i.{suffix}", Image(image, geometry))
    write_label(folder / f"s.{suffix}", SemanticLabel(classes, ("background", "x")), geometry)
    write_label(folder / f"o.{suffix}", InstanceLabel(ids), geometry)
    for name, array in (("i", image), ("s", classes), ("o", ids)):
        values, own = read_values(folder / f"{name}.{suffix}")
        assert np.array_equal(values, array)
        np.testing.assert_allclose(own.matrix, geometry.matrix, atol=1e-4)


@pytest.mark.parametrize(("written", "named"), [("nrrd", "a.mha"), ("mha", "a.nrrd"), ("nrrd", "a"), ("mha", "a.nii")])
def test_volumes_of_itk_are_known_by_their_content(tmp_path, written, named):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOLUME.transpose(2, 1, 0).copy()), str(tmp_path / f"x.{written}"))
    (tmp_path / f"x.{written}").rename(tmp_path / named)
    assert np.array_equal(read_image(tmp_path / named).array, VOLUME)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_packed", [True, False])
def test_every_kind_of_nifti_needs_no_name(tmp_path, kind, order, is_packed):
    header = kind.header_class(endianness=order)
    header.set_data_dtype(f"{order}i2")
    data = kind(VOLUME, placed(1, shape=VOLUME.shape).matrix, header=header).to_bytes()
    (tmp_path / "scan").write_bytes(gzip.compress(data) if is_packed else data)
    image = read_image(tmp_path / "scan")
    assert np.array_equal(image.array, VOLUME)
    np.testing.assert_allclose(image.geometry.matrix, placed(1, shape=VOLUME.shape).matrix, atol=1e-3)


def test_lengths_in_micrometres_become_millimetres(tmp_path):
    file = nib.Nifti1Image(VOLUME, np.diag([250.0, 250, 500, 1]))
    file.header.set_xyzt_units("micron")
    nib.save(file, tmp_path / "a.nii")
    assert read_geometry(tmp_path / "a.nii").spacing == (0.25, 0.25, 0.5)


def test_scaled_values_are_scaled_and_single(tmp_path):
    file = nib.Nifti1Image(VOLUME, np.eye(4))
    file.header.set_slope_inter(0.5, -3)
    nib.save(file, tmp_path / "a.nii.gz")
    array = read_image(tmp_path / "a.nii.gz").array
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, nib.load(tmp_path / "a.nii.gz").get_fdata(), rtol=1e-6)


def test_a_vector_of_itk_in_nifti_is_channels(tmp_path):
    nib.save(nib.Nifti1Image(RNG.random((4, 5, 6, 1, 3)), np.eye(4)), tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz")
    assert (image.geometry.shape, image.channels) == ((4, 5, 6), 3)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.npz", "a.h5"])
def test_bits_that_changed_in_a_packed_file_are_noticed(tmp_path, name):
    array = RNG.integers(0, 9000, (20, 21, 22)).astype(np.uint16)
    if name == "a.npz":
        np.savez_compressed(tmp_path / name, array)
    elif name == "a.h5":
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("a", data=array, compression="gzip")
    else:
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 100] = bytes(100)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=f"{name}: cannot be read"):
        read_image(tmp_path / name)


def test_data_sets_in_groups_are_found(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/raw"], file["label"] = VOLUME, VOLUME > 0
    assert np.array_equal(read_image(tmp_path / "a.h5", key="scan/raw").array, VOLUME)
    with pytest.raises(DataError, match=r"there are: label, scan/raw"):
        read_image(tmp_path / "a.h5", key="raw")


@pytest.mark.parametrize(("unit", "size"), [("µm", 0.5), ("nm", 500), ("mm", 5e-4)])
def test_ome_says_the_spacing_of_a_stack(tmp_path, unit, size):
    about = {"axes": "ZYX"} | {f"PhysicalSize{a}": size for a in "XYZ"} | {f"PhysicalSize{a}Unit": unit for a in "XYZ"}
    tifffile.imwrite(tmp_path / "a.ome.tif", VOLUME, metadata=about)
    assert read_geometry(tmp_path / "a.ome.tif").spacing == pytest.approx((5e-4, 5e-4, 5e-4))


@pytest.mark.parametrize(("shape", "ndim"), [((5, 7, 4), 2), ((5, 7, 2), 2), ((2, 5, 7, 4), 3), ((1, 5, 7), 3)])
def test_tiff_keeps_channels_and_a_single_plane(tmp_path, shape, ndim):
    array = RNG.random(shape).astype(np.float32)
    geometry = Geometry.plain(shape[:ndim], (2.0, 0.5, 0.25)[-ndim:])
    write_image(tmp_path / "a.tif", Image(array, geometry))
    image = read_image(tmp_path / "a.tif")
    assert np.array_equal(image.array, array)
    assert image.geometry.spacing == pytest.approx(geometry.spacing)
