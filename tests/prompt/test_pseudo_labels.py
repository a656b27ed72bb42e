import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.metrics.overlap import dice
from frugalseg.prompt.pseudo_labels import PUBLISHED, PseudoLabels, PseudoLabelSettings
from frugalseg.prompt.slices import PromptSettings
from frugalseg.prompt.views import ViewSettings, Work
from view_worlds import SHAPE, BrightInBox, ball, belief_of, scene


def store_in(folder: Path, generalist: BrightInBox | None = None, **options) -> PseudoLabels:
    return PseudoLabels(folder, generalist or BrightInBox(), PseudoLabelSettings(**options))


def shifted(truth: np.ndarray, value: int, by: int) -> np.ndarray:
    """The truth with one ball further along axis 2."""
    return np.where(np.roll(truth == value, by, 2), value, np.where(truth == value, 0, truth)).astype(np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("[0-9]*.npz"))}


def test_the_label_is_that_of_the_objects(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path)
    store.refresh("a", image, belief_of(truth))
    found = store.load("a")
    assert all(dice(found.label == c, truth == c) > 0.9 for c in (1, 2))
    assert ((found.weight > 0) == (found.label != UNKNOWN)).all()


@pytest.mark.parametrize(("unconfirmed", "said"), [("background", 0), ("silent", UNKNOWN)])
def test_an_object_that_the_specialist_alone_sees_is_background(tmp_path, unconfirmed, said):
    image, truth = scene()
    nothing = ball((15, 6, 16), 3)
    belief = belief_of(np.where(nothing, 2, truth).astype(np.uint8), blur=0.3)
    store = store_in(tmp_path, views=ViewSettings(unconfirmed=unconfirmed))
    store.refresh("a", image, belief)
    label = store.load("a").label
    assert (label[nothing] == said).mean() > 0.8
    assert all(dice(label == c, truth == c) > 0.9 for c in (1, 2))


@pytest.mark.parametrize("unconfirmed", ["background", "silent"])
def test_true_objects_too_many_to_be_asked_about_are_not_taught_away(tmp_path, unconfirmed):
    truth = np.zeros((32, 32, 24), np.uint8)
    for row in range(2, 32, 8):
        for column in range(2, 32, 8):
            truth[row : row + 4, column : column + 4, 10:14] = 1
    image = Image(np.where(truth > 0, 1, 0).astype(np.float32), Geometry.plain(truth.shape))
    store = store_in(tmp_path, views=ViewSettings(axes=(2,), unconfirmed=unconfirmed))
    store.refresh("a", image, belief_of(truth, blur=0.1))
    label = store.load("a").label
    assert 0 < (label[truth == 1] == 1).sum() < (truth == 1).sum()
    assert not (label[truth == 1] == 0).any()
    assert (label[truth == 0] == 0).mean() > 0.9


def test_a_second_refresh_with_the_same_belief_asks_nothing(tmp_path):
    image, truth = scene()
    generalist = BrightInBox()
    store = PseudoLabels(tmp_path / "labels", Cached(generalist, EmbeddingCache(tmp_path / "cache")))
    first = store.refresh("a", image, belief_of(truth), step=100)
    counts, files = (generalist.encoded, generalist.decoded), contents(tmp_path / "labels")
    second = store.refresh("a", image, belief_of(truth), step=200)
    assert first.work == Work(first.asked, counts[0], counts[1])
    assert (second.asked, second.changed, second.work) == (first.asked, 0, Work())
    assert (generalist.encoded, generalist.decoded) == counts
    assert contents(tmp_path / "labels") == files


def test_only_slices_whose_prompts_moved_are_asked_again_and_none_is_encoded_again(tmp_path):
    image, truth = scene()
    generalist = BrightInBox()
    store = PseudoLabels(tmp_path / "labels", Cached(generalist, EmbeddingCache(tmp_path / "cache")))
    store.refresh("a", image, belief_of(truth), step=1)
    encoded, decoded = generalist.encoded, generalist.decoded
    done = store.refresh("a", image, belief_of(shifted(truth, 2, 1)), step=2)
    assert 0 < done.work.decoded == generalist.decoded - decoded < decoded
    assert done.work.encoded == generalist.encoded - encoded <= 1  # at most the slice that the ball has just reached
    assert done.changed <= 3 * 2 * 5


