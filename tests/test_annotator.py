import numpy as np
import pytest

from frugalseg.annotator import Oracle, OracleSettings, annotate
from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Pool, Truth
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError, SettingsError

SHAPE = (12, 14, 16)
CLASSES = ("background", "organ", "vessel")


class Made:
    """A case and its complete label without files."""

    def __init__(self, shape=SHAPE):
        self.array = np.zeros(shape, np.uint8)
        self.array[..., 3:9, 5:12] = 1
        self.array[..., 5:7, 6:9] = 2

    def read(self):
        return SemanticLabel(self.array, CLASSES)


class Blank:
    def read(self):
        return Image(np.zeros(SHAPE), Geometry.plain(SHAPE))

    def fingerprint(self):
        return "0"


def pool(**raters):
    cases = [Case(i, i, Geometry.plain(SHAPE), Blank()) for i in ("a", "b")]
    return Pool(cases, CLASSES, truth=Truth({"a": raters or {"expert": Made()}}))


@pytest.mark.parametrize("style", ["dense", "scribbles"])
@pytest.mark.parametrize(
    "unit",
    [
        Unit("a"),
        Unit("a", "slice", 2, (8,)),
        Unit("a", "planes", index=(4, 6, 8)),
        Unit("a", "patch", index=(0, 0, 0, 6, 9, 9)),
    ],
)
def test_what_is_drawn_is_true_and_lies_inside_of_the_unit(style, unit):
    p = pool()
    act = Oracle(p.truth, OracleSettings(style=style)).annotate(p["a"], unit)
    known = act.label.known
    assert known.any()
    assert not (known & ~unit.mask(SHAPE)).any()
    assert np.array_equal(act.label.array[known], Made().array[known])
    assert np.array_equal(known, unit.mask(SHAPE)) == (style == "dense")


def test_strokes_cost_less_than_outlines():
    p, unit = pool(), Unit("a", "slice", 0, (4,))
    dense = Oracle(p.truth).annotate(p["a"], unit).seconds
    strokes = Oracle(p.truth, OracleSettings(style="scribbles")).annotate(p["a"], unit).seconds
    assert 0 < strokes < dense


@pytest.mark.parametrize("style", ["dense", "scribbles"])
def test_three_planes_cost_as_much_as_their_slices(style):
    p = pool()
    oracle = Oracle(p.truth, OracleSettings(style=style))
    slices = [oracle.annotate(p["a"], Unit("a", "slice", axis, (k,))) for axis, k in enumerate((4, 6, 8))]
    planes = oracle.annotate(p["a"], Unit("a", "planes", index=(4, 6, 8)))
    assert planes.seconds == pytest.approx(sum(act.seconds for act in slices))
    assert np.array_equal(planes.label.known, np.any([act.label.known for act in slices], axis=0))


def test_planes_through_the_true_centre_are_an_option_by_name():
    p, unit = pool(), Unit("a", "planes", index=(0, 0, 0))
    act = Oracle(p.truth, OracleSettings(planes="truth-centre")).annotate(p["a"], unit)
    assert act.unit.index == (5, 5, 8)
    assert Oracle(p.truth).annotate(p["a"], unit).unit == unit


def test_planes_stay_where_they_are_when_there_is_no_object():
    empty = Made()
    empty.array[:] = 0
    p, unit = pool(expert=empty), Unit("a", "planes", index=(1, 2, 3))
    assert Oracle(p.truth, OracleSettings(planes="truth-centre")).annotate(p["a"], unit).unit == unit


def test_acts_of_one_rater_are_joined():
    p = pool()
    annotate(p, [Unit("a", "slice", 0, (4,)), Unit("a", "slice", 0, (7,))])
    assert np.flatnonzero(p.label("a").known.any(axis=(1, 2))).tolist() == [4, 7]


def test_equal_seeds_draw_equal_strokes():
    p, unit = pool(), Unit("a", "planes", index=(4, 6, 8))
    drawn = [
        Oracle(p.truth, OracleSettings(style="scribbles"), seed=seed).annotate(p["a"], unit).label.array
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_the_complete_label_is_read_once_for_the_slices_of_a_case():
    class Counting(Made):
        n_read = 0

        def read(self):
            self.n_read += 1
            return super().read()

    source = Counting()
    annotate(pool(expert=source), [Unit("a", "slice", 0, (k,)) for k in range(5)])
    assert source.n_read == 1


def test_impossible_requests_are_explained():
    p = pool()
    with pytest.raises(DataError, match="labels_are='truth'"):
        annotate(Pool(p.cases, CLASSES), [Unit("a")])
    with pytest.raises(DataError, match="b: there is no complete label"):
        annotate(p, [Unit("b")])
    with pytest.raises(DataError, match="nobody has placed"):
        annotate(p, [Unit("a", "planes")])
    with pytest.raises(DataError, match=r"several raters have drawn it \(ann, bob\)"):
        annotate(pool(ann=Made(), bob=Made()), [Unit("a")])


def test_the_oracle_copies_the_rater_it_is_told_to():
    bob = Made()
    bob.array[:] = 2
    p = pool(ann=Made(), bob=bob)
    act = Oracle(p.truth, OracleSettings(truth_rater="bob")).annotate(p["a"], Unit("a"))
    assert (act.label.array == 2).all()


def test_an_annotator_that_nobody_knows_is_named():
    with pytest.raises(SettingsError, match="unknown annotator 'me'; there are: oracle"):
        annotate(pool(), [], by="me")
