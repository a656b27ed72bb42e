"""Files of every format against the library that wrote them, and files that are broken."""

import gzip

import h5py
import imagecodecs
import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image as Picture

from frugalseg.data.formats import image_files, read_geometry, read_image, read_values, stem_of
from frugalseg.errors import DataError

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(0, 200, (6, 7, 8)).astype(np.int16)
COLOURS = RNG.integers(0, 256, (5, 6, 3)).astype(np.uint8)
OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, 0.2, 0.3) @ np.diag([-0.7, 0.8, 2.5]), (10, -20, 30))


def nifti(path, array=VOLUME, affine=OBLIQUE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def series(folder, positions, *, across=(0, 0, 1)):
    """A DICOM series of rotated slices, with file names in the reverse order of their positions."""
    folder.mkdir()
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, z in enumerate(positions):
        image = SimpleITK.JoinSeries(SimpleITK.GetImageFromArray(VOLUME[:, :, k % 8].T.copy()))
        image.SetSpacing((0.5, 0.7, 1))
        position = "\\".join(str(base + z * a) for base, a in zip((1, 2, 0), across, strict=True))
        tags = {"0020|000e": "1.2.3", "0008|0018": f"1.2.3.{k + 1}", "0008|0060": "CT", "0020|0032": position}
        for tag, value in {**tags, "0020|000d": "1.2", "0020|0037": "1\\0\\0\\0\\1\\0"}.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{99 - k}.dcm"))
        writer.Execute(image)
    return folder


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_equals_nibabel(tmp_path, suffix):
    image = read_image(nifti(tmp_path / f"a{suffix}"))
    assert np.array_equal(image.array, VOLUME)
    assert np.allclose(image.geometry.matrix, nib.load(tmp_path / f"a{suffix}").affine)
    assert np.allclose(image.geometry.spacing, (0.7, 0.8, 2.5))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
def test_itk_formats_come_like_the_same_volume_in_nifti(tmp_path, suffix):
    file = SimpleITK.ReadImage(str(nifti(tmp_path / "a.nii.gz")))
    SimpleITK.WriteImage(file, str(tmp_path / f"b{suffix}"))
    one, other = read_image(tmp_path / "a.nii.gz"), read_image(tmp_path / f"b{suffix}")
    assert np.array_equal(one.array, other.array)
    assert np.allclose(one.geometry.matrix, other.geometry.matrix, atol=1e-4)


def test_a_nifti_without_a_world_has_no_affine(tmp_path):
    file = nib.Nifti1Image(VOLUME, None)
    file.header.set_zooms((1, 2, 3))
    nib.save(file, tmp_path / "a.nii")
    geometry = read_geometry(tmp_path / "a.nii")
    assert (geometry.affine, geometry.spacing) == (None, (1, 2, 3))


@pytest.mark.parametrize(
    ("shape", "space", "channels"), [((4, 5, 1), 3, 1), ((4, 5, 6, 1), 3, 1), ((4, 5, 6, 2), 3, 2), ((4, 5), 2, 1)]
)
def test_only_axes_behind_the_third_are_channels(tmp_path, shape, space, channels):
    image = read_image(nifti(tmp_path / "a.nii.gz", np.zeros(shape, np.uint8)))
    assert (image.geometry.ndim, image.channels) == (space, channels)


def test_the_content_decides_when_the_suffix_lies_or_is_missing(tmp_path):
    packed = nifti(tmp_path / "a.nii.gz").read_bytes()
    Picture.fromarray(COLOURS).save(tmp_path / "b.png")
    (tmp_path / "packed.nii").write_bytes(packed)
    (tmp_path / "bare.nii.gz").write_bytes(gzip.decompress(packed))
    (tmp_path / "picture.tif").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "none").write_bytes((tmp_path / "b.png").read_bytes())
    assert all(np.array_equal(read_image(tmp_path / n).array, VOLUME) for n in ("packed.nii", "bare.nii.gz"))
    assert all(np.array_equal(read_image(tmp_path / n).array, COLOURS) for n in ("picture.tif", "none"))


def test_a_dicom_series_is_stacked_by_position_not_by_name(tmp_path):
    image = read_image(series(tmp_path / "s", [0, 2, 4, 6, 8, 10, 12, 14]))
    assert np.array_equal(image.array, VOLUME)
    assert np.allclose(image.geometry.matrix, [[-0.5, 0, 0, -1], [0, -0.7, 0, -2], [0, 0, 2, 0], [0, 0, 0, 1]])


def test_missing_doubled_and_tilted_dicom_slices_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"4 slices lie 2 to 4 mm apart"):
        read_image(series(tmp_path / "missing", [0, 2, 6, 8]))
    with pytest.raises(DataError, match=r"0 to 2 mm apart"):
        read_image(series(tmp_path / "doubled", [0, 2, 2, 4]))
    with pytest.raises(DataError, match=r"tilted"):
        read_image(series(tmp_path / "tilted", [0, 2, 4], across=(0, 0.3, 1)))


def test_one_dicom_file_is_a_picture_in_rows_and_columns(tmp_path):
    image = read_image(series(tmp_path / "s", [0]) / "99.dcm")
    assert np.array_equal(image.array, VOLUME[:, :, 0].T)
    assert image.geometry.spacing == (0.7, 0.5)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "1"])
