"""Folders as people have them, and what their label values become."""

import json
import os
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Picture
from pycocotools import mask as coco

from frugalseg.data.label import UNKNOWN, InstanceLabel
from frugalseg.data.layouts import LAYOUTS, open_pool
from frugalseg.errors import DataError, GeometryMismatch, LabelValueError, SettingsError

REAL = os.environ.get("FRUGALSEG_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="FRUGALSEG_DATA names no folder of real data sets")


def put(root, files):
    """Writes small pictures, name -> rows."""
    for name, rows in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(np.array(rows, np.uint8)).save(path)
    return root


IMAGE = [[10, 20], [30, 40]]


def labelled(root, labels, *, folder="labels"):
    images = {f"images/{name}.png": IMAGE for name in labels}
    return put(root, images | {f"{folder}/{name}.png": rows for name, rows in labels.items()})


def test_a_folder_of_images_alone_is_a_pool(tmp_path):
    pool = open_pool(put(tmp_path, {"b.png": IMAGE, "a.png": IMAGE}))
    assert [c.id for c in pool.cases] == ["a", "b"]
    assert (pool.labelled(), len(pool.truth.sources), pool.classes[0]) == ([], 0, "background")


def test_labels_are_drawn_or_hidden(tmp_path):
    labelled(tmp_path, {"a": [[0, 1], [1, 0]]})
    drawn, hidden = open_pool(tmp_path), open_pool(tmp_path, labels_are="truth")
    assert (drawn.labelled(), "a" in drawn.truth) == (["a"], False)
    assert (hidden.labelled(), hidden.truth.raters("a")) == ([], ("expert",))


def test_masks_of_0_and_255_are_0_and_1(tmp_path):
    pool = open_pool(labelled(tmp_path, {"a": [[0, 255], [255, 0]], "b": [[255, 255], [255, 255]]}))
    assert pool.label("a").array.tolist() == [[0, 1], [1, 0]]
    assert pool.label("b").array.tolist() == [[1, 1], [1, 1]]


def test_255_is_unknown_in_a_set_that_has_another_value_even_in_a_file_that_has_not(tmp_path):
    pool = open_pool(labelled(tmp_path, {"a": [[0, 1], [255, 0]], "b": [[0, 255], [255, 255]]}))
    assert pool.label("b").array.tolist() == [[0, UNKNOWN], [UNKNOWN, UNKNOWN]]


def test_strokes_beside_masks_keep_255_as_unknown(tmp_path):
    labelled(tmp_path, {"a": [[0, 255], [255, 0]]})
    pool = open_pool(put(tmp_path, {"scribbles/a.png": [[0, 255], [255, 255]]}), labels_are="truth")
    assert pool.label("a").array.tolist() == [[0, UNKNOWN], [UNKNOWN, UNKNOWN]]
    assert pool.truth.semantic("a").array.tolist() == [[0, 1], [1, 0]]


def test_values_are_numbered_in_order_and_named(tmp_path):
    labelled(tmp_path, {"a": [[0, 9], [4, 0]]})
    pool = open_pool(tmp_path, options={"names": "small+large"})
    assert pool.classes == ("background", "small", "large")
    assert pool.label("a").array.tolist() == [[0, 2], [1, 0]]


def test_chosen_classes_leave_the_others_as_background(tmp_path):
    labelled(tmp_path, {"a": [[0, 9], [4, 7]]})
    assert open_pool(tmp_path, options={"classes": "9+7"}).label("a").array.tolist() == [[0, 1], [0, 2]]


def test_the_unknown_value_of_the_user_counts_in_labels_and_strokes(tmp_path):
    labelled(tmp_path, {"a": [[0, 1], [4, 4]]})
    put(tmp_path, {"scribbles/a.png": [[4, 4], [4, 1]]})
    pool = open_pool(tmp_path, options={"unknown": "4"})
    assert pool.label("a", "expert").array.tolist() == [[0, 1], [UNKNOWN, UNKNOWN]]
    assert pool.label("a", "scribbles").array.tolist() == [[UNKNOWN, UNKNOWN], [UNKNOWN, 1]]


def test_a_stroke_value_without_a_meaning_is_named_with_its_file(tmp_path):
    labelled(tmp_path, {"a": [[0, 1], [1, 0]]})
    pool = open_pool(put(tmp_path, {"scribbles/a.png": [[4, 4], [4, 1]]}), labels_are="truth")
    with pytest.raises(LabelValueError, match=r"scribbles/a\.png: label values \[4\].*unknown=N"):
        pool.label("a")


def test_raters_are_the_sub_folders(tmp_path):
    labelled(tmp_path, {"a": [[0, 1], [0, 0]]}, folder="labels/zoe")
    labelled(tmp_path, {"a": [[1, 1], [0, 0]]}, folder="labels/ann")
    assert open_pool(tmp_path).labels.raters("a") == ("ann", "zoe")
    with pytest.raises(DataError, match="beside the folders of raters"):
        open_pool(put(tmp_path, {"labels/a.png": IMAGE}))


def test_folders_may_lie_apart(tmp_path):
    put(tmp_path, {"scans/a.png": IMAGE, "elsewhere/a.png": [[0, 1], [0, 0]]})
    options = {"images": ".", "labels": str(tmp_path / "elsewhere")}
    assert open_pool(tmp_path / "scans", "folder", options=options).labelled() == ["a"]


def test_two_images_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="another image with the id 'a'"):
        open_pool(put(tmp_path, {"images/a.png": IMAGE, "images/a.tif": IMAGE}))