def test_a_refresh_of_the_moved_equals_one_from_nothing_where_everything_moved(tmp_path):
    image, truth = scene()
    later = belief_of(shifted(truth, 2, 3))
    every = ViewSettings(least_overlap=0)  # kept answers have been compared with the pieces they were asked for
    store = store_in(tmp_path / "a", least_iou=1.0, views=every)
    store.refresh("a", image, belief_of(truth), step=1)
    store.refresh("a", image, later, step=2)
    fresh = store_in(tmp_path / "b", least_iou=1.0, views=every)
    fresh.refresh("a", image, later, step=2)
    path = Path("a") / "000000002.npz"
    assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_prompts_drift_from_those_that_were_answered_not_from_those_seen_last(tmp_path):
    image, _ = scene()
    big = np.where(ball((11, 13, 12), 9), 1, 0).astype(np.uint8)
    store = store_in(tmp_path, least_iou=0.85, prompts=PromptSettings(margin=0))
    moves = [store.refresh("a", image, belief_of(shifted(big, 1, by), blur=0.1), step=by).changed for by in range(3)]
    assert moves[1] < moves[2]  # one voxel is little for a wide box, two are not, though each step is one


def test_the_expert_wins_and_new_planes_need_no_generalist(tmp_path):
    image, truth = scene()
    generalist = BrightInBox()
    store = store_in(tmp_path, generalist)
    store.refresh("a", image, belief_of(truth), step=1)
    decoded = generalist.decoded
    expert = np.full(SHAPE, UNKNOWN, np.uint8)
    expert[8] = 2
    done = store.refresh("a", image, belief_of(truth), expert=expert, step=2)
    assert (done.work, generalist.decoded) == (Work(), decoded)
    assert (store.load("a").label[8] == 2).all()
    assert (store.load("a").weight[8] == 1).all()
    assert not (store.said("a").label[8] == 2).any()
    assert not (store.load("a", step=1).label[8] == 2).any()


def test_a_guard_mutes_a_class_but_never_the_expert(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path)
    expert = np.full(SHAPE, UNKNOWN, np.uint8)
    expert[8] = truth[8]
    store.refresh("a", image, belief_of(truth), expert=expert)
    found = store.load("a", weights=np.array([1.0, 0.0, 0.5]))
    assert (found.label[8] == truth[8]).all()
    assert not (np.delete(found.label, 8, 0) == 1).any()
    assert (np.delete(found.label, 8, 0)[np.delete(truth, 8, 0) == 1] == UNKNOWN).mean() > 0.9
    assert found.weight[(found.label == 2) & (expert == UNKNOWN)].max() <= 0.5


