"""Data sets as they are published become folders that open."""

import csv

import nibabel as nib
import numpy as np
import pytest
import raw_worlds as worlds

from frugalseg.data.label import UNKNOWN
from frugalseg.data.raw import RAW, prepare
from frugalseg.data.spec import open_data, parse_data_spec, split_data
from frugalseg.errors import DataError, GeometryMismatch, LabelValueError, SettingsError


def prepared(name, source, out, **options):
    """The pool that the line of the last record opens, with its split."""
    (*_, last) = prepare(name, source, out, options=options)
    spec = parse_data_spec(last.spec)
    pool = open_data(spec, labels_are="truth")
    return pool, split_data(pool, file=spec.split) if spec.split else None


@pytest.fixture
def acdc(tmp_path):
    worlds.acdc(tmp_path / "raw", {1: 12, 81: 2, 101: 3}, strokes=tmp_path / "strokes")
    return tmp_path


def test_acdc_is_split_by_its_patients_and_knows_their_phases(acdc):
    pool, split = prepared("acdc", acdc / "raw", acdc / "out", scribbles=str(acdc / "strokes"))
    assert split.train == ("patient001_frame01", "patient001_frame09")
    assert (split.validation[0], split.test[0]) == ("patient081_frame01", "patient101_frame01")
    assert [(c.group, c.phase) for c in pool.cases[:2]] == [("patient001", "ED"), ("patient001", "ES")]


def test_acdc_keeps_all_slices_and_the_scanners_spacing(acdc):
    pool, _ = prepared("acdc", acdc / "raw", acdc / "out")
    case = pool["patient001_frame01"]
    assert (case.geometry.shape, case.geometry.spacing) == ((32, 28, 12), worlds.SPACING)
    label = nib.load(acdc / "raw/training/patient001/patient001_frame01_gt.nii.gz").get_fdata()
    assert np.array_equal(pool.truth.semantic(case.id).array, label)


def test_acdc_volumes_are_clipped_at_their_99th_percentile_each(acdc):
    pool, _ = prepared("acdc", acdc / "raw", acdc / "out")
    raw = nib.load(acdc / "raw/training/patient001/patient001_frame01.nii.gz").get_fdata()
    low, high = raw.min(), np.percentile(raw, 99)
    image = pool["patient001_frame01"].image().array
    assert image.dtype == np.float32
    assert np.allclose(image, (np.clip(raw, low, high) - low) / (high - low), atol=1e-5)


def test_acdc_strokes_are_unknown_where_nobody_looked(acdc):
    pool, _ = prepared("acdc", acdc / "raw", acdc / "out", scribbles=str(acdc / "strokes"))
    strokes = nib.load(acdc / "strokes/patient001/patient001_frame09_scribble.nii.gz").get_fdata()
    drawn = pool.label("patient001_frame09", "scribbles").array
    assert np.array_equal(drawn, np.where(strokes == 4, UNKNOWN, strokes))


def test_mirrored_strokes_are_refused(acdc):
    file = acdc / "strokes/patient001/patient001_frame01_scribble.nii.gz"
    worlds.volume(file, nib.load(file).get_fdata().astype(np.uint8)[:, ::-1])
    with pytest.raises(DataError, match=r"frame01_scribble.*% of the strokes lie on their class"):
        prepared("acdc", acdc / "raw", acdc / "out", scribbles=str(acdc / "strokes"))


def test_the_index_holds_what_the_info_file_says(acdc):
    list(prepare("acdc", acdc / "raw", acdc / "out"))
    rows = list(csv.DictReader((acdc / "out" / "index.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1]["patient_group"] == "DCM"
    assert (rows[1]["id"], rows[1]["group"], rows[1]["phase"]) == ("patient001_frame09", "patient001", "ES")


def test_a_stopped_preparation_goes_on_without_writing_again(acdc):
    records = prepare("acdc", acdc / "raw", acdc / "out")
    first = next(records).case
    records.close()
    file = acdc / "out" / "images" / f"{first}.nii.gz"
    before = file.stat().st_mtime_ns
    (*_, last) = prepare("acdc", acdc / "raw", acdc / "out")
    assert (last.done, last.total, file.stat().st_mtime_ns) == (6, 6, before)


@pytest.mark.parametrize("content", ["mine.txt", "prepared.json"])
def test_a_folder_with_anything_else_is_left_alone(acdc, content):
    (acdc / "out").mkdir()
    (acdc / "out" / content).write_text("{}")
    with pytest.raises(DataError, match="is not empty and holds no beginning of this preparation"):
        prepare("acdc", acdc / "raw", acdc / "out")
    assert [f.name for f in (acdc / "out").iterdir()] == [content]


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("training/patient001/patient001_frame09.nii.gz", r"patient001_frame09\.nii\.gz: there is no such file$"),
        ("testing/patient101/patient101_frame01_gt.nii.gz", "leave it out with testing=false"),
        ("training/patient081/Info.cfg", "cannot be read as the Info file"),
    ],
)
def test_what_acdc_lacks_is_named_before_anything_is_written(acdc, lost, message):
    (acdc / "raw" / lost).unlink()
    with pytest.raises(DataError, match=message):
        prepare("acdc", acdc / "raw", acdc / "out")
    assert not (acdc / "out").exists()


def test_acdc_without_labels_of_the_test_can_do_without_them(acdc):
    for file in (acdc / "raw/testing/patient101").glob("*_gt.nii.gz"):
        file.unlink()
    pool, split = prepared("acdc", acdc / "raw", acdc / "out", testing=False)
    assert (len(pool), split.test) == (4, ())


def test_an_info_file_without_its_frames_is_named(acdc):
    (acdc / "raw/training/patient001/Info.cfg").write_text("ED: 1\nGroup: DCM\n")
    with pytest.raises(DataError, match=r"Info\.cfg: the line 'ES: N'"):
        prepare("acdc", acdc / "raw", acdc / "out")


@pytest.mark.parametrize("name", sorted(RAW))
def test_a_folder_of_another_structure_is_explained(tmp_path, name):
    with pytest.raises(DataError, match=str(tmp_path)):
        prepare(name, tmp_path, tmp_path / "out")


def test_an_unknown_set_or_option_names_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match=r"unknown data set 'acdcc' \(did you mean 'acdc'"):
        prepare("acdcc", tmp_path, tmp_path / "out")
    with pytest.raises(SettingsError, match=r"options of 'acdc': unknown key 'scribble' \(did you mean 'scribbles'"):
        prepare("acdc", tmp_path, tmp_path / "out", options={"scribble": "x"})