def test_groups_come_from_the_index_which_must_know_every_image(tmp_path):
    labelled(tmp_path, {"a": IMAGE, "b": IMAGE})
    index = tmp_path / "index.csv"
    index.write_text("id,group,ward\na,p1,x\nb,p1,y\n")
    options = {"classes": "10"}
    assert [c.group for c in open_pool(tmp_path, options=options).cases] == ["p1", "p1"]
    assert [c.group for c in open_pool(tmp_path, options={**options, "group": "ward"}).cases] == ["x", "y"]
    index.write_text("id,group\na,p1\n")
    with pytest.raises(DataError, match=r"index\.csv: there is no group for 'b'"):
        open_pool(tmp_path, options=options)


def test_object_ids_are_kept(tmp_path):
    pool = open_pool(labelled(tmp_path, {"a": [[0, 7], [9, 9]]}), labels_are="truth", options={"instances": "true"})
    label = pool.truth.read("a")
    assert isinstance(label, InstanceLabel)
    assert label.ids.tolist() == [7, 9]
    assert pool.truth.semantic("a").classes == pool.classes


def test_what_was_put_goes_before_the_file(tmp_path):
    pool = open_pool(labelled(tmp_path, {"a": [[0, 1], [1, 0]]}))
    changed = pool.label("a").only(np.array([[True, False], [False, False]]))
    pool.labels.put("a", "expert", changed)
    assert pool.label("a") is changed
    assert open_pool(tmp_path).label("a").is_dense


def test_a_drawn_label_that_lies_elsewhere_is_refused(tmp_path):
    for folder, shift in (("images", 0), ("labels", 5)):
        (tmp_path / folder).mkdir()
        affine = nib.affines.from_matvec(np.eye(3), (shift, 0, 0))
        nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), affine), tmp_path / folder / "a.nii.gz")
    with pytest.raises(GeometryMismatch, match=r"a: what 'expert' has drawn .* 5 mm apart"):
        open_pool(tmp_path).label("a")


def nnunet(root, names, dataset, *, value=1):
    for name in names:
        (root / "imagesTr").mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), np.eye(4)), root / "imagesTr" / f"{name}.nii.gz")
    case = names[0] if not names[0].endswith("_0000") else names[0][:-5]
    (root / "labelsTr").mkdir()
    label = np.zeros((3, 4, 5), np.uint8)
    label[0] = value
    nib.save(nib.Nifti1Image(label, np.eye(4)), root / "labelsTr" / f"{case}.nii.gz")
    (root / "dataset.json").write_text(json.dumps(dataset))
    return root


TWO = {"channel_names": {"0": "t1", "1": "t2"}, "labels": {"background": 0, "tumour": 1, "ignore": 2}}


def test_nnunet_files_are_channels_and_its_ignore_label_is_unknown(tmp_path):
    pool = open_pool(nnunet(tmp_path, ["c_0000", "c_0001"], TWO, value=2))
    assert (pool.classes, pool["c"].image().channels) == (("background", "tumour"), 2)
    assert (pool.label("c").array[0] == UNKNOWN).all()


def test_a_missing_channel_is_named(tmp_path):
    with pytest.raises(DataError, match=r"case 'c' needs the files c_0000, c_0001, but has c_0000\.nii\.gz"):
        open_pool(nnunet(tmp_path, ["c_0000"], TWO))


