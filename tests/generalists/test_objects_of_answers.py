import pytest
import torch

from frugalseg.errors import DataError
from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.instances import as_instances
from frugalseg.generalists.masks import Masks


def answers(*boxes):
    """Masks that are boxes (row, col, row, col) in an image of 16 x 16."""
    logits = torch.full((len(boxes), 1, 16, 16), -4.0)
    for k, (r0, c0, r1, c1) in enumerate(boxes):
        logits[k, 0, r0:r1, c0:c1] = 4
    return Masks(logits, torch.ones(len(boxes), 1), (fit_frame((16, 16), 16),) * len(boxes))


def test_each_prompt_has_its_object_and_the_later_one_lies_on_top():
    ids = as_instances(answers((0, 0, 8, 8), (4, 4, 12, 12))).array
    assert (ids[0, 0], ids[5, 5], ids[11, 11], ids[15, 15]) == (1, 2, 2, 0)


def test_an_empty_answer_leaves_its_id_unused():
    assert as_instances(answers((0, 0, 4, 4), (0, 0, 0, 0), (8, 8, 9, 9))).ids.tolist() == [1, 3]


def test_no_prompt_is_no_label():
    with pytest.raises(DataError, match="at least one"):
        as_instances(answers())