@pytest.mark.parametrize("falling", [False, True])
def test_chaos_masks_lie_on_the_slices_of_their_names(tmp_path, falling):
    raw, liver = worlds.chaos_ct(tmp_path / "raw", 5, falling=falling)
    pool, split = prepared("chaos", tmp_path / "raw", tmp_path / "out")
    image, label = pool["ct05"].image().array, pool.truth.semantic("ct05").array
    turned = slice(None, None, -1 if falling else 1)
    assert np.array_equal(label, (liver > 0)[..., turned])
    assert np.allclose(image, np.clip((raw[..., turned] - 40.0) / 100, -1, 1))
    assert np.allclose(pool["ct05"].geometry.spacing, (0.7, 0.6, 3.0))
    assert (pool.classes, split) == (("background", "liver"), None)


def test_chaos_masks_that_cannot_be_told_apart_are_refused(tmp_path):
    worlds.chaos_ct(tmp_path / "raw", 5)
    slices = tmp_path / "raw/Train_Sets/CT/5/DICOM_anon"
    (slices / "i0000,0000b.dcm").rename(slices / "i0009,0000b.dcm")
    with pytest.raises(DataError, match="cannot be told which mask is of which slice"):
        prepare("chaos", tmp_path / "raw", tmp_path / "out")


def test_a_missing_chaos_mask_is_counted(tmp_path):
    worlds.chaos_ct(tmp_path / "raw", 5)
    (tmp_path / "raw/Train_Sets/CT/5/Ground/liver_GT_001.png").unlink()
    with pytest.raises(DataError, match="holds 3 masks for 4 slices"):
        prepare("chaos", tmp_path / "raw", tmp_path / "out")


def chaos_mr(root, values):
    image = np.arange(8 * 6 * 3, dtype=np.int16).reshape(8, 6, 3)
    label = np.zeros(image.shape, np.uint8)
    label[0, : len(values)] = np.array(values, np.uint8)[:, None]
    names = [f"IMG-0002-{k:05d}" for k in range(1, 4)]
    worlds.dicom(root / "MR/7/T2SPIR/DICOM_anon", image, names)
    worlds.masks(root / "MR/7/T2SPIR/Ground", label, names)
    return root


def test_chaos_mr_has_the_organs_of_its_grey_values(tmp_path):
    chaos_mr(tmp_path / "raw", [63, 126, 189, 252])
    pool, _ = prepared("chaos", tmp_path / "raw", tmp_path / "out", modality="mr", sequences="T2SPIR")
    assert pool.truth.semantic("mr07_T2SPIR").array[0, :5, 0].tolist() == [1, 2, 3, 4, 0]
    assert (pool.cases[0].group, pool.cases[0].phase, len(pool.classes)) == ("mr07", "T2SPIR", 5)


def test_a_grey_value_of_no_organ_is_an_error(tmp_path):
    chaos_mr(tmp_path / "raw", [63, 90])
    with pytest.raises(LabelValueError, match=r"the grey values \[90\] are of no organ"):
        prepared("chaos", tmp_path / "raw", tmp_path / "out", modality="mr", sequences="T2SPIR")