def test_cases_of_the_decathlon_are_not_taken_for_channels(tmp_path):
    dataset = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "front"}}
    pool = open_pool(nnunet(tmp_path, ["hip_001", "hip_003"], dataset))
    assert ([c.id for c in pool.cases], pool.classes) == (["hip_001", "hip_003"], ("background", "front"))


def h5(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array


@pytest.mark.parametrize("name", ["c.h5", "data/c.h5", "c/mri_norm2.h5"])
def test_la_planes_are_drawn_and_the_rest_is_unknown(tmp_path, name):
    label = np.zeros((6, 7, 8), np.uint8)
    label[2:4] = 1
    planes = np.zeros_like(label)
    planes[3] = 1
    image = np.ones(label.shape, np.float32)
    h5(tmp_path / name, image=image, label=label, cross_label=label * planes, labeled_slice_indicator=planes)
    pool = open_pool(tmp_path, labels_are="truth")
    assert np.array_equal(pool.label("c", "cross").array, np.where(planes, label, UNKNOWN))
    assert np.array_equal(pool.truth.semantic("c").array, label)


@pytest.mark.parametrize("part", ["slices", "volumes"])
def test_acdc_is_grouped_by_patient_and_4_is_unknown(tmp_path, part):
    shape = {"slices": (6, 7), "volumes": (3, 6, 7)}[part]
    scribble = np.full(shape, 4, np.uint8)
    scribble[..., 0] = 2
    file = tmp_path / f"ACDC_training_{part}" / "patient012_frame01.h5"
    h5(file, image=np.ones(shape, np.float32), label=np.zeros(shape, np.uint8), scribble=scribble)
    pool = open_pool(tmp_path, labels_are="truth", options={"part": part})
    assert (pool.cases[0].group, pool.cases[0].geometry.shape) == ("patient012", shape)
    drawn = pool.label("patient012_frame01").array
    assert np.array_equal(drawn, np.where(scribble == 4, UNKNOWN, scribble))


def coco_folder(root, annotations, *, file_name="a.png"):
    put(root, {"images/a.png": np.zeros((20, 30))})
    image = {"id": 5, "file_name": file_name, "height": 20, "width": 30}
    categories = [{"id": 7, "name": "cell"}, {"id": 2, "name": "dirt"}]
    found = [{"id": k, "image_id": 5, **a} for k, a in enumerate(annotations, 1)]
    about = {"images": [image], "categories": categories, "annotations": found}
    (root / "instances.json").write_text(json.dumps(about))
    return root


POLYGON = [[2.0, 3.0, 12.5, 3.0, 9.0, 15.0]]


def run_lengths(mask, *, packed):
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    if packed:
        return {"size": [20, 30], "counts": encoded["counts"].decode()}
    flat = mask.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *([0] if flat[0] else []), *edges, flat.size])
    return {"size": [20, 30], "counts": [int(c) for c in counts]}


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("packed", [True, False])
def test_coco_polygons_and_run_lengths_equal_pycocotools(tmp_path, packed):
    mask = np.random.default_rng(0).random((20, 30)) < 0.2
    expected = coco.decode(coco.merge(coco.frPyObjects(POLYGON, 20, 30))).astype(np.int32)
    expected[mask] = 2
    shapes = [{"category_id": 7, "segmentation": POLYGON}]
    shapes.append({"category_id": 2, "segmentation": run_lengths(mask, packed=packed)})
    pool = open_pool(coco_folder(tmp_path, shapes), labels_are="truth")
    assert np.array_equal(pool.truth.read("a").array, expected)


def test_coco_categories_become_classes_and_crowds_unknown(tmp_path):
    corner = np.zeros((20, 30), bool)
    corner[-2:, -2:] = True
    crowd = {"category_id": 7, "iscrowd": 1, "segmentation": run_lengths(corner, packed=True)}
    folder = coco_folder(tmp_path, [{"category_id": 7, "segmentation": POLYGON}, crowd])
    pool = open_pool(folder, options={"semantic": "true"})
    assert pool.classes == ("background", "dirt", "cell")
    assert set(np.unique(pool.label("a").array)) == {0, 2, UNKNOWN}


def test_a_coco_image_may_be_named_without_suffix(tmp_path):
    assert [c.id for c in open_pool(coco_folder(tmp_path, [], file_name="a")).cases] == ["a"]


