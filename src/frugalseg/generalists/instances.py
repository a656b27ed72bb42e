"""Answers to several prompts as one map of objects."""

import numpy as np

from frugalseg.data.label import InstanceLabel
from frugalseg.errors import DataError
from frugalseg.generalists.masks import Masks


def as_instances(masks: Masks) -> InstanceLabel:
    """Object k + 1 is the best candidate for prompt k; where two overlap, the later one lies on top.

    An object that is empty or wholly covered leaves its id unused. Raises `DataError` for no prompt.
    """
    if not len(masks):
        raise DataError("there is no object without a prompt: give at least one")
    ids = np.zeros(masks.frames[0].size, np.int32)
    for k in range(len(masks)):
        ids[masks.mask(k)] = k + 1
    return InstanceLabel(ids)
