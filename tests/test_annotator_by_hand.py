"""An oracle that hands out strokes which lie in the data beside the complete labels."""

from pathlib import Path

import numpy as np
import pytest

from frugalseg.annotator import Oracle, OracleSettings
from frugalseg.data.formats import read_values
from frugalseg.data.label import UNKNOWN
from frugalseg.data.layouts import open_pool
from frugalseg.data.pool import Pool
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError

BY_HAND = OracleSettings(style="by-hand")


def make_pool(folder: Path, *, strokes: bool = True) -> Pool:
    """One volume of 6 x 7 x 3 with a complete label; strokes (4: nobody looked) on its slices 0 and 2."""
    import nibabel as nib

    truth = np.zeros((6, 7, 3), np.uint8)
    truth[2:5, 2:5] = 1
    drawn = np.full_like(truth, 4)
    drawn[3, 2:5, [0, 2]] = 1
    drawn[0, :, [0, 2]] = 0
    made = {"images": truth.astype(np.float32) + 1, "labels": truth} | ({"scribbles": drawn} if strokes else {})
    for name, array in made.items():
        (folder / name).mkdir()
        nib.save(nib.Nifti1Image(array, np.eye(4)), folder / name / "a.nii.gz")
    return open_pool(folder, labels_are="truth", options={"unknown": "4"})


def test_it_hands_out_the_strokes_of_the_unit_and_no_others(tmp_path: Path) -> None:
    pool = make_pool(tmp_path)
    act = Oracle(pool.truth, BY_HAND).annotate(pool["a"], Unit("a", "slice", 2, (2,)))
    values, _ = read_values(tmp_path / "scribbles" / "a.nii.gz")
    assert (act.label.array[..., :2] == UNKNOWN).all()
    assert np.array_equal(act.label.array[..., 2], np.where(values[..., 2] == 4, UNKNOWN, values[..., 2]))


def test_a_whole_volume_costs_what_its_slices_cost(tmp_path: Path) -> None:
    pool = make_pool(tmp_path)
    oracle = Oracle(pool.truth, BY_HAND)
    slices = [oracle.annotate(pool["a"], Unit("a", "slice", 2, (k,))).seconds for k in range(3)]
    assert oracle.annotate(pool["a"], Unit("a")).seconds == pytest.approx(sum(slices))
    assert slices[0] > slices[1] > 0


def test_without_strokes_it_says_what_to_do(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, strokes=False)
    with pytest.raises(DataError, match=r"a: an oracle of the style 'by-hand' needs strokes.*there are none; .*'scrib"):
        Oracle(pool.truth, BY_HAND).annotate(pool["a"], Unit("a"))


def test_strokes_remain_drawn_labels_of_the_pool(tmp_path: Path) -> None:
    pool = make_pool(tmp_path)
    label = pool.label("a")
    assert label is not None
    assert pool.truth.strokes.get("a", "scribbles") == label or np.array_equal(
        pool.truth.strokes.get("a", "scribbles").array,
        label.array,  # type: ignore[union-attr]
    )
    assert pool.truth.semantic("a").is_dense
