import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image as Picture

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError

CLASSES = ("background", "liver", "tumour")
RNG = np.random.default_rng(0)
VOLUME = (5, 6, 7)


def semantic(shape):
    return SemanticLabel(RNG.choice([0, 1, 2, UNKNOWN], shape).astype(np.uint8), CLASSES)


def instances(shape, *, low=0, high=300):
    return InstanceLabel(RNG.integers(low, high, shape, dtype=np.int32))


def oblique(spacing=(0.7, 0.9, 3.0)):
    """An affine turned about two axes, with flips, permuted axes and an offset."""
    a, b = np.deg2rad([25, -12])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = (about_z @ about_x)[:, [2, 0, 1]] @ np.diag([1, -1, 1]) * spacing
    matrix[:3, 3] = (-81.5, 30.25, 412.0)
    return matrix


def itk_world(file, index):
    """RAS millimetres of an array index, as SimpleITK says it."""
    return np.array(file.TransformIndexToPhysicalPoint([int(i) for i in index])) * (-1, -1, 1)


CORNERS = [(0, 0, 0), (4, 0, 0), (0, 5, 0), (0, 0, 6), (4, 5, 6)]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nibabel_reads_the_same_voxels_at_the_same_places(tmp_path, suffix):
    label, path = semantic(VOLUME), tmp_path / f"a{suffix}"
    write_label(path, label, Geometry.from_affine(VOLUME, oblique()))
    file = nib.load(path)
    assert np.array_equal(np.asarray(file.dataobj), label.array)
    assert file.get_data_dtype() == np.uint8
    for affine, code in (file.get_sform(coded=True), file.get_qform(coded=True)):
        np.testing.assert_allclose(affine, oblique(), atol=1e-4)
        assert code == 1


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_simpleitk_reads_the_same_voxels_at_the_same_places(tmp_path, suffix):
    label, path = semantic(VOLUME), tmp_path / f"a{suffix}"
    write_label(path, label, Geometry.from_affine(VOLUME, oblique()))
    file = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(file).T, label.array)
    np.testing.assert_allclose(file.GetSpacing(), (0.7, 0.9, 3.0), rtol=1e-5)
    for index in CORNERS:
        np.testing.assert_allclose(itk_world(file, index), (oblique() @ [*index, 1])[:3], atol=1e-3)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_spacing_survives_where_the_file_knows_no_world(tmp_path, suffix):
    write_label(tmp_path / f"a{suffix}", semantic(VOLUME), Geometry.plain(VOLUME, (0.5, 2.0, 3.5)))
    assert SimpleITK.ReadImage(str(tmp_path / f"a{suffix}")).GetSpacing() == pytest.approx((0.5, 2.0, 3.5))


def test_a_nifti_without_a_world_claims_none(tmp_path):
    write_label(tmp_path / "a.nii.gz", semantic(VOLUME), Geometry.plain(VOLUME, (0.5, 2.0, 3.5)))
    header = nib.load(tmp_path / "a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)


def test_a_sheared_affine_survives_in_the_sform_only(tmp_path):
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    geometry = Geometry.from_affine(VOLUME, sheared)
    write_label(tmp_path / "a.nii.gz", semantic(VOLUME), geometry)
    file = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(file.affine, sheared, atol=1e-6)
    assert int(file.header["qform_code"]) == 0
    with pytest.raises(DataError, match=r"not perpendicular; write \.nii\.gz"):
        write_label(tmp_path / "a.nrrd", semantic(VOLUME), geometry)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".npy"])
def test_32_bit_ids_and_unknown_survive(tmp_path, suffix):
    label, path = instances(VOLUME, low=-1, high=2**31 - 1), tmp_path / f"a{suffix}"
    write_label(path, label, Geometry.plain(VOLUME))
    if suffix == ".npy":
        array = np.load(path)
    elif suffix == ".nii.gz":
        array = np.asarray(nib.load(path).dataobj)
    else:
        array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T
    assert array.dtype == np.int32
    assert np.array_equal(array, label.array)


@pytest.mark.parametrize("label", [semantic((6, 7)), instances((6, 7), high=65536)])
def test_png_is_read_by_pillow(tmp_path, label):
    write_label(tmp_path / "a.png", label, Geometry.plain((6, 7)))
    assert np.array_equal(np.asarray(Picture.open(tmp_path / "a.png")), label.array)


@pytest.mark.parametrize("shape", [(6, 7), (4, 6, 7), (5, 6, 3), (3, 6, 4), (6, 3)])
@pytest.mark.parametrize("make", [semantic, instances])
def test_tiff_is_read_by_tifffile_in_any_shape(tmp_path, shape, make):
    label = make(shape)
    write_label(tmp_path / "a.tif", label, Geometry.plain(shape, (2.0, 0.5, 0.25)[-len(shape) :]))
    array = tifffile.imread(tmp_path / "a.tif")
    assert array.dtype == (np.uint8 if make is semantic else np.uint16)
    assert np.array_equal(array, label.array)


