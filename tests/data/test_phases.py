import numpy as np
import pytest

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.layouts import open_pool
from frugalseg.data.write import write_image
from frugalseg.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        image = Image(np.zeros((4, 4, 4), np.float32), Geometry.plain((4, 4, 4)))
        write_image(tmp_path / "images" / f"{name}.nii.gz", image)
    (tmp_path / "index.csv").write_text("id,group,moment\na,p,ED\nb,p,ES\n")
    return tmp_path


def test_a_column_of_the_index_names_the_phases(folder):
    cases = open_pool(folder, options={"phase": "moment"}).cases
    assert [(case.group, case.phase) for case in cases] == [("p", "ED"), ("p", "ES")]


def test_nobody_says_the_phase_by_default(folder):
    assert {case.phase for case in open_pool(folder).cases} == {""}


def test_a_column_that_is_not_there_is_explained(folder):
    with pytest.raises(DataError, match="needs the columns 'id' and 'phase', but has id, group, moment"):
        open_pool(folder, options={"phase": "phase"})
