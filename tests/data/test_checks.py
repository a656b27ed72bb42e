import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from frugalseg.data.case import Case
from frugalseg.data.checks import Finding, check_pool, raise_on_errors
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool, Truth
from frugalseg.data.splits import Split
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError
from frugalseg.files import fingerprint_file

CLASSES = ("background", "liver")
SHAPE = (5, 6, 7)
GEOMETRY = Geometry.from_affine(SHAPE, np.diag([0.7, 0.8, 3.0, 1.0]))


@dataclass(frozen=True)
class Nifti:
    """An image or a label in a NIfTI file."""

    path: Path
    classes: tuple[str, ...] = CLASSES

    def _array(self):
        try:
            return np.asarray(nib.load(self.path).dataobj)
        except (OSError, EOFError, nib.filebasedimages.ImageFileError) as error:
            raise DataError(f"{self.path}: {error}") from None

    def geometry(self):
        self._array()
        file = nib.load(self.path)
        return Geometry.from_affine(file.shape, file.affine)

    def fingerprint(self):
        return fingerprint_file(self.path)


class NiftiImage(Nifti):
    def read(self):
        return Image(self._array(), self.geometry())


class NiftiLabel(Nifti):
    def read(self):
        return SemanticLabel(self._array(), self.classes)


@dataclass
class Folder:
    """A pool of files, each in order, to be broken by the tests."""

    path: Path

    def image(self, case):
        return self.path / f"{case}.nii.gz"

    def label(self, case):
        return self.path / f"{case}_label.nii.gz"

    def pool(self, names="abc"):
        cases = [Case(n, f"patient {n}", GEOMETRY, NiftiImage(self.image(n))) for n in names]
        truth = {n: {"expert": NiftiLabel(self.label(n))} for n in names if self.label(n).exists()}
        return Pool(cases, CLASSES, truth=Truth(truth))

    def problems(self, split=None):
        return list(check_pool(self.pool(), split=split))


def image(seed, geometry=GEOMETRY):
    return Image(np.random.default_rng(seed).random(geometry.shape, np.float32), geometry)


def label(shape=SHAPE, value=1):
    array = np.zeros(shape, np.uint8)
    array[1:3] = value
    return SemanticLabel(array, CLASSES)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    for k, case in enumerate("abc"):
        write_image(made.image(case), image(k))
        write_label(made.label(case), label(), GEOMETRY)
    return made


def only(findings):
    (finding,) = findings
    return finding


def test_a_pool_in_order_has_no_findings(folder):
    split = Split(("a",), ("b",), ("c",))
    assert folder.problems(split) == []
    raise_on_errors(folder.problems())


def test_a_truncated_file_is_found_and_hides_no_other_case(folder):
    folder.image("a").write_bytes(folder.image("a").read_bytes()[:300])
    folder.label("b").write_bytes(folder.label("b").read_bytes()[:-40])
    write_label(folder.label("c"), label(value=0), GEOMETRY)
    findings = folder.problems()
    assert [(f.case, f.severity) for f in findings] == [("a", "error"), ("b", "error"), ("c", "warning")]
    assert "a.nii.gz" in findings[0].problem
    assert "the complete label by 'expert' cannot be used" in findings[1].problem


def test_a_label_that_lies_elsewhere_is_found(folder):
    moved = np.diag([0.7, 0.8, 3.0, 1.0])
    moved[0, 3] = 4
    write_label(folder.label("b"), label(), Geometry.from_affine(SHAPE, moved))
    assert "does not lie on the image: affine (a corner lies 4 mm apart)" in only(folder.problems()).problem


def test_a_label_of_another_shape_is_found(folder):
    shape = (5, 7, 6)
    write_label(folder.label("b"), label(shape), Geometry.from_affine(shape, GEOMETRY.matrix))
    assert "shape (5, 7, 6) and (5, 6, 7)" in only(folder.problems()).problem


def test_values_outside_of_the_classes_are_found(folder):
    nib.save(nib.Nifti1Image(np.full(SHAPE, 3, np.uint8), GEOMETRY.matrix), folder.label("b"))
    finding = only(folder.problems())
    assert (finding.case, finding.severity) == ("b", "error")
    assert "label values [3] are not among" in finding.problem


@pytest.mark.parametrize(("value", "match"), [(np.nan, "NaN or infinite"), (7.0, "the same value")])
def test_images_that_cannot_be_learned_from_are_found(folder, value, match):
    nib.save(nib.Nifti1Image(np.full(SHAPE, value, np.float32), GEOMETRY.matrix), folder.image("b"))
    finding = only(folder.problems())
    assert (finding.case, finding.severity) == ("b", "error")
    assert match in finding.problem


def test_a_photograph_of_one_colour_is_constant():
    geometry = Geometry.plain((4, 5))
    colour = np.broadcast_to(np.array([1, 2, 3], np.uint8), (4, 5, 3))
    pool = Pool([Case("a", "a", geometry, Memory(Image(colour, geometry)))], CLASSES)
    assert "the same value" in only(check_pool(pool)).problem