@pytest.mark.parametrize(
    "shape", [{}, {"segmentation": [[1, 1, 5, 5]]}, {"segmentation": {"size": [20, 30], "counts": [3, 4]}}]
)
def test_a_coco_annotation_without_a_usable_mask_is_named(tmp_path, shape):
    pool = open_pool(coco_folder(tmp_path, [{"category_id": 7, **shape}]), labels_are="truth")
    with pytest.raises(DataError, match=r"instances\.json: annotation 1 has no usable mask"):
        pool.truth.read("a")


def test_an_unknown_layout_or_folder_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"unknown layout 'nnunett' \(did you mean 'nnunet'\?\)"):
        open_pool(tmp_path, "nnunett")
    with pytest.raises(DataError, match="no such folder"):
        open_pool(tmp_path / "absent")
    assert sorted(LAYOUTS) == ["acdc-h5", "coco", "davis", "folder", "la-h5", "medscribble", "nnunet"]


@needs_real
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "options", "cases", "n_classes", "groups"),
    [
        ("hippocampus", {}, 200, 3, 200),
        ("acdc_scribbles", {"unknown": "4"}, 60, 4, 30),
        ("bubil", {}, 67, 2, 67),
        ("bbbc039", {"instances": "true"}, 50, 2, 48),
        ("dsb2018", {"instances": "true"}, 150, 2, 150),
        ("ebc", {"names": "oxide+crack"}, 22, 3, 11),
    ],
)
def test_real_sets_open_and_their_files_mean_what_they_say(name, options, cases, n_classes, groups):
    pool = open_pool(Path(REAL) / name, labels_are="truth", options=options)
    assert (len(pool), len(pool.classes)) == (cases, n_classes)
    assert len({c.group for c in pool.cases}) == groups
    for case in pool.cases[:: len(pool) // 5]:
        assert case.image().geometry == case.geometry
        for rater in pool.truth.raters(case.id):
            assert pool.truth.read(case.id, rater).array.shape == case.geometry.shape


def test_labels_are_drawn_or_truth_and_nothing_else(tmp_path):
    with pytest.raises(SettingsError, match=r"unknown labels_are 'tru' \(did you mean 'truth'\?\)"):
        open_pool(tmp_path, labels_are="tru")


def medscribble_file(path, **changes):
    label = np.zeros((6, 8), np.float32)
    label[1:4, 1:4] = 0.9
    scribbles = np.zeros((2, 2, 6, 8), np.float32)
    scribbles[0, 0, 2, 1:4] = 0.8
    scribbles[0, 1, 5] = 1
    scribbles[1, :, 2, 2] = 1
    np.savez(path, **{"image": label, "label": label, "scribbles": scribbles, **changes})


def test_medscribble_has_the_strokes_of_several_people(tmp_path):
    medscribble_file(tmp_path / "a.npz")
    pool = open_pool(tmp_path, "medscribble", labels_are="truth")
    assert pool.truth.read("a").array.sum() == 9
    assert pool.labels.raters("a") == ("person1", "person2")
    first, second = (pool.label("a", f"person{k}").array for k in (1, 2))
    assert (first == 1).sum() == 3
    assert (first == 0).sum() == 8
    assert (second == UNKNOWN).all()


@pytest.mark.parametrize("strokes", [np.zeros((2, 6, 8)), np.zeros((2, 3, 6, 8))])
def test_medscribble_strokes_of_another_shape_are_refused(tmp_path, strokes):
    medscribble_file(tmp_path / "a.npz", scribbles=strokes)
    pool = open_pool(tmp_path, "medscribble")
    with pytest.raises(DataError, match=r"a\.npz: 'scribbles' has shape"):
        pool.label("a", "person1")


def test_an_empty_folder_is_no_medscribble(tmp_path):
    with pytest.raises(DataError, match="no npz file"):
        open_pool(tmp_path, "medscribble")


@needs_real
@pytest.mark.real
def test_people_of_medscribble_drew_on_what_they_meant():
    pool = open_pool(Path(REAL) / "medscribble", labels_are="truth", layout="medscribble")
    assert len(pool) == 18
    case = next(c.id for c in pool.cases if c.id.startswith("BTCV"))
    drawn, truth = pool.label(case, "person2").array, pool.truth.read(case).array
    assert truth[drawn == 1].mean() > 0.95
    assert truth[drawn == 0].mean() < 0.05
