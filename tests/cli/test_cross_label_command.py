import h5py
import numpy as np
import pytest
from running import frugalseg

from frugalseg.data.label import UNKNOWN
from frugalseg.data.layouts import open_pool
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import build_network, make_plan

SHAPE = (12, 15, 9)


def volume(corner, size=(4, 5, 3)):
    label = np.zeros(SHAPE, np.uint8)
    label[tuple(slice(a, a + n) for a, n in zip(corner, size, strict=True))] = 1
    return label


def la_file(path, label):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image"] = np.random.default_rng(0).normal(size=label.shape).astype(np.float32)
        file["label"] = label


@pytest.fixture
def folder(tmp_path):
    for name, corner in {"a": (0, 0, 0), "b": (7, 9, 5), "c": (3, 4, 2)}.items():
        la_file(tmp_path / "la" / f"{name}.h5", volume(corner))
    return tmp_path / "la"


def planes_of(out, case):
    """Where the drawn planes lie, read from the indicator alone."""
    with h5py.File(out / "data" / f"{case}.h5") as file:
        drawn = file["labeled_slice_indicator"][()].astype(bool)
    return tuple(int(np.flatnonzero(drawn.all(axis=others))[0]) for others in ((1, 2), (0, 2), (0, 1)))


def test_published_planes_cross_in_the_middle_of_the_object(capsys, tmp_path, folder):
    code, said = frugalseg(capsys, "cross-label", folder, "-o", tmp_path / "out", "--planes", "truth-centre")
    assert code == 0
    assert "9 planes in 3 files" in said
    assert [planes_of(tmp_path / "out", c) for c in "abc"] == [(1, 2, 1), (8, 11, 6), (4, 6, 3)]
    pool = open_pool(tmp_path / "out", "la-h5", labels_are="truth")
    assert pool.label("a", "cross").array[1, 2, 1] == 1
    assert pool.label("a", "cross").array[9, 9, 8] == UNKNOWN


@pytest.mark.parametrize("planes", ["middle-third", "centre"])
def test_other_planes_do_not_know_the_truth(capsys, tmp_path, folder, planes):
    frugalseg(capsys, "cross-label", folder, "-o", tmp_path / "one", "--planes", planes)
    for name in "abc":  # the same images with other labels
        with h5py.File(folder / f"{name}.h5", "r+") as file:
            file["label"][()] = volume((8, 10, 6), (2, 2, 2))
    frugalseg(capsys, "cross-label", folder, "-o", tmp_path / "two", "--planes", planes)
    found = [planes_of(tmp_path / "one", c) for c in "abc"]
    assert found == [planes_of(tmp_path / "two", c) for c in "abc"]
    assert all(n // 3 <= i < n - n // 3 for place in found for i, n in zip(place, SHAPE, strict=True))


def test_the_seed_says_where_planes_of_the_middle_third_lie(capsys, tmp_path, folder):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        frugalseg(capsys, "cross-label", folder, "-o", tmp_path / name, "--seed", seed)
    one, two, three = ([planes_of(tmp_path / n, c) for c in "abc"] for n in ("one", "two", "three"))
    assert one == two != three
    assert len(set(one)) > 1


def test_planes_may_lie_where_a_model_sees_most(capsys, tmp_path, folder):
    pool = open_pool(folder, labels_are="truth")
    plan = make_plan(pool, network="unet", patch=SHAPE)
    model = Model(plan, build_network(plan, seed=0), {})
    model.save(tmp_path / "model.safetensors")
    words = ("--planes", "entropy", "--model", tmp_path / "model.safetensors")
    code, said = frugalseg(capsys, "cross-label", folder, "-o", tmp_path / "out", *words)
    assert code == 0, said
    p = model.probabilities(pool["a"].image()).astype(np.float64)
    unsure = -(p * np.log(p)).sum(0)
    expected = tuple(int(unsure.sum(others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
    assert planes_of(tmp_path / "out", "a") == expected


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--planes", "largest-predicted"), "'largest-predicted' needs a model that predicts: give --model"),
        (("--planes", "centre", "--model", "m.safetensors"), "'centre' asks no model: leave out --model"),
        (("--planes", "center"), "unknown placement of planes 'center' (did you mean 'centre'?)"),
        (("--on-error", "ignore"), "unknown --on-error 'ignore'"),
    ],
)
def test_options_that_do_not_fit_are_explained(capsys, tmp_path, folder, words, match):
    code, said = frugalseg(capsys, "cross-label", folder, "-o", tmp_path / "out", *words)
    assert code == 2
    assert match in said
    assert not (tmp_path / "out").exists()


def test_bad_files_stop_the_command_or_are_left_out_by_name(capsys, tmp_path, folder):
    la_file(folder / "empty.h5", np.zeros(SHAPE, np.uint8))
    la_file(folder / "flat.h5", np.ones(SHAPE[:2], np.uint8))
    (folder / "broken.h5").write_bytes(b"no HDF5")
    words = ("cross-label", folder, "-o", tmp_path / "out", "--planes", "truth-centre")
    assert frugalseg(capsys, *words)[0] == 2
    code, said = frugalseg(capsys, *words, "--replace", "--on-error", "skip")
    assert code == 0
    assert "9 planes in 3 files" in said
    assert all(f"{name}.h5" in said for name in ("empty", "flat", "broken"))


def test_placed_without_truth_an_empty_label_is_all_background(capsys, tmp_path, folder):
    la_file(folder / "empty.h5", np.zeros(SHAPE, np.uint8))
    la_file(folder / "flat.h5", np.ones(SHAPE[:2], np.uint8))
    (folder / "broken.h5").write_bytes(b"no HDF5")
    code, said = frugalseg(capsys, "cross-label", folder, "-o", tmp_path / "out", "--on-error", "skip")
    assert (code, "12 planes in 4 files" in said) == (0, True)
    assert "flat" in said
    drawn = open_pool(tmp_path / "out", "la-h5").label("empty", "cross")
    assert drawn.known.any()
    assert not (drawn.array == 1).any()


def test_a_folder_without_such_files_is_no_traceback(capsys, tmp_path):
    code, said = frugalseg(capsys, "cross-label", tmp_path, "-o", tmp_path / "out")
    assert code == 2
    assert "neither CASE.h5 nor data/CASE.h5" in said
