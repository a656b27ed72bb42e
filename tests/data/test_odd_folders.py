import json

import h5py
import numpy as np
import pytest
import SimpleITK
from PIL import Image as Picture

from frugalseg.data.checks import check_pool
from frugalseg.data.layouts import open_pool
from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.data.splits import read_split
from frugalseg.errors import DataError, LabelValueError

SHAPE = (9, 8)


def write(path, values):
    """A picture in which these values are repeated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.resize(np.array(values, np.uint8), SHAPE)).save(path)


def folder(root, labels, *, strokes=None):
    for name, values in labels.items():
        write(root / "images" / f"{name}.png", range(len(name), 70))
        write(root / "labels" / f"{name}.png", values)
    for name, values in (strokes or {}).items():
        write(root / "scribbles" / f"{name}.png", values)
    return root


def opened(root, options="", **given):
    return open_data(parse_data_spec(f"folder={root}{options}"), **given)


def values(label):
    return np.unique(label.array).tolist()


def test_a_damaged_label_hides_no_other_case(tmp_path):
    root = folder(tmp_path, {name: [0, 1] for name in "abc"})
    (root / "labels" / "b.png").write_bytes((root / "labels" / "b.png").read_bytes()[:40])
    findings = list(check_pool(opened(root)))
    assert [f.case for f in findings if f.severity == "error"] == ["b"]


def test_unreadable_images_are_left_out_where_that_was_asked_for(tmp_path):
    root = folder(tmp_path, {name: [0, 1] for name in "abc"})
    (root / "images" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png: the file is empty"):
        opened(root)
    unreadable = {}
    assert [c.id for c in opened(root, unreadable=unreadable).cases] == ["b", "c"]
    assert list(unreadable) == ["a"]


@pytest.mark.parametrize("name", ["c1.h5", "data/c1.h5"])
def test_a_damaged_h5_hides_no_other_case(tmp_path, name):
    (tmp_path / "data").mkdir()
    for case in ("c1", "c2"):
        with h5py.File((tmp_path / name).with_name(f"{case}.h5"), "w") as file:
            file["image"], file["label"] = np.ones((4, 5, 6), np.float32), np.zeros((4, 5, 6), np.uint8)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:500])
    unreadable = {}
    assert [c.id for c in open_pool(tmp_path, "la-h5", unreadable=unreadable).cases] == ["c2"]
    assert "c1.h5" in unreadable["c1"]


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf])
def test_labels_without_whole_numbers_are_named(tmp_path, bad):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    np.save(tmp_path / "images" / "a.npy", np.random.default_rng(0).random(SHAPE))
    np.save(tmp_path / "labels" / "a.npy", np.full(SHAPE, bad))
    with pytest.raises(LabelValueError, match=r"a\.npy: .*fractions or NaN"):
        opened(tmp_path).labels.get("a", "expert")


def test_a_stroke_value_that_nobody_named_never_becomes_background(tmp_path):
    root = folder(tmp_path, {"a": [0, 1, 2]}, strokes={"a": [0, 1, 4]})
    with pytest.raises(LabelValueError, match=r"scribbles/a\.png: label values \[4\] .*unknown=N"):
        opened(root, ",classes=1+2").labels.get("a", "scribbles")
    assert values(opened(root, ",classes=2,unknown=4").labels.get("a", "scribbles")) == [0, 255]


def test_strokes_on_nothing_leave_the_background_of_the_labels(tmp_path):
    root = folder(tmp_path, {"a": [0, 1, 2]}, strokes={"a": [0, 1, 2]})
    pool = opened(root, ",unknown=0", labels_are="truth")
    assert values(pool.truth.read("a")) == [0, 1, 2]
    assert values(pool.labels.get("a", "scribbles")) == [1, 2, 255]


def test_two_labels_of_one_image_are_refused(tmp_path):
    root = folder(tmp_path, {"a": [0, 1]})
    np.save(root / "labels" / "a.npy", np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match=r"a\.png: a\.npy beside it is a label of the same image"):
        opened(root)


def test_an_index_out_of_a_spreadsheet_is_read(tmp_path):
    root = folder(tmp_path, {"a": [0, 1], "b": [0, 1]})
    (root / "index.csv").write_text("id,group\na,Müller\nb,Müller\n", encoding="utf-8-sig")
    assert {c.group for c in opened(root).cases} == {"Müller"}


def dicom(folder, uid, names):
    folder.mkdir(parents=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, name in enumerate(names):
        file = SimpleITK.GetImageFromArray(np.full((1, 4, 5), k, np.int16))
        tags = {"0020|000e": uid, "0008|0018": f"{uid}.{k}", "0008|0060": "CT", "0020|0032": f"0\\0\\{2 * k}"}
        for tag, value in {**tags, "0020|000d": "1.2", "0020|0037": "1\\0\\0\\0\\1\\0"}.items():
            file.SetMetaData(tag, value)
        writer.SetFileName(str(folder / "part.dcm"))
        writer.Execute(file)
        (folder / "part.dcm").rename(folder / name)


@pytest.mark.parametrize("inside", [".", "images"])
def test_folders_of_dicom_slices_are_cases_whatever_the_slices_are_called(tmp_path, inside):
    dicom(tmp_path / inside / "P1", "1.2.1", ["IM.0002", "IM.0000", "IM.0001"])
    dicom(tmp_path / inside / "P2", "1.2.2", ["1", "2"])
    (tmp_path / "notes").mkdir()
    cases = open_pool(tmp_path).cases
    assert [(c.id, c.geometry.shape) for c in cases] == [("P1", (5, 4, 3)), ("P2", (5, 4, 2))]
    assert cases[0].image().array[0, 0].tolist() == [0, 1, 2]


def coco(root, annotations, **size):
    write(root / "images" / "i.png", range(70))
    image = {"id": 1, "file_name": "i.png", "height": SHAPE[0], "width": SHAPE[1], **size}
    told = [{"id": k, "image_id": 1, "category_id": 1, **a} for k, a in enumerate(annotations, 1)]
    about = {"images": [image], "categories": [{"id": 1, "name": "cell"}], "annotations": told}
    (root / "a.json").write_text(json.dumps(about))
    return open_pool(root, "coco", labels_are="truth")


def test_no_object_vanishes_under_a_larger_one_or_a_crowd(tmp_path):
    small, large = {"segmentation": [[2, 2, 4, 2, 4, 4, 2, 4]], "area": 4}, {"segmentation": [[0, 0, 8, 0, 8, 9, 0, 9]]}
    assert coco(tmp_path, [small, {**large, "area": 72}]).truth.read("i").ids.tolist() == [1, 2]
    crowd = {**large, "area": 72, "iscrowd": 1}
    assert values(coco(tmp_path, [small, crowd]).truth.read("i")) == [-1, 1]


def test_a_coco_image_of_another_size_is_found(tmp_path):
    (finding,) = check_pool(coco(tmp_path, [], height=SHAPE[0] + 1))
    assert "does not lie on the image: shape (10, 8) and (9, 8)" in finding.problem


def test_a_line_may_name_the_split(tmp_path):
    folds = [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]
    (tmp_path / "splits.json").write_text(json.dumps(folds))
    spec = parse_data_spec(f"folder={folder(tmp_path, {'a': [0, 1], 'b': [0, 1]})},split={tmp_path}/splits.json")
    assert len(open_data(spec)) == 2
    assert [read_split(spec.split, fold=k).train for k in (0, 1)] == [("a",), ("b",)]
    with pytest.raises(DataError, match="no fold 2; choose between 0 and 1"):
        read_split(spec.split, fold=2)
