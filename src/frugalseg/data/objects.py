"""The single objects of a label: its instances, or the connected pieces of its classes."""

import numpy as np
from scipy import ndimage

from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel


def object_ids(label: SemanticLabel | InstanceLabel) -> tuple[np.ndarray, np.ndarray]:
    """Ids 1..n of all objects as int32 of the label's shape, 0 elsewhere, and the class (n + 1,) of each id.

    Instances keep their order and have class 1; pieces of a class are connected over corners too and come class by
    class, in array order.
    """
    if isinstance(label, InstanceLabel):
        known = np.concatenate([[0], label.ids])
        ids = np.searchsorted(known, np.maximum(label.array, 0)).astype(np.int32)
        return ids, np.minimum(np.arange(len(known)), 1)
    ids = np.zeros(label.array.shape, np.int32)
    values = [0]
    for value in np.unique(label.array):
        if value in (0, UNKNOWN):
            continue
        pieces, n = ndimage.label(label.array == value, structure=np.ones((3,) * label.array.ndim))
        ids = np.where(pieces > 0, pieces + (len(values) - 1), ids).astype(np.int32)
        values += [int(value)] * n
    return ids, np.array(values)