def test_an_image_that_changed_since_is_found(folder):
    write_image(folder.image("b"), image(0, Geometry.from_affine((5, 6, 9), GEOMETRY.matrix)))
    assert "not what it was when the pool was opened: shape" in folder.problems()[0].problem


@dataclass(frozen=True)
class Memory:
    content: object
    own: Geometry | None = None

    def read(self):
        return self.content

    def geometry(self):
        return self.own

    def fingerprint(self):
        return str(id(self))


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.full(SHAPE, -1, np.int32), "the complete label by 'x' is unknown everywhere"),
        (np.zeros(SHAPE, np.int32), "the complete label by 'x' is background only"),
    ],
)
def test_labels_that_say_nothing_are_warnings(array, problem):
    pool = Pool(
        [Case("a", "a", GEOMETRY, Memory(image(0)))], CLASSES, truth=Truth({"a": {"x": Memory(InstanceLabel(array))}})
    )
    assert (only(check_pool(pool)).problem, only(check_pool(pool)).severity) == (problem, "warning")


def test_drawn_labels_are_checked_too(folder):
    pool = folder.pool()
    pool.labels.put("a", "me", SemanticLabel.empty(SHAPE, CLASSES))
    pool.labels.put("b", "me", label((2, 2)))
    pool.labels.put("c", "me", SemanticLabel(label().array, ("background", "spleen")))
    assert [(f.case, f.problem.split(":")[0]) for f in check_pool(pool)] == [
        ("a", "what 'me' has drawn is unknown everywhere"),
        ("b", "what 'me' has drawn does not lie on the image"),
        ("c", "what 'me' has drawn has the classes ('background', 'spleen'), the pool has ('background', 'liver')"),
    ]


@pytest.mark.parametrize(
    ("shape", "spacing", "match"),
    [
        (SHAPE, (0.7, 0.7, 40.0), "outside of 0.01 to 20 mm"),
        (SHAPE, (0.0007, 0.7, 1.0), "outside of 0.01 to 20 mm"),
        ((90, 90, 10), (1.0, 1.0, 1.0), "a spacing of 1 mm on all axes is unlikely"),
        ((40, 40, 10), (1.0, 1.0, 1.0), None),
        ((90, 90, 10), (1.0, 1.0, 8.0), None),
    ],
)
def test_implausible_spacing_is_a_warning(shape, spacing, match):
    geometry = Geometry.from_affine(shape, np.diag([*spacing, 1.0]))
    findings = list(check_pool(Pool([Case("a", "a", geometry, Memory(image(0, geometry)))], CLASSES)))
    assert [f.severity for f in findings] == (["warning"] if match else [])
    assert match is None or match in findings[0].problem


def test_every_cut_group_and_unknown_id_of_a_split_is_found():
    cases = [Case(f"{g}{i}", g, GEOMETRY, Memory(image(i + 10 * (g == "q")))) for g in "pq" for i in range(2)]
    split = Split(("p0", "q0", "z"), ("p1",), ("q1",))
    problems = [f.problem for f in check_pool(Pool(cases, CLASSES), split=split)]
    assert [p.split(",")[0].split(":")[0] for p in problems] == [
        "the split's train part names 'z'",
        "group 'p' is cut",
        "group 'q' is cut",
    ]


def test_the_same_file_under_two_names_is_a_leak_where_the_split_parts_them(folder):
    folder.image("c").write_bytes(folder.image("a").read_bytes())
    assert only(folder.problems()).severity == "warning"
    leak = only(folder.problems(Split(("a", "b"), test=("c",))))
    assert leak.severity == "error"
    assert "the same file as that of 'a', and the split has them in test and train" in leak.problem


def test_the_first_error_is_raised_with_the_number_of_the_others():
    warning = Finding("a", "odd", "look", "warning")
    errors = [Finding("b", "broken", "mend it"), Finding("c", "lost", "find it")]
    raise_on_errors([warning])
    with pytest.raises(DataError, match=r"^b: broken; mend it \(and 1 more\)$"):
        raise_on_errors([warning, *errors])
    with pytest.raises(DataError, match=r"^b: broken; mend it$"):
        raise_on_errors(errors[:1])


@pytest.mark.real
@pytest.mark.skipif("FRUGALSEG_DATA" not in os.environ, reason="FRUGALSEG_DATA is unset")
@pytest.mark.parametrize(("name", "n_doubted"), [("hippocampus", 0), ("acdc_scribbles", 6)])
def test_real_sets_are_in_order_but_for_lost_headers(name, n_doubted):
    root = Path(os.environ["FRUGALSEG_DATA"]) / name
    files = sorted((root / "images").iterdir())[:6]
    cases = [Case(f.name, f.name, Nifti(f).geometry(), NiftiImage(f)) for f in files]
    classes = ("background", "one", "two", "three")
    truth = {f.name: {"x": NiftiLabel(root / "labels" / f.name, classes)} for f in files}
    findings = list(check_pool(Pool(cases, classes, truth=Truth(truth))))
    raise_on_errors(findings)
    assert len(findings) == n_doubted
