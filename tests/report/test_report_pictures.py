from io import BytesIO

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Picture
from report_worlds import CLASSES, make_label, make_volume

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.errors import DataError
from frugalseg.report.anatomy import planes_of
from frugalseg.report.pictures import case_panel, contact_sheet, overlay_png
from frugalseg.report.records import Panel


def pixels(png: bytes) -> np.ndarray:
    with Picture.open(BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"), int)


def coloured(png: bytes) -> np.ndarray:
    """Where a picture is not grey: outlines and their filling."""
    return np.ptp(pixels(png), axis=2) > 60


def test_planes_go_where_most_was_drawn():
    extent = np.zeros((8, 10, 12), bool)
    extent[6, 2:9, 3] = extent[5, 4, 3:6] = True
    assert [plane.index for plane in planes_of(Geometry.plain(extent.shape), extent)] == [6, 4, 3]


def test_planes_go_through_the_middle_where_nothing_was_drawn():
    extent = np.zeros((8, 10, 12), bool)
    assert [plane.index for plane in planes_of(Geometry.plain(extent.shape), extent)] == [4, 5, 6]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRA", "AIL", "PSR"])
def test_the_same_body_looks_the_same_however_the_file_stores_it(codes):
    body = nib.Nifti1Image(np.random.default_rng(0).random((5, 6, 7)), np.diag([1.0, 2.0, 3.0, 1.0]))
    turned = body.as_reoriented(nib.orientations.axcodes2ornt(tuple(codes)).tolist())
    for a, b in zip(*(views(image) for image in (body, turned)), strict=True):
        assert a[0] == b[0]
        assert a[1] == pytest.approx(b[1])
        np.testing.assert_array_equal(a[2], b[2])


def views(image: nib.Nifti1Image) -> list[tuple[object, float, np.ndarray]]:
    """Edges, aspect and pixels of each plane through one voxel that is marked."""
    array = np.asarray(image.dataobj)
    extent = array == array.max()
    return [
        (p.edges, p.aspect, p.of(array)) for p in planes_of(Geometry.from_affine(array.shape, image.affine), extent)
    ]


def test_an_axial_plane_has_the_patients_right_on_the_left_and_the_front_on_top():
    array = np.zeros((5, 6, 7))
    array[4, 5, 3] = 1  # far right, far front
    axial = planes_of(Geometry.from_affine(array.shape, np.eye(4)), array > 0)[0]
    assert axial.name == "axial, slice 3"
    assert axial.edges == ("R", "L", "A", "P")
    assert axial.of(array)[0, 0] == 1


def test_a_sagittal_plane_of_thick_slices_has_true_proportions():
    geometry = Geometry.from_affine((20, 20, 5), np.diag([1.0, 2.0, 8.0, 1.0]))
    sagittal = planes_of(geometry, np.zeros(geometry.shape, bool))[2]
    assert sagittal.of(np.zeros(geometry.shape)).shape == (5, 20)
    assert sagittal.aspect == 4


def test_a_panel_of_a_volume_shows_three_planes_in_three_columns():
    panel = case_panel(make_volume(np.eye(4)), make_label(), make_label(value=2), title="v0", caption="Dice 0")
    found = coloured(panel.image)
    first, second, third = np.array_split(found, 3, axis=1)
    assert not first[: len(found) * 9 // 10].any()
    assert second.any()
    assert third.any()
    assert (panel.title, panel.caption) == ("v0", "Dice 0")


def test_an_empty_case_is_shown_without_outlines():
    empty = SemanticLabel(np.zeros((8, 10, 12), np.uint8), CLASSES)
    found = coloured(case_panel(make_volume(), empty, empty, title="v0").image)
    assert not found[: len(found) * 9 // 10].any()


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (30, 40, 4), (30, 40, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_2d_images_of_any_kind_are_shown(shape, dtype):
    array = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    ids = np.zeros((30, 40), np.int32)
    ids[3:9, 3:9], ids[12:20, 5:30], ids[25:, 30:] = 1, 700, -1
    panel = case_panel(Image(array, Geometry.plain((30, 40))), InstanceLabel(ids), InstanceLabel(ids), title="i")
    assert panel.uri.startswith("data:image/png;base64,")


def test_a_constant_image_can_be_shown():
    image = Image(np.full((30, 40), 7.0), Geometry.plain((30, 40)))
    label = make_label((30, 40))
    assert coloured(case_panel(image, label, label, title="flat").image).any()


def test_a_hole_is_not_filled():
    array = np.zeros((40, 40), np.uint8)
    array[5:35, 5:35], array[12:28, 12:28] = 1, 0
    image = Image(np.zeros((40, 40)), Geometry.plain((40, 40)))
    label = SemanticLabel(array, CLASSES)
    truth = np.array_split(pixels(case_panel(image, label, label, title="ring").image), 3, axis=1)[1]
    middle = truth[len(truth) // 2, truth.shape[1] // 2]
    assert middle.max() < 40


def test_what_nobody_has_looked_at_is_dimmed(tmp_path):
    array = np.full((40, 40), 255, np.uint8)
    array[:, :20] = 0
    image = Image(np.linspace(1, 2, 1600).reshape(40, 40).T, Geometry.plain((40, 40)))
    overlay_png(tmp_path / "x.png", image, SemanticLabel(array, CLASSES))
    _, overlay = np.array_split(pixels((tmp_path / "x.png").read_bytes()), 2, axis=1)
    rows, columns = overlay.shape[:2]
    bright = [overlay[rows // 4 : rows * 3 // 4, int(columns * x)].mean() for x in (0.45, 0.55)]
    assert bright[1] < bright[0] / 1.5


def test_the_same_case_gives_the_same_bytes():
    once, again = (case_panel(make_volume(), make_label(), make_label(), title="v").image for _ in range(2))
    assert once == again


def test_a_contact_sheet_holds_every_panel(tmp_path):
    panels = [case_panel(make_volume(), make_label(), make_label(), title=f"v{k}") for k in range(3)]
    contact_sheet(panels, tmp_path / "sheet.png", columns=2)
    with Picture.open(BytesIO(panels[0].image)) as one, Picture.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width >= 2 * one.width
        assert sheet.height >= 2 * one.height


@pytest.mark.parametrize("panels", [[], [Panel("curve", "", b"<svg/>")]])
def test_a_contact_sheet_of_nothing_or_of_svg_is_refused(tmp_path, panels):
    with pytest.raises(DataError, match="made of PNG panels"):
        contact_sheet(panels, tmp_path / "sheet.png")
