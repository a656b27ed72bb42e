import json
import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Picture
from pycocotools.coco import COCO

from frugalseg.data.case import Case
from frugalseg.data.export_coco import export_coco
from frugalseg.data.export_nnunet import export_nnunet
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool, Truth
from frugalseg.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

CLASSES = ("background", "oxide", "crack")
AFFINE = np.array([[0, 2.0, 0, 7], [-0.5, 0, 0, 8], [0, 0, 3.0, 9], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Memory:
    content: object

    def read(self):
        return self.content

    def fingerprint(self):
        return "0" * 16


def case(name, array, geometry):
    return Case(name, name, geometry, Memory(Image(array, geometry)))


def volumes(names=("a", "b", "c"), *, channels=2):
    geometry = Geometry.from_affine((4, 5, 6), AFFINE)
    rng = np.random.default_rng(0)
    return Pool([case(n, rng.random((4, 5, 6, channels), np.float32), geometry) for n in names], CLASSES)


def draw(pool, name, *, value=1, known=True, rater="me"):
    array = np.full(pool[name].geometry.shape, value, np.uint8)
    if not known:
        array[0] = UNKNOWN
    pool.labels.put(name, rater, SemanticLabel(array, pool.classes))


def description(folder):
    return json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


def test_nnunet_gets_the_drawn_cases_one_file_a_channel(tmp_path):
    pool = volumes()
    draw(pool, "b")
    draw(pool, "a", value=2)
    assert export_nnunet(pool, tmp_path / "D1") == ("a", "b")
    files = sorted(str(p.relative_to(tmp_path / "D1")) for p in (tmp_path / "D1").rglob("*.gz"))
    assert files == [f"imagesTr/{c}_000{k}.nii.gz" for c in "ab" for k in "01"] + [f"labelsTr/{c}.nii.gz" for c in "ab"]
    assert description(tmp_path / "D1") == {
        "channel_names": {"0": "channel 0", "1": "channel 1"},
        "labels": {"background": 0, "oxide": 1, "crack": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }


def test_nnunet_files_hold_the_images_and_labels_in_their_place(tmp_path):
    pool = volumes(("a",))
    draw(pool, "a", value=2)
    export_nnunet(pool, tmp_path / "D1")
    image = nib.load(tmp_path / "D1" / "imagesTr" / "a_0001.nii.gz")
    label = nib.load(tmp_path / "D1" / "labelsTr" / "a.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), pool["a"].image().array[..., 1])
    np.testing.assert_allclose(image.affine, AFFINE)
    np.testing.assert_allclose(label.affine, AFFINE)
    assert (np.asarray(label.dataobj) == 2).all()


def test_nobody_looked_becomes_the_ignore_label(tmp_path):
    pool = volumes(("a", "b"))
    draw(pool, "a", known=False)
    draw(pool, "b")
    export_nnunet(pool, tmp_path / "D1")
    array = np.asarray(nib.load(tmp_path / "D1" / "labelsTr" / "a.nii.gz").dataobj)
    assert (array[0] == 3).all()
    assert (array[1:] == 1).all()
    assert description(tmp_path / "D1")["labels"]["ignore"] == 3


def test_complete_labels_are_exported_only_where_nothing_was_drawn(tmp_path):
    pool = volumes(("a", "b"))
    dense = SemanticLabel(np.zeros((4, 5, 6), np.uint8), CLASSES)
    pool.truth = Truth({"a": {"them": Memory(dense)}, "b": {"them": Memory(dense)}})
    assert export_nnunet(pool, tmp_path / "D1") == ("a", "b")
    draw(pool, "b")
    assert export_nnunet(pool, tmp_path / "D2") == ("b",)


def test_a_failed_export_leaves_nothing(tmp_path):
    pool = volumes(("a", "b"))
    draw(pool, "a")
    with pytest.raises(DataError, match="b: nothing was drawn"):
        export_nnunet(pool, tmp_path / "D1", cases=["a", "b"])
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_touched(tmp_path):
    pool = volumes()
    draw(pool, "a")
    with pytest.raises(DataError, match="exists already"):
        export_nnunet(pool, tmp_path)


def test_two_raters_are_never_mixed(tmp_path):
    pool = volumes(("a",))
    draw(pool, "a", value=1, rater="x")
    draw(pool, "a", value=2, rater="y")
    with pytest.raises(DataError, match="several raters"):
        export_nnunet(pool, tmp_path / "D1")
    export_nnunet(pool, tmp_path / "D1", rater="y")
    assert (np.asarray(nib.load(tmp_path / "D1" / "labelsTr" / "a.nii.gz").dataobj) == 2).all()
    with pytest.raises(DataError, match="by rater 'z' to export"):
        export_nnunet(pool, tmp_path / "D2", rater="z")


def test_names_that_would_fall_together_are_refused(tmp_path):
    pool = volumes(("p 1/a", "p_1/a"))
    draw(pool, "p 1/a")
    draw(pool, "p_1/a")
    with pytest.raises(DataError, match="both be called 'p_1_a'"):
        export_nnunet(pool, tmp_path / "D1")


def test_the_numbers_of_channels_must_agree(tmp_path):
    geometry = Geometry.plain((4, 5))
    pool = Pool([case("a", np.ones((4, 5)), geometry), case("b", np.ones((4, 5, 3)), geometry)], CLASSES)
    draw(pool, "a")
    draw(pool, "b")
    with pytest.raises(DataError, match="b: has 3 channels, the cases before it 1"):
        export_nnunet(pool, tmp_path / "D1")


def images(**labels):
    """A 2D pool whose complete labels are those given."""
    shape = next(iter(labels.values())).array.shape
    cases = [case(n, np.zeros(shape), Geometry.plain(shape)) for n in labels]
    classes = ("background", "cell") if isinstance(next(iter(labels.values())), InstanceLabel) else CLASSES
    return Pool(cases, classes, truth=Truth({n: {"them": Memory(label)} for n, label in labels.items()}))


def coco(path, capsys):
    loaded = COCO(str(path))
    capsys.readouterr()
    return loaded


def test_pycocotools_reads_every_instance_back(tmp_path, capsys):
    ids = np.zeros((20, 30), np.int32)
    ids[2:6, 3:9], ids[2:6, 9:12], ids[10:19, 20:21] = 7, 3, 500
    assert export_coco(images(a=InstanceLabel(ids)), tmp_path / "a.json") == 3
    read = coco(tmp_path / "a.json", capsys)
    found = [read.anns[k] for k in sorted(read.anns)]
    for annotation, instance in zip(found, (3, 7, 500), strict=True):
        assert np.array_equal(read.annToMask(annotation), ids == instance)
        assert annotation["area"] == (ids == instance).sum()
    assert found[0]["bbox"] == [9, 2, 3, 4]
    assert read.cats == {1: {"id": 1, "name": "cell"}}


def test_connected_regions_of_a_class_are_its_objects(tmp_path, capsys):
    array = np.zeros((8, 8), np.uint8)
    array[0, 0] = array[1, 1] = array[5, 5] = 1
    array[7, :3] = 2
    assert export_coco(images(a=SemanticLabel(array, CLASSES)), tmp_path / "a.json") == 3
    read = coco(tmp_path / "a.json", capsys)
    assert [(a["category_id"], a["area"]) for a in read.anns.values()] == [(1, 2), (1, 1), (2, 3)]


def test_where_nobody_looked_is_a_crowd_of_each_category(tmp_path, capsys):
    array = np.zeros((8, 8), np.uint8)
    array[:, 4:] = UNKNOWN
    export_coco(images(a=SemanticLabel(array, CLASSES)), tmp_path / "a.json")
    read = coco(tmp_path / "a.json", capsys)
    assert [(a["category_id"], a["iscrowd"]) for a in read.anns.values()] == [(1, 1), (2, 1)]
    assert np.array_equal(read.annToMask(read.anns[1]), array == UNKNOWN)


def test_an_image_without_objects_is_listed(tmp_path, capsys):
    blank = InstanceLabel(np.zeros((4, 6), np.int32))
    export_coco(images(a=blank, b=blank), tmp_path / "a.json")
    listed = coco(tmp_path / "a.json", capsys).imgs
    assert [(i["file_name"], i["height"], i["width"]) for i in listed.values()] == [("a", 4, 6), ("b", 4, 6)]


def test_coco_refuses_volumes(tmp_path):
    pool = volumes()
    draw(pool, "a")
    with pytest.raises(DataError, match="a: COCO holds 2D images"):
        export_coco(pool, tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_instances_of_several_classes_are_refused(tmp_path):
    pool = images(a=InstanceLabel(np.zeros((4, 4), np.int32)))
    pool.classes = CLASSES
    with pytest.raises(DataError, match="which of 2 classes"):
        export_coco(pool, tmp_path / "a.json")


@pytest.mark.real
@pytest.mark.skipif("FRUGALSEG_DATA" not in os.environ, reason="FRUGALSEG_DATA is unset")
def test_real_nuclei_survive_coco(tmp_path, capsys):
    files = sorted((Path(os.environ["FRUGALSEG_DATA"]) / "bbbc039" / "labels").iterdir())[:2]
    arrays = {file.stem: np.asarray(Picture.open(file)).astype(np.int32) for file in files}
    n = export_coco(images(**{k: InstanceLabel(v) for k, v in arrays.items()}), tmp_path / "a.json")
    assert n == sum(len(np.unique(v)) - 1 for v in arrays.values())
    read = coco(tmp_path / "a.json", capsys)
    for image in read.imgs.values():
        masks = [read.annToMask(a) for a in read.imgToAnns[image["id"]]]
        assert np.array_equal(sum(masks), arrays[image["file_name"]] > 0)