def test_tiff_keeps_the_spacing(tmp_path):
    write_label(tmp_path / "a.tiff", semantic((4, 6, 7)), Geometry.plain((4, 6, 7), (2.0, 0.5, 0.25)))
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        page = file.pages.first
        assert page.get_resolution("MILLIMETER") == pytest.approx((4.0, 2.0))
        assert file.shaped_metadata[0]["spacing"] == [2.0]


@pytest.mark.parametrize(("low", "high", "match"), [(-1, 9, "nobody has looked"), (70000, 70001, "the id 70000")])
def test_ids_that_16_bits_cannot_hold_are_refused_with_a_remedy(tmp_path, low, high, match):
    for name in ("a.png", "a.tif"):
        with pytest.raises(DataError, match=match + ".*write .nii.gz or .npy"):
            write_label(tmp_path / name, instances((9, 9), low=low, high=high), Geometry.plain((9, 9)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [("a.png", VOLUME, "PNG holds 2D"), ("a.jpg", VOLUME, r"suffixes \.nii, \.nii\.gz"), ("a", VOLUME, "suffixes")],
)
def test_what_a_format_cannot_hold_leaves_no_file(tmp_path, name, shape, match):
    with pytest.raises(DataError, match=match):
        write_label(tmp_path / name, semantic(shape), Geometry.plain(shape))
    assert list(tmp_path.iterdir()) == []


def test_a_label_of_another_shape_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not lie on an image"):
        write_label(tmp_path / "a.npy", semantic((4, 4)), Geometry.plain((4, 5)))


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.nrrd"
    write_label(path, semantic(VOLUME), Geometry.plain(VOLUME))
    before = path.read_bytes()
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(DataError):
        write_label(path, semantic(VOLUME), Geometry.from_affine(VOLUME, sheared))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nrrd"]


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.tif", "a.npy"])
def test_the_same_label_gives_the_same_bytes(tmp_path, name):
    label = semantic(VOLUME)
    for folder in ("one", "two"):
        write_label(tmp_path / folder / name, label, Geometry.from_affine(VOLUME, oblique()))
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "ndim"),
    [
        ("a.png", np.uint8, (6, 7, 3), 2),
        ("a.png", np.uint8, (6, 7, 4), 2),
        ("a.png", np.uint16, (6, 7), 2),
        ("a.tif", np.uint16, (6, 7, 3), 2),
        ("a.tif", np.float32, (6, 7, 5), 2),
        ("a.tif", np.float32, (4, 6, 7, 2), 3),
        ("a.tif", np.uint8, (4, 6, 7, 3), 3),
        ("a.npy", np.float64, (4, 6, 7, 2), 3),
        ("a.nii.gz", np.float64, (4, 6, 7, 2), 3),
        ("a.nii.gz", np.int16, (6, 7), 2),
        ("a.nrrd", np.float32, (4, 6, 7, 2), 3),
        ("a.mha", np.int16, (6, 7, 3), 2),
    ],
)
def test_images_keep_their_channels_and_values(tmp_path, name, dtype, shape, ndim):
    array = (RNG.random(shape) * 200).astype(dtype)
    write_image(tmp_path / name, Image(array, Geometry.plain(shape[:ndim])))
    got = read(tmp_path / name, ndim)
    assert got.dtype == dtype
    assert np.array_equal(got, array)


def read(path, ndim):
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".tif":
        return tifffile.imread(path)
    if path.suffix == ".png":
        return np.asarray(Picture.open(path))
    if path.suffix == ".gz":
        return np.asarray(nib.load(path).dataobj)
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    return array.transpose(*range(ndim)[::-1], *range(ndim, array.ndim))


@pytest.mark.parametrize(("given", "kept"), [(bool, np.uint8), (np.float16, np.float32), (np.int64, np.int32)])
def test_dtypes_that_no_format_knows_become_the_nearest(tmp_path, given, kept):
    array = RNG.integers(0, 2, VOLUME).astype(given)
    write_image(tmp_path / "a.nii.gz", Image(array, Geometry.plain(VOLUME)))
    got = np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj)
    assert got.dtype == kept
    assert np.array_equal(got, array)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("a.npy", np.full((4, 4), 2**40), "do not fit 32 bits"),
        ("a.png", np.zeros((4, 4), np.float32), r"not float32 .*write \.tif"),
        ("a.nii.gz", np.zeros((4, 4, 3), np.uint8), "no 2D image with several channels"),
    ],
)
def test_images_that_do_not_fit_are_refused(tmp_path, name, array, match):
    with pytest.raises(DataError, match=match):
        write_image(tmp_path / name, Image(array, Geometry.plain((4, 4))))