def test_mscmr_trains_with_strokes_and_tests_with_complete_labels(tmp_path):
    worlds.mscmr(tmp_path / "raw")
    pool, split = prepared("mscmr", tmp_path / "raw", tmp_path / "out")
    assert (split.train, split.test) == (("subject2_DE", "subject4_DE"), ("subject6_DE", "subject8_DE"))
    assert ("subject2_DE" in pool.truth, pool.truth.semantic("subject6_DE").is_dense) == (False, True)
    strokes = worlds.heart(3, 2)[2]
    assert np.array_equal(pool.label("subject2_DE", "scribbles").array, np.where(strokes == 4, UNKNOWN, strokes))
    image = pool["subject2_DE"].image().array
    assert (abs(image.mean()) < 1e-4, abs(image.std() - 1) < 1e-4) == (True, True)


def test_mscmr_with_small_numbers_must_be_told_what_they_mean(tmp_path):
    worlds.mscmr(tmp_path / "raw", values=(3, 1, 2))
    with pytest.raises(LabelValueError, match="say which are RV, myocardium and LV"):
        prepared("mscmr", tmp_path / "raw", tmp_path / "out")
    pool, _ = prepared("mscmr", tmp_path / "raw", tmp_path / "other", values="3+1+2")
    assert np.array_equal(pool.truth.semantic("subject6_DE").array, worlds.heart(3, 6)[1])


def test_mscmr_takes_complete_labels_of_its_training_volumes_too(tmp_path):
    worlds.mscmr(tmp_path / "raw")
    for subject in (2, 4):
        label = np.array([0, 600, 200, 500], np.int16)[worlds.heart(3, subject)[1]]
        worlds.volume(tmp_path / "full" / f"subject{subject}_DE.nii.gz", label)
    pool, _ = prepared("mscmr", tmp_path / "raw", tmp_path / "out", full=str(tmp_path / "full"))
    assert np.array_equal(pool.truth.semantic("subject4_DE").array, worlds.heart(3, 4)[1])


def test_an_mscmr_image_without_its_label_is_named(tmp_path):
    worlds.mscmr(tmp_path / "raw")
    (tmp_path / "raw/val/labels/subject1_DE_manual.nii.gz").rename(tmp_path / "raw/val/labels/other.nii.gz")
    with pytest.raises(
        DataError, match=r"'subject1_DE' needs one label there, subject1_DE_\*\.nii\.gz, but has no file"
    ):
        prepare("mscmr", tmp_path / "raw", tmp_path / "out")


def test_a_label_that_does_not_lie_on_its_image_is_refused(tmp_path):
    worlds.mscmr(tmp_path / "raw")
    file = tmp_path / "raw/val/labels/subject1_DE_manual.nii.gz"
    worlds.volume(file, nib.load(file).get_fdata().astype(np.int16), spacing=(1, 1, 1))
    with pytest.raises(GeometryMismatch, match="does not lie on subject1_DE"):
        prepared("mscmr", tmp_path / "raw", tmp_path / "out")


def test_davis_frames_are_copied_and_videos_are_groups(tmp_path):
    worlds.davis(tmp_path / "raw")
    pool, split = prepared("davis", tmp_path / "raw", tmp_path / "out", validation=1)
    case = pool["bmx-bumps_00001"]
    assert (case.group, case.place.volume, case.place.index, case.place.n) == ("bmx-bumps", "bmx-bumps", 1, 3)
    frame = tmp_path / "raw/JPEGImages/480p/bmx-bumps/00001.jpg"
    assert (tmp_path / "out/images/bmx-bumps_00001.jpg").read_bytes() == frame.read_bytes()
    assert (len(split.train), len(split.validation), len(split.test)) == (6, 3, 3)
    assert pool.truth.semantic(case.id).array.sum() == 4 * 6 + 2 * 3


def test_davis_lists_of_frames_say_the_same_as_lists_of_videos(tmp_path):
    worlds.davis(tmp_path / "raw")
    lists = tmp_path / "raw/ImageSets"
    (lists / "2016").rename(lists / "480p")
    lines = [f"/JPEGImages/480p/{v}/{k:05d}.jpg /Annotations/480p/{v}/{k:05d}.png" for v in ("bear",) for k in range(3)]
    (lists / "480p/train.txt").write_text("\n".join(lines))
    _, split = prepared("davis", tmp_path / "raw", tmp_path / "out", validation=0)
    assert split.train == ("bear_00000", "bear_00001", "bear_00002")


def test_davis_objects_can_be_classes(tmp_path):
    worlds.davis(tmp_path / "raw")
    pool, _ = prepared("davis", tmp_path / "raw", tmp_path / "out", validation=0, objects=3)
    assert pool.classes == ("background", "object1", "object2", "object3")
    assert np.unique(pool.truth.semantic("bear_00000").array).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: (raw / "ImageSets/2016/val.txt").write_text("camle\n"), r"'camle'.*did you mean 'camel'"),
        (lambda raw: (raw / "ImageSets/2016").rename(raw / "ImageSets/2017"), "name the folder of yours"),
        (lambda raw: (raw / "Annotations/480p/bear/00001.png").unlink(), "there is no mask of this frame"),
    ],
)
def test_what_davis_lacks_is_named(tmp_path, change, message):
    change(worlds.davis(tmp_path / "raw"))
    with pytest.raises(DataError, match=message):
        prepare("davis", tmp_path / "raw", tmp_path / "out", options={"validation": 0})