def test_a_training_that_goes_back_finds_the_labels_of_that_time(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path)
    beliefs = {step: belief_of(shifted(truth, 2, step // 100)) for step in (100, 200, 300)}
    for step, belief in beliefs.items():
        store.refresh("a", image, belief, step=step)
    files, labels = contents(tmp_path), [store.load("a", step=s).label for s in (150, 250, 350)]
    assert store.load("a", step=99) is None
    for step, belief in beliefs.items():  # once more, as after a kill
        assert store.refresh("a", image, belief, step=step).work == Work()
    assert contents(tmp_path) == files
    assert not np.array_equal(labels[0], labels[2])


def test_labels_that_no_step_reads_any_more_are_forgotten(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path)
    for step in (100, 200, 300):
        store.refresh("a", image, belief_of(shifted(truth, 2, step // 100)), step=step)
    store.forget(before=250)
    assert [f.stem for f in sorted(tmp_path.rglob("*.npz"))] == ["000000200", "000000300"]


@pytest.mark.parametrize("change", ["settings", "generalist", "image", "seed"])
def test_another_origin_is_made_anew(tmp_path, change: str):
    image, truth = scene()
    store_in(tmp_path).refresh("a", image, belief_of(truth))
    generalist = BrightInBox(fingerprint="other" if change == "generalist" else "f0")
    options = PseudoLabelSettings(prompts=PromptSettings(margin=2)) if change == "settings" else None
    if change == "image":
        image = type(image)(image.array + 1, image.geometry)
    store = PseudoLabels(tmp_path, generalist, options, seed=int(change == "seed"))
    done = store.refresh("a", image, belief_of(truth))
    assert generalist.encoded == done.work.shown == done.asked > 0


def test_a_specialist_that_sees_nothing_gets_no_label_of_nothing(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path)
    done = store.refresh("a", image, belief_of(np.zeros_like(truth)))
    assert (done.asked, done.work) == (0, Work())
    assert (store.load("a").label == UNKNOWN).all()
    assert (store.load("a").weight == 0).all()


def test_published_settings_give_a_dense_label_of_full_weight(tmp_path):
    image, truth = scene()
    generalist = BrightInBox(frozenset({"boxes", "points"}))
    store = PseudoLabels(tmp_path, generalist, PUBLISHED)
    store.refresh("a", image, belief_of(truth))
    found = store.load("a")
    assert (found.weight == 1).all()
    assert all(dice(found.label == c, truth == c) > 0.8 for c in (1, 2))


@pytest.mark.parametrize("options", [{}, {"add_point": 2, "rough_mask": True}, {"rule": "published", "add_point": 1}])
def test_prompts_come_back_from_the_file_as_they_were(tmp_path, options):
    image, truth = scene()
    generalist = BrightInBox(frozenset({"boxes", "points", "masks"}))
    store = store_in(tmp_path, generalist, prompts=PromptSettings(**options), least_iou=1.0)
    store.refresh("a", image, belief_of(truth), step=1)
    assert store.refresh("a", image, belief_of(truth), step=2).work == Work()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    image, truth = scene()
    for name in ("one", "two"):
        store_in(tmp_path / name, prompts=PromptSettings(rule="published")).refresh("a", image, belief_of(truth))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_strange_names_of_cases_stay_in_the_folder(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path / "labels")
    for case in ("..", "../a", "a/b"):
        store.refresh(case, image, belief_of(truth))
        assert store.load(case) is not None
    assert [p.name for p in tmp_path.iterdir()] == ["labels"]
    assert len(contents(tmp_path / "labels")) == 3


def test_a_damaged_file_is_named(tmp_path):
    image, truth = scene()
    store = store_in(tmp_path)
    store.refresh("a", image, belief_of(truth))
    file = next(tmp_path.rglob("*.npz"))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"000000000.npz: damaged pseudo-label"):
        store.load("a")


def test_arrays_of_another_shape_are_refused(tmp_path):
    image, truth = scene()
    with pytest.raises(DataError, match="different shapes"):
        store_in(tmp_path).refresh("a", image, belief_of(truth[1:]))


def test_killed_while_it_writes_the_labels_end_the_same(tmp_path):
    image, truth = scene()
    whole = store_in(tmp_path / "whole")
    cases = [f"case-{k}" for k in range(4)]
    for case in cases:
        whole.refresh(case, image, belief_of(truth), step=5)
    _refresh_and_die(tmp_path / "killed", 2)
    again = store_in(tmp_path / "killed")
    done = [again.refresh(case, image, belief_of(truth), step=5) for case in cases]
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert [d.changed > 0 for d in done] == [False, False, True, True]


def _refresh_and_die(folder: Path, files: int) -> None:
    """Refreshes the four cases in a process that is killed while it writes the label after so many."""
    program = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
import numpy as np
from pathlib import Path
from test_pseudo_labels import belief_of, contents, scene, store_in
folder = Path({str(folder)!r})
save = np.savez_compressed
def dying(file, **arrays):
    save(file, **arrays)
    file.flush()
    if len(contents(folder)) == {files}:
        os.kill(os.getpid(), signal.SIGKILL)
np.savez_compressed = dying
image, truth = scene()
for k in range(4):
    store_in(folder).refresh(f"case-{{k}}", image, belief_of(truth), step=5)
"""
    ended = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
