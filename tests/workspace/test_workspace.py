from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from workspace_worlds import CLASSES, SHAPE, Noise, draw, make_label, make_pool, make_workspace

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.pool import LabelsInMemory, Pool
from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.data.splits import Split
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.workspace import Workspace


def execute(workspace: Workspace, sql: str) -> None:
    with create_engine(f"sqlite:///{workspace.folder / 'frugalseg.db'}").begin() as connection:
        connection.execute(text(sql))


def slices(case: str, *indices: int) -> list[Unit]:
    return [Unit(case, "slice", 0, (k,)) for k in indices]


def test_what_was_given_at_creation_is_there_after_opening(workspace):
    again = Workspace.open(workspace.folder, pool=make_pool())
    assert again.data == "folder=scans"
    assert again.classes == CLASSES
    assert again.settings == {"axis": 2}
    assert again.split == Split(train=("v0", "v1"), validation=("v2",), test=("v3",))
    assert [c.id for c in again.pool.cases] == ["a/b: ü*?", "v0", "v1", "v2", "v3"]


def test_labels_that_were_drawn_before_are_copied_into_the_new_workspace(tmp_path):
    pool = make_pool()
    pool.labels.put("v1", "ada", make_label())
    workspace = make_workspace(tmp_path / "work", pool)
    np.testing.assert_array_equal(workspace.pool.label("v1").array, make_label().array)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        make_workspace(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_becomes_the_workspace(tmp_path):
    (tmp_path / "work").mkdir()
    assert Workspace.exists(make_workspace(tmp_path / "work").folder)


def test_a_second_workspace_in_the_same_folder_is_refused(workspace):
    with pytest.raises(DataError, match="there is a workspace here already"):
        make_workspace(workspace.folder)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(train=("v0", "v1"), validation=("v1",), test=()), "'v1' more than once"),
        (Split(train=("v00",), validation=(), test=()), "names 'v00', which is no case"),
    ],
)
def test_a_creation_that_fails_leaves_nothing(tmp_path, split, message):
    with pytest.raises(DataError, match=message):
        Workspace.create(tmp_path / "work", make_pool(), data="", split=split, settings={})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_workspace_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: this folder does not exist; make one with `frugalseg init"):
        Workspace.open(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is no workspace"):
        Workspace.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_of_a_newer_version_is_refused(workspace):
    execute(workspace, "UPDATE meta SET version = 99")
    with pytest.raises(DataError, match="written by a newer frugalseg"):
        Workspace.open(workspace.folder)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_damaged_database_is_named(workspace, content):
    (workspace.folder / "frugalseg.db").write_bytes(content)
    with pytest.raises(DataError, match="database"):
        Workspace.open(workspace.folder)


def test_the_records_may_lie_in_another_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    split = Split(train=("v0",), validation=(), test=())
    made = Workspace.create(tmp_path / "work", make_pool(), data="", split=split, settings={}, database=url)
    assert not (made.folder / "frugalseg.db").exists()
    assert Workspace.open(tmp_path / "work").split == split
    with pytest.raises(DataError, match="holds a workspace already"):
        Workspace.create(tmp_path / "other", make_pool(), data="", split=split, settings={}, database=url)


def test_a_password_is_never_written_into_the_folder(tmp_path):
    url = "postgresql://me:secret@host/base"
    split = Split(train=("v0",), validation=(), test=())
    with pytest.raises(DataError, match=r"me:\*\*\*@host") as caught:
        Workspace.create(tmp_path / "work", make_pool(), data="", split=split, settings={}, database=url)
    assert "secret" not in str(caught.value)


def test_a_case_that_left_the_data_is_named(workspace):
    fewer = Pool([c for c in make_pool().cases if c.id != "v2"], CLASSES)
    with pytest.raises(DataError, match="1 of 5 cases are no longer in the data 'folder=scans', first 'v2'"):
        _ = Workspace.open(workspace.folder, pool=fewer).pool


def test_a_changed_image_is_reported(workspace):
    cases = [replace(c, source=Noise(c.geometry, 7)) if c.id == "v2" else c for c in make_pool().cases]
    assert Workspace.open(workspace.folder, pool=make_pool()).changed_cases() == ()
    assert Workspace.open(workspace.folder, pool=Pool(cases, CLASSES)).changed_cases() == ("v2",)


def test_units_are_pending_in_the_order_of_their_rank_until_they_are_drawn(workspace):
    units = slices("v1", 3, 0, 2)
    workspace.select(0, units, "random", settings={"seed": 1})
    assert workspace.pending(0) == units
    workspace.record_annotation(draw(units[1]))
    assert workspace.pending(0) == [units[0], units[2]]
    assert workspace.selected(0) == units


def test_pending_for_one_rater_does_not_count_what_another_has_drawn(workspace):
    units = slices("v1", 3, 0)
    workspace.select(0, units, "random")
    workspace.record_annotation(draw(units[0], "ada"))
    assert workspace.pending(0, "bob") == units
    assert workspace.pending(0, "ada") == [units[1]]


def test_planes_placed_by_the_annotator_finish_the_unit_that_asked_for_them(workspace):
    workspace.select(0, [Unit("v0", "planes"), Unit("v1", "planes")], "random")
    workspace.record_annotation(draw(Unit("v0", "planes").placed((1, 2, 3))))
    assert workspace.pending(0) == [Unit("v1", "planes")]
    assert workspace.selected(0)[0].index == (1, 2, 3)


def test_annotations_of_one_rater_add_up_in_one_label_and_raters_stay_apart(workspace):
    first, second = slices("v0", 0, 2)
    workspace.record_annotation(draw(first, "ada", seed=1))
    workspace.record_annotation(draw(second, "ada", seed=2))
    workspace.record_annotation(draw(first, "bob", seed=3))
    label = workspace.labels.get("v0", "ada")
    np.testing.assert_array_equal(label.known, first.mask(SHAPE) | second.mask(SHAPE))
    np.testing.assert_array_equal(label.array[0], draw(first, seed=1).label.array[0])
    assert workspace.labels.raters("v0") == workspace.raters() == ("ada", "bob")


def test_seconds_are_counted_by_rater_and_round(workspace):
    workspace.record_annotation(draw(slices("v0", 3)[0], seconds=1))
    for number in (0, 1):
        workspace.select(number, slices("v0", number), "random")
        workspace.record_annotation(draw(slices("v0", number)[0], "ada", seconds=10 ** (number + 1)))
    workspace.record_annotation(draw(slices("v0", 0)[0], "bob", seconds=1000))
    assert workspace.seconds_spent() == 1111
    assert workspace.seconds_spent("ada") == 111
    assert workspace.seconds_spent(up_to_round=0) == 11
    assert workspace.seconds_spent("bob", up_to_round=0) == 0


def test_slices_are_counted_as_a_person_goes_through_them(workspace):
    units = [Unit("v0"), Unit("v1", "planes").placed((0, 0, 0)), Unit("v2", "slice", 1, (4,))]
    units.append(Unit("v3", "patch", -1, (0, 1, 2, 4, 4, 4)))
    for unit in units:
        workspace.record_annotation(draw(unit))
    thick_slices = SHAPE[2]
    assert [act.slices for act in workspace.drawn()] == [thick_slices, 3, 1, 2]


def test_acts_are_kept_in_order_with_their_time(workspace):
    workspace.select(0, slices("v0", 0, 1), "random")
    for unit in slices("v0", 1, 0, 1):
        workspace.record_annotation(draw(unit))
    acts = workspace.drawn()
    assert [act.unit for act in acts] == slices("v0", 1, 0, 1)
    assert [act.when for act in acts] == sorted(act.when for act in acts)
    assert {act.round for act in acts} == {0}


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_an_impossible_cost_is_refused_and_nothing_is_kept(workspace, seconds):
    with pytest.raises(DataError, match="cannot cost"):
        workspace.record_annotation(draw(slices("v0", 0)[0], seconds=seconds))
    assert workspace.drawn() == ()
    assert workspace.labels.get("v0", "ada") is None


def test_an_annotation_whose_label_does_not_fit_keeps_nothing(workspace):
    wrong = replace(draw(slices("v0", 0)[0]), label=make_label((4, 5)))
    with pytest.raises(DataError, match="does not fit a case of shape"):
        workspace.record_annotation(wrong)
    assert workspace.drawn() == ()


def test_a_round_that_was_selected_is_not_selected_again(workspace):
    workspace.select(0, slices("v0", 0), "random")
    with pytest.raises(DataError, match="round 0 was selected already; the next one is 1"):
        workspace.select(0, slices("v0", 1), "random")
    assert workspace.selected(0) == slices("v0", 0)


@pytest.mark.parametrize(
    ("unit", "message"),
    [(Unit("v9"), r"no case 'v9' in the workspace \(did you mean"), (Unit("v0", "slice", 0, (4,)), "lies outside")],
)
def test_a_selection_with_a_wrong_unit_opens_no_round(workspace, unit, message):
    with pytest.raises(DataError, match=message):
        workspace.select(0, [*slices("v0", 0), unit], "random")
    assert workspace.rounds() == ()


def test_rounds_are_listed_with_what_closed_them(workspace):
    workspace.select(0, [], "random", settings={"k": 1})
    workspace.select(1, [], "entropy")
    workspace.close_round(0)
    assert [(r.number, r.strategy, r.is_closed) for r in workspace.rounds()] == [
        (0, "random", True),
        (1, "entropy", False),
    ]
    with pytest.raises(DataError, match="no round 7"):
        workspace.close_round(7)


def test_a_run_that_is_asked_for_again_is_the_same_run(workspace):
    words = {"steps": 10, "patch": (8, 8)}
    run = workspace.start_run(None, "mean-teacher", settings=words, seed=0)
    assert workspace.start_run(None, "mean-teacher", settings=words, seed=0) == run
    assert workspace.start_run(None, "mean-teacher", settings=words, seed=1).id != run.id
    assert workspace.run_folder(run).parent == workspace.folder / "runs"


def test_a_finished_run_knows_its_model_and_metrics(workspace):
    run = workspace.start_run(None, "supervised", settings={}, seed=0)
    model = workspace.models / "best.safetensors"
    model.write_bytes(b"weights")
    workspace.finish_run(run, model=model, metrics={"dice": 0.5}, seconds=3.0)
    (done,) = workspace.runs()
    assert (done.is_done, done.model, done.metrics, done.seconds) == (
        True,
        "models/best.safetensors",
        {"dice": 0.5},
        3.0,
    )
    assert len(done.fingerprint) == 16


def test_a_metric_that_is_no_number_is_refused(workspace):
    run = workspace.start_run(None, "supervised", settings={}, seed=0)
    with pytest.raises(DataError, match="no finite number for hd95_mm"):
        workspace.finish_run(run, model=None, metrics={"hd95_mm": float("nan")}, seconds=0)


def test_an_import_writes_over_what_the_same_rater_has_drawn(workspace):
    workspace.record_annotation(draw(slices("v0", 0)[0], seed=5))
    source = LabelsInMemory({("v0", "ada"): draw(slices("v0", 1)[0]).label, ("v1", "bob"): make_label()})
    assert workspace.import_labels(source) == 2
    np.testing.assert_array_equal(np.flatnonzero(workspace.labels.get("v0", "ada").known.all(axis=(1, 2))), [0, 1])
    assert workspace.seconds_spent() == 30


def test_an_import_with_one_wrong_label_writes_none(workspace):
    source = LabelsInMemory({("v0", "ada"): make_label(), ("v1", "ada"): make_label((3, 3, 3))})
    with pytest.raises(DataError, match="v1: a label of shape"):
        workspace.import_labels(source)
    assert workspace.labels.raters("v0") == ()
    assert not list((workspace.folder / "labels").glob("*/*"))


def test_a_pool_of_one_case_in_a_folder_with_odd_letters_works(tmp_path: Path):
    geometry = Geometry.plain((3, 4))
    pool = Pool([Case("x", "x", geometry, Noise(geometry, 0))], CLASSES)
    split = Split(train=("x",), validation=(), test=())
    made = Workspace.create(tmp_path / "naïve folder #1?", pool, data="", split=split, settings={})
    made.labels.put("x", "ada", make_label((3, 4)))
    assert made.pool.labelled() == ["x"]


def test_the_pool_is_opened_again_from_the_text_that_made_it(tmp_path):
    text = "phantom=anatomy,n=4,shape=16x18x20"
    pool = open_data(parse_data_spec(text))
    ids = [case.id for case in pool.cases]
    split = Split(train=tuple(ids[:3]), test=(ids[3],))
    made = Workspace.create(tmp_path / "work", pool, data=text, split=split, settings={})
    made.labels.put(ids[0], "ada", pool.truth.semantic(ids[0]))
    again = Workspace.open(tmp_path / "work").pool
    assert [case.id for case in again.cases] == ids
    assert again.labelled() == [ids[0]]
    np.testing.assert_array_equal(again.label(ids[0]).array, again.truth.semantic(ids[0]).array)
