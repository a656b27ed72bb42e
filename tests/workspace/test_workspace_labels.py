import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from workspace_worlds import SHAPE, TILTED, make_label, make_pool

from frugalseg.errors import DataError, GeometryMismatch
from frugalseg.workspace import Workspace
from frugalseg.workspace.names import from_stem, to_stem, to_stems


@given(st.text(min_size=1, max_size=15))
def test_any_name_becomes_a_plain_file_name_and_comes_back(name):
    try:
        stem = to_stem(name)
    except UnicodeEncodeError:
        return
    assert from_stem(stem) == name
    assert stem.isascii()
    assert not set(stem) & set('/\\:*?"<>| ')
    assert stem[0] != "."
    assert stem[-1] != "."


@pytest.mark.parametrize("name", [".", "..", "~x", "con", "LPT1.nii", "a.", ".hidden"])
def test_names_that_file_systems_keep_for_themselves_are_changed(name):
    assert to_stem(name) != name
    assert from_stem(to_stem(name)) == name


def test_names_that_differ_in_capitals_only_do_not_meet_in_one_file():
    stems = to_stems(["Scan.A", "scan.a", "Other"])
    assert len({stem.casefold() for stem in stems.values()}) == 3
    assert stems["Other"] == "Other"
    assert [from_stem(stem) for stem in stems.values()] == list(stems)


@pytest.mark.parametrize("name", ["", "x" * 300])
def test_a_name_that_cannot_be_a_file_is_refused(name):
    with pytest.raises(DataError, match="cannot be a file name"):
        to_stem(name)


def test_a_volume_label_is_a_nifti_file_in_the_geometry_of_its_case(workspace):
    workspace.labels.put("v0", "ada", make_label())
    image = nib.load(workspace.folder / "labels" / "ada" / "v0.nii.gz")
    np.testing.assert_allclose(image.affine, TILTED.matrix)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), make_label().array)


def test_a_2d_label_is_a_png_file(workspace):
    label = make_label((7, 8))
    workspace.labels.put("a/b: ü*?", "ada", label)
    (file,) = (workspace.folder / "labels" / "ada").iterdir()
    with Picture.open(file) as picture:
        assert picture.size == (8, 7)
    np.testing.assert_array_equal(workspace.labels.get("a/b: ü*?", "ada").array, label.array)


def test_a_colour_picture_is_no_label(workspace):
    folder = workspace.folder / "labels" / "ada"
    workspace.labels.put("a/b: ü*?", "ada", make_label((7, 8)))
    (file,) = folder.iterdir()
    Picture.fromarray(np.arange(7 * 8 * 3, dtype=np.uint8).reshape(7, 8, 3)).save(file)
    with pytest.raises(DataError, match=r"ada/a%2Fb.*\.png: "):
        Workspace.open(workspace.folder)


def test_nothing_drawn_is_none(workspace):
    assert workspace.labels.get("v0", "ada") is None
    assert workspace.labels.raters("v0") == ()


def test_a_damaged_label_file_is_named(workspace):
    workspace.labels.put("v0", "ada", make_label())
    file = workspace.folder / "labels" / "ada" / "v0.nii.gz"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match=r"v0\.nii\.gz"):
        workspace.labels.get("v0", "ada")


def test_a_case_that_is_not_in_the_workspace_is_named(workspace):
    for ask in (workspace.labels.raters, lambda case: workspace.labels.get(case, "ada")):
        with pytest.raises(DataError, match=r"no case 'v00' in the workspace \(did you mean 'v0'"):
            ask("v00")


def test_put_replaces_and_keeps_the_types(workspace):
    workspace.labels.put("v0", "ada", make_label(seed=1))
    workspace.labels.put("v0", "ada", make_label(seed=2))
    label = workspace.labels.get("v0", "ada")
    assert label.array.dtype == np.uint8
    np.testing.assert_array_equal(label.array, make_label(seed=2).array)


def test_two_raters_whose_names_differ_in_capitals_are_refused(workspace):
    workspace.labels.put("v0", "ada", make_label())
    with pytest.raises(DataError, match="rater 'ada' already"):
        workspace.labels.put("v0", "Ada", make_label())


def test_a_label_of_another_shape_is_refused(workspace):
    with pytest.raises(DataError, match=r"v0: a label of shape \(2, 2\)"):
        workspace.labels.put("v0", "ada", make_label((2, 2)))


def save(workspace: Workspace, array: np.ndarray, affine: np.ndarray = TILTED.matrix) -> None:
    folder = workspace.folder / "labels" / "ada"
    folder.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), folder / "v0.nii.gz")


def test_a_label_edited_in_a_viewer_is_taken_over_at_opening(workspace):
    workspace.labels.put("v0", "ada", make_label())
    save(workspace, np.full(SHAPE, 2, np.float32))
    again = Workspace.open(workspace.folder, pool=make_pool())
    assert "v0.nii.gz: the label was not as it had been noted" in again.repairs[0]
    assert (again.labels.get("v0", "ada").array == 2).all()
    assert Workspace.open(workspace.folder).repairs == ()


def test_a_new_label_file_of_a_known_case_is_taken_over_at_opening(workspace):
    save(workspace, np.ones(SHAPE, np.uint8))
    again = Workspace.open(workspace.folder, pool=make_pool())
    assert again.labels.raters("v0") == again.raters() == ("ada",)


def test_a_label_whose_file_is_gone_is_gone_and_that_is_said_at_opening(workspace):
    workspace.labels.put("v0", "ada", make_label())
    (workspace.folder / "labels" / "ada" / "v0.nii.gz").unlink()
    assert workspace.labels.get("v0", "ada") is None
    again = Workspace.open(workspace.folder)
    assert "was forgotten" in again.repairs[0]
    assert again.labels.raters("v0") == ()


def test_files_that_are_no_labels_are_named_and_left_alone(workspace):
    save(workspace, np.ones(SHAPE, np.uint8))
    stray = workspace.folder / "labels" / "ada" / "notes.txt"
    stray.write_text("check v3")
    assert any("belongs to no case" in line for line in Workspace.open(workspace.folder).repairs)
    assert stray.exists()


@pytest.mark.parametrize(
    ("array", "affine", "error", "message"),
    [
        (np.full(SHAPE, 7, np.uint8), TILTED.matrix, DataError, r"v0\.nii\.gz: label values \[7\]"),
        (np.full(SHAPE, 0.5, np.float32), TILTED.matrix, DataError, "whole numbers"),
        (np.full(SHAPE, np.nan, np.float32), TILTED.matrix, DataError, "whole numbers"),
        (np.ones((4, 5, 7), np.uint8), TILTED.matrix, GeometryMismatch, r"shape \(4, 5, 7\)"),
        (np.ones(SHAPE, np.uint8), np.eye(4), GeometryMismatch, "affine"),
    ],
)
def test_a_file_that_is_no_label_of_its_case_is_named_at_opening(workspace, array, affine, error, message):
    save(workspace, array, affine)
    with pytest.raises(error, match=message):
        Workspace.open(workspace.folder)