def test_pictures_equal_pillow_without_alpha(tmp_path, mode):
    picture = Picture.fromarray(VOLUME[0].astype(np.uint16)) if mode == "I;16" else Picture.fromarray(COLOURS)
    picture.convert(mode).save(tmp_path / "a.png")
    expected = np.asarray(
        Picture.open(tmp_path / "a.png").convert({"RGBA": "RGB", "LA": "L", "1": "L"}.get(mode, mode))
    )
    assert np.array_equal(read_image(tmp_path / "a.png").array, expected)


def test_a_palette_is_colours_as_an_image_and_indices_as_a_label(tmp_path):
    indices = RNG.integers(0, 3, (5, 6)).astype(np.uint8)
    picture = Picture.fromarray(indices, mode=None)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_values(tmp_path / "a.png")[0], indices)
    assert np.array_equal(read_image(tmp_path / "a.png").array[indices == 1], [[255, 0, 0]] * (indices == 1).sum())


def test_sixteen_bits_a_colour_are_kept(tmp_path):
    deep = RNG.integers(0, 65536, (5, 6, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    assert np.array_equal(read_image(tmp_path / "a.png").array, deep)


def test_a_label_in_four_bits_of_grey_keeps_its_values(tmp_path):
    values = RNG.integers(0, 16, (5, 6)).astype(np.uint8)
    packed = b"".join(b"\0" + bytes(16 * a + b for a, b in row.reshape(-1, 2)) for row in values)
    (tmp_path / "a.png").write_bytes(png_of_four_bits(packed, width=6, height=5))
    assert np.array_equal(read_values(tmp_path / "a.png")[0], values)


def png_of_four_bits(rows, *, width, height):
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_an_imagej_stack_has_its_spacing_in_mm(tmp_path):
    about = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", VOLUME.astype(np.uint16), imagej=True, resolution=(4, 2), metadata=about)
    image = read_image(tmp_path / "a.tif")
    assert np.array_equal(image.array, VOLUME)
    assert np.allclose(image.geometry.spacing, (0.002, 0.0005, 0.00025))


def test_a_printers_resolution_is_no_spacing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, resolution=(72, 72), resolutionunit="INCH")
    assert read_geometry(tmp_path / "a.tif").spacing == (1, 1)


def test_four_channels_are_kept_and_alpha_is_not(tmp_path):
    four = RNG.integers(0, 99, (4, 9, 9)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "four.tif", four, imagej=True, metadata={"axes": "CYX"})
    Picture.fromarray(COLOURS).convert("RGBA").save(tmp_path / "alpha.tif")
    assert np.array_equal(read_image(tmp_path / "four.tif").array, np.moveaxis(four, 0, -1))
    assert np.array_equal(read_image(tmp_path / "alpha.tif").array, COLOURS)


def test_a_tiff_of_different_images_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0])
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, append=True)
    with pytest.raises(DataError, match=r"a\.tif: it holds 2 images of different kinds"):
        read_image(tmp_path / "a.tif")


def test_arrays_are_found_by_their_key(tmp_path):
    np.savez(tmp_path / "a.npz", image=VOLUME, label=VOLUME)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"], file["label"] = VOLUME, VOLUME
    for name in ("a.npz", "a.h5"):
        assert np.array_equal(read_image(tmp_path / name, key="image").array, VOLUME)
        with pytest.raises(DataError, match=rf"{name}: it holds 2 arrays \(image, label\)"):
            read_image(tmp_path / name)
        with pytest.raises(DataError, match=r"no array 'imag' \(did you mean 'image'\?\)"):
            read_image(tmp_path / name, key="imag")


def test_pickled_objects_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy: .*Python objects"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".png", ".tif", ".mha", ".nrrd", ".npy", ".npz", ".h5"])
@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9])
def test_a_file_that_was_cut_short_is_named(tmp_path, suffix, part):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    write_any(whole, RNG.integers(0, 255, (40, 41, 12)).astype(np.uint8))
    data = whole.read_bytes()
    cut.write_bytes(data[: int(part * len(data))])
    with pytest.raises(DataError, match=rf"cut{suffix}: "):
        read_image(cut)


def write_any(path, array):
    suffix = "".join(path.suffixes)
    if suffix in (".nii", ".nii.gz"):
        nifti(path, array)
    elif suffix in (".mha", ".nrrd"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["image"] = array
    elif suffix == ".png":
        Picture.fromarray(array[..., 0]).save(path)
    else:
        {".tif": tifffile.imwrite, ".npy": np.save, ".npz": np.savez}[suffix](path, array)


def test_unknown_absent_and_nan_files_say_what_to_do(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"hello")
    np.save(tmp_path / "nan.npy", np.full((5, 6), np.nan))
    for name, words in (("a.xyz", "known are .nii"), ("b.png", "no such file"), ("nan.npy", "NaN")):
        with pytest.raises(DataError, match=rf"{name}: .*{words}"):
            read_image(tmp_path / name)


def test_a_coloured_label_is_refused(tmp_path):
    Picture.fromarray(COLOURS).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: a label has one channel"):
        read_values(tmp_path / "a.png")


def test_images_of_a_folder_come_by_name_without_hidden_and_foreign_files(tmp_path):
    for name in ("b.png", "a.nii.gz", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [stem_of(f) for f in image_files(tmp_path)] == ["a", "b"]
