import os
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from frugalseg.data.cross_labels import middle_planes, write_cross_label, write_cross_labels
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.layouts import open_pool
from frugalseg.errors import DataError

SHAPE = (12, 14, 10)
PLANES = (4, 5, 6)  # of the box 2..7, 3..8, 5..7; the middle is rounded down


def volume():
    label = np.zeros(SHAPE, np.uint8)
    label[2:8, 3:9, 5:8] = 1
    label[2:4, 3:6] = 0
    label[2, 3, 5] = 1
    return label


def la_file(path, label=None, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    label = volume() if label is None else label
    image = np.random.default_rng(0).normal(size=label.shape).astype(np.float32)
    with h5py.File(path, "w") as file:
        for key, array in {"image": image, "label": label, **more}.items():
            file.create_dataset(key, data=array, compression="gzip")
    return path


def on_planes(shape, planes):
    drawn = np.zeros(shape, bool)
    drawn[planes[0]], drawn[:, planes[1]], drawn[:, :, planes[2]] = True, True, True
    return drawn


def contents(path):
    with h5py.File(path, "r") as file:
        return {key: file[key][()] for key in file}


def test_three_planes_cross_in_the_middle_of_the_box():
    assert middle_planes(SemanticLabel(volume(), ("background", "atrium"))) == PLANES


def test_unknown_voxels_are_no_foreground():
    label = volume()
    label[11, 13, 9] = UNKNOWN
    assert middle_planes(SemanticLabel(label, ("background", "atrium"))) == PLANES


def test_a_copy_gets_the_label_on_three_planes_and_says_so(tmp_path):
    source = la_file(tmp_path / "a.h5")
    record = write_cross_label(source, tmp_path / "out" / "a.h5")
    drawn, stored = on_planes(SHAPE, PLANES), contents(tmp_path / "out" / "a.h5")
    assert np.array_equal(stored["labeled_slice_indicator"], drawn)
    assert np.array_equal(stored["cross_label"], np.where(drawn, volume(), 0))
    assert stored["cross_label"].dtype == stored["labeled_slice_indicator"].dtype == np.uint8
    assert (record.planes, record.n_planes) == (PLANES, 3)
    assert (record.n_known, record.n_voxels) == (int(drawn.sum()), drawn.size)


def test_what_else_is_in_the_file_stays_and_the_source_too(tmp_path):
    source = la_file(tmp_path / "a.h5", dose=np.arange(3))
    before = source.read_bytes()
    write_cross_label(source, tmp_path / "b.h5")
    assert source.read_bytes() == before
    was, now = contents(source), contents(tmp_path / "b.h5")
    assert all(np.array_equal(now[key], was[key]) for key in was)


def test_a_file_is_replaced_only_when_told_so(tmp_path):
    source = la_file(tmp_path / "a.h5", cross_label=np.ones(3))
    with pytest.raises(DataError, match="exists already"):
        write_cross_label(source, source)
    write_cross_label(source, source, replace=True)
    assert contents(source)["cross_label"].shape == SHAPE


@pytest.mark.parametrize("layout", ["{}.h5", "data/{}.h5", "{}/mri_norm2.h5"])
def test_a_folder_is_read_back_as_a_sparse_label(tmp_path, layout):
    for name in ("p1", "p2"):
        la_file(tmp_path / "in" / layout.format(name))
    records = list(write_cross_labels(tmp_path / "in", tmp_path / "out"))
    pool = open_pool(tmp_path / "out", labels_are="truth")
    assert [r.path.name for r in records] == ["p1.h5", "p2.h5"]
    assert sum(r.n_planes for r in records) == 6
    for case in ("p1", "p2"):
        expected = np.where(on_planes(SHAPE, PLANES), volume(), UNKNOWN)
        assert np.array_equal(pool.label(case, "cross").array, expected)
        assert np.array_equal(pool.truth.semantic(case).array, volume())


def test_masks_of_0_and_255_become_classes(tmp_path):
    write_cross_label(la_file(tmp_path / "in" / "a.h5", volume() * 255), tmp_path / "out" / "a.h5")
    assert sorted(np.unique(contents(tmp_path / "out" / "a.h5")["cross_label"])) == [0, 1]


def test_a_folder_with_a_file_in_the_way_is_not_begun(tmp_path):
    for name in ("p1", "p2"):
        la_file(tmp_path / "in" / f"{name}.h5")
    la_file(tmp_path / "out" / "data" / "p2.h5")
    with pytest.raises(DataError, match=r"p2.h5: it exists already \(1 such files\)"):
        list(write_cross_labels(tmp_path / "in", tmp_path / "out"))
    assert not (tmp_path / "out" / "data" / "p1.h5").exists()
    assert len(list(write_cross_labels(tmp_path / "in", tmp_path / "out", replace=True))) == 2


def test_a_folder_may_be_its_own_target_only_where_the_files_keep_their_names(tmp_path):
    la_file(tmp_path / "good" / "data" / "p1.h5")
    la_file(tmp_path / "bad" / "p1.h5")
    assert len(list(write_cross_labels(tmp_path / "good", tmp_path / "good", replace=True))) == 1
    with pytest.raises(DataError, match="choose another folder"):
        list(write_cross_labels(tmp_path / "bad", tmp_path / "bad", replace=True))


def test_files_that_have_no_planes_are_named(tmp_path):
    empty = la_file(tmp_path / "empty.h5", np.zeros(SHAPE, np.uint8))
    partly = volume()
    partly[0] = UNKNOWN
    sparse = la_file(tmp_path / "sparse.h5", partly)
    np.save(tmp_path / "array.npz.npy", volume())
    for path, match in (
        (empty, "empty.h5.*no foreground"),
        (sparse, "sparse.h5.*everywhere"),
        (tmp_path / "no.h5", "no.h5"),
    ):
        with pytest.raises(DataError, match=match):
            write_cross_label(path, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    assert not list(tmp_path.glob(".part*"))


def test_an_indicator_of_another_shape_is_named(tmp_path):
    la_file(tmp_path / "a.h5", cross_label=volume(), labeled_slice_indicator=np.ones((2, 2, 2), np.uint8))
    with pytest.raises(DataError, match=r"a.h5: 'labeled_slice_indicator' has shape \(2, 2, 2\)"):
        open_pool(tmp_path, "la-h5").label("a", "cross")


def test_a_case_that_is_there_twice_is_named(tmp_path):
    la_file(tmp_path / "p1.h5")
    la_file(tmp_path / "data" / "p1.h5")
    with pytest.raises(DataError, match=r"case 'p1' is there twice, as .*p1.h5 and .*data/p1.h5"):
        open_pool(tmp_path, "la-h5")


def test_planes_may_be_said_and_must_lie_in_the_volume(tmp_path):
    source = la_file(tmp_path / "a.h5", np.zeros(SHAPE, np.uint8))
    record = write_cross_label(source, tmp_path / "b.h5", planes=(0, 13, 9))
    assert np.array_equal(contents(tmp_path / "b.h5")["labeled_slice_indicator"], on_planes(SHAPE, record.planes))
    with pytest.raises(DataError, match=r"a.h5: planes 0,14,9 lies outside"):
        write_cross_label(source, tmp_path / "c.h5", planes=(0, 14, 9))


def test_values_of_a_cross_label_without_a_meaning_name_the_file(tmp_path):
    drawn = np.ones(SHAPE, np.uint8)
    la_file(tmp_path / "a.h5", cross_label=drawn * 7, labeled_slice_indicator=drawn)
    with pytest.raises(DataError, match=r"a.h5: label values \[7\]"):
        open_pool(tmp_path, "la-h5").label("a", "cross")


@pytest.mark.real
def test_planes_of_a_real_heart_hold_more_of_it_than_the_volume_does(tmp_path):
    if "FRUGALSEG_DATA" not in os.environ:
        pytest.skip("FRUGALSEG_DATA does not name a folder of real data")
    file = sorted((Path(os.environ["FRUGALSEG_DATA"]) / "acdc_scribbles" / "labels").glob("*.nii.gz"))[0]
    label = (np.asanyarray(nibabel.load(file).dataobj) > 0).astype(np.uint8)
    write_cross_label(la_file(tmp_path / "in.h5", label), tmp_path / "data" / "p.h5")
    drawn = open_pool(tmp_path, "la-h5").label("p", "cross")
    assert (drawn.array[drawn.known] == label[drawn.known]).all()
    assert (drawn.array == 1).sum() / drawn.known.sum() > 1.5 * label.mean()
