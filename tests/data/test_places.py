"""Patient, phase and place of 2D cases come from the layout, and names are read at the door only."""

import h5py
import numpy as np
import pytest
import raw_worlds as worlds
from PIL import Image as Picture

from frugalseg.data.case import Place
from frugalseg.data.layouts import open_pool
from frugalseg.data.pool import PoolView
from frugalseg.data.splits import Split, cases_named, check_split, read_split
from frugalseg.errors import DataError, SettingsError
from frugalseg.strategies.embedding.groups import families_of
from frugalseg.strategies.embedding.pictures import pictures_of


def slices(root, names):
    for name in names:
        path = root / "ACDC_training_slices" / f"{name}.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            file["image"] = np.ones((6, 7), np.float32)
            file["label"] = np.zeros((6, 7), np.uint8)
    return root


SLICES = [f"patient{p:03d}_frame{f:02d}_slice_{k}" for p in (1, 2) for f in (1, 9) for k in range(1, 13)]


@pytest.fixture
def acdc(tmp_path):
    slices(tmp_path, SLICES)
    for patient in ("patient001", "patient002"):
        (tmp_path / "ACDC_training_slices" / f"{patient}.cfg").write_text("ED: 1\nES: 9\n")
    return tmp_path


def test_slices_from_10_on_keep_their_number(acdc):
    pool = open_pool(acdc, options={"part": "slices"})
    assert pool["patient002_frame09_slice_12"].place == Place("patient002_frame09", 11, 12)
    assert len({(c.place.volume, c.place.index) for c in pool.cases}) == len(SLICES)


def test_the_info_file_says_the_phase(acdc):
    pool = open_pool(acdc, options={"part": "slices"})
    case = pool["patient001_frame09_slice_3"]
    assert (case.group, case.phase, pool["patient001_frame01_slice_3"].phase) == ("patient001", "ES", "ED")


def test_without_an_info_file_nobody_says_the_phase(tmp_path):
    pool = open_pool(slices(tmp_path, SLICES), options={"part": "slices"})
    assert {case.phase for case in pool.cases} == {""}


def test_slices_of_a_volume_are_a_family_with_neighbours(acdc):
    pool = open_pool(acdc, options={"part": "slices"})
    pictures = pictures_of(PoolView(pool.cases, pool.label, "image"))
    families = families_of(pictures)
    assert len(np.unique(families.volume)) == 4
    assert sorted(families.index[families.volume == families.volume[0]]) == list(range(12))
    assert {p.position for p in pictures if p.case.endswith("slice_1")} == {0.0}


def test_lists_name_files_volumes_and_patients(acdc, tmp_path):
    cases = open_pool(acdc, options={"part": "slices"}).cases
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("ACDC_training_slices/patient001_frame01_slice_10.h5\n")
    (lists / "val.txt").write_text("patient001_frame09\n")
    (lists / "test.txt").write_text("patient002\n")
    split = cases_named(read_split(lists), cases)
    assert split.train == ("patient001_frame01_slice_10",)
    assert (len(split.validation), len(split.test)) == (12, 24)
    with pytest.raises(DataError, match="group 'patient001' is cut"):
        check_split(split, cases)


def test_a_name_that_is_nothing_stays_for_the_check(acdc):
    cases = open_pool(acdc, options={"part": "slices"}).cases
    split = cases_named(Split(("patient009",)), cases)
    with pytest.raises(DataError, match="names 'patient009', which is no case"):
        check_split(split, cases)


def pictures(root, index):
    for name in ("a", "b", "c"):
        (root / "images").mkdir(exist_ok=True)
        Picture.fromarray(np.zeros((4, 5), np.uint8)).save(root / "images" / f"{name}.png")
    (root / "index.csv").write_text(index)
    return root


INDEX = "id,group,phase,scan,z\na,p,ED,s1,4\nb,p,ED,s1,6\nc,p,ES,,\n"


def test_the_index_says_place_and_phase_of_2d_images(tmp_path):
    pool = open_pool(pictures(tmp_path, INDEX), options={"volume": "scan", "position": "z"})
    assert [c.place for c in pool.cases] == [Place("s1", 0, 3), Place("s1", 2, 3), None]
    assert [c.phase for c in pool.cases] == ["ED", "ED", "ES"]


def test_a_position_that_is_no_number_or_stands_alone_is_an_error(tmp_path):
    pictures(tmp_path, INDEX.replace("s1,6", "s1,top"))
    with pytest.raises(DataError, match="position of 'b' must be a whole number, but it is 'top'"):
        open_pool(tmp_path, options={"volume": "scan", "position": "z"})
    with pytest.raises(SettingsError, match="give both or none"):
        open_pool(tmp_path, options={"volume": "scan"})


def test_a_volume_is_no_part_of_another(tmp_path):
    worlds.volume(tmp_path / "images" / "a.nii.gz", np.zeros((4, 5, 6), np.uint8))
    (tmp_path / "index.csv").write_text("id,scan,z\na,s1,4\n")
    with pytest.raises(DataError, match="only a 2D image is a part of a volume"):
        open_pool(tmp_path, options={"volume": "scan", "position": "z"})


def test_davis_opens_as_it_is_published(tmp_path):
    pool = open_pool(worlds.davis(tmp_path), labels_are="truth")
    assert (len(pool), pool["dog_00002"].group, pool["dog_00002"].place) == (12, "dog", Place("dog", 2, 3))
    assert pool.truth.semantic("dog_00000").array.sum() == 3 * 6 + 2 * 3
    split = cases_named(read_split(tmp_path / "ImageSets/2016"), pool.cases)
    assert (len(split.train), len(split.validation)) == (6, 6)


def test_davis_ids_become_classes_or_stay_objects(tmp_path):
    worlds.davis(tmp_path)
    classes = open_pool(tmp_path, labels_are="truth", options={"objects": 2})
    objects = open_pool(tmp_path, labels_are="truth", options={"instances": True})
    assert np.unique(classes.truth.semantic("bear_00000").array).tolist() == [0, 1, 2]
    assert objects.truth.read("bear_00000").ids.tolist() == [1, 2]
    with pytest.raises(SettingsError, match="not both"):
        open_pool(tmp_path, options={"instances": True, "objects": 2})


def test_a_davis_mask_of_0_and_255_is_an_object(tmp_path):
    worlds.davis(tmp_path)
    mask = np.zeros((12, 20), np.uint8)
    mask[2:5, 3:9] = 255
    Picture.fromarray(mask).save(tmp_path / "Annotations/480p/bear/00000.png")
    assert open_pool(tmp_path, labels_are="truth").truth.semantic("bear_00000").array.sum() == 18
