import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import SIDE, CountingGeneralist
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from frugalseg.errors import DiskFull, SettingsError
from frugalseg.files import held
from frugalseg.generalists import cache as room
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.generalist import Embedding, View
from frugalseg.generalists.prompts import Prompts

ONE = 4.2e-6
"""GB of one embedding of the fake: 3 * (64 + 256) numbers and a header."""


def picture(seed=0, shape=(12, 20)):
    return View(np.random.default_rng(seed).integers(0, 4000, shape, dtype=np.uint16))


@pytest.fixture
def store(tmp_path):
    return EmbeddingCache(tmp_path / "embeddings")


def files(store):
    return sorted(p for p in store.folder.rglob("*") if p.is_file() and p.name != "lock")


def is_same(a, b):
    pairs = zip(a.features, b.features, strict=True)
    return (a.frame, a.owner) == (b.frame, b.owner) and all(x.dtype == y.dtype and torch.equal(x, y) for x, y in pairs)


def test_the_second_use_of_an_image_does_not_touch_the_encoder(store):
    fake = CountingGeneralist()
    first = Cached(fake, store).embed([picture()])
    again = Cached(fake, EmbeddingCache(store.folder)).embed([picture()])
    assert fake.seen == [1]
    assert is_same(first[0], again[0])


def test_what_comes_back_is_what_was_made_bit_for_bit(store):
    fake = CountingGeneralist(scale=1 / 3)
    views = [picture(k) for k in range(3)]
    Cached(fake, store).embed(views)
    for found, made in zip(Cached(fake, store).embed(views), CountingGeneralist(scale=1 / 3).embed(views), strict=True):
        assert is_same(found, made)


def test_only_the_missing_views_are_encoded_in_one_call_and_in_order(store):
    fake = CountingGeneralist()
    cached = Cached(fake, store)
    cached.embed([picture(1)])
    found = cached.embed([picture(2), picture(1), picture(3), picture(2)])
    assert fake.seen == [1, 2]
    for embedding, view in zip(found, [picture(2), picture(1), picture(3), picture(2)], strict=True):
        assert is_same(embedding, fake.embed([view])[0])


def test_no_views_have_no_embeddings(store):
    fake = CountingGeneralist()
    assert Cached(fake, store).embed([]) == []
    assert fake.seen == []


def test_a_cached_generalist_answers_as_the_generalist_does(store):
    fake = CountingGeneralist()
    cached = Cached(fake, store)
    (embedding,) = cached.embed([picture()])
    prompts = Prompts.in_boxes([[1, 2, 3, 4]])
    assert cached.info is fake.info
    assert torch.equal(cached.decode(embedding, prompts).logits, fake.decode(embedding, prompts).logits)
    assert cached.decode(embedding, prompts, features=True).features is not None


@pytest.mark.parametrize(
    "other",
    [
        replace(picture(), array=picture().array.astype(np.float32)),
        replace(picture(), array=picture().array.reshape(20, 12)),
        replace(picture(), array=picture().array + np.uint16(1)),
        replace(picture(), window=(0, 0, 5, 5)),
        replace(picture(), spacing=(1.0, 2.0)),
        replace(picture(), least_side=128),
        replace(picture(), most_side=128),
    ],
)
def test_everything_that_changes_an_embedding_is_in_its_key(store, other):
    Cached(CountingGeneralist(), store).embed([picture()])
    assert store.holds(CountingGeneralist(), picture())
    assert not store.holds(CountingGeneralist(), other)


@pytest.mark.parametrize("other", [CountingGeneralist("f1"), CountingGeneralist(settings="input=64")])
def test_other_weights_and_settings_have_embeddings_of_their_own(store, other):
    Cached(CountingGeneralist(), store).embed([picture()])
    assert not store.holds(other, picture())
    assert not EmbeddingCache(store.folder, dtype="float16").holds(CountingGeneralist(), picture())


def test_a_view_is_known_however_it_is_written(store):
    Cached(CountingGeneralist(), store).embed([picture()])
    whole = tuple(np.array([0, 0, 12, 20]))
    assert store.holds(CountingGeneralist(), replace(picture(), window=whole, spacing=(1, np.float32(1))))
    assert store.holds(CountingGeneralist(), View(np.asfortranarray(picture().array)))


def test_a_picture_under_many_windows_is_read_once(store, monkeypatch):
    n_read = []
    monkeypatch.setattr(room, "fingerprint_array", lambda array: n_read.append(1) or "0" * 16)
    Cached(CountingGeneralist(), store).embed([replace(picture(), window=(0, 0, k, k)) for k in range(1, 5)])
    assert len(n_read) == 4  # four arrays of equal content
    whole = picture()
    Cached(CountingGeneralist(), store).embed([replace(whole, window=(0, 0, k, k)) for k in range(1, 5)])
    assert len(n_read) == 5


maps = hnp.arrays(np.float32, st.tuples(*[st.integers(1, 4)] * 3), elements=st.floats(width=32))


@given(features=st.lists(maps, min_size=0, max_size=3), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_any_maps_come_back_bit_for_bit(tmp_path_factory, features, dtype):
    store = EmbeddingCache(tmp_path_factory.mktemp("any"))
    wanted = tuple(torch.from_numpy(x).to(dtype) for x in features)
    frame = fit_frame((int(np.int64(9)), 7), 64, window=tuple(np.array([-1, 2, 5, 6])), spacing=(0.5, 1))
    store.save("abcd", Embedding(wanted, frame, "me"))
    found = store.load("abcd", "me")
    assert found.frame == frame
    for a, b in zip(found.features, wanted, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a.view(torch.uint8), b.view(torch.uint8))


def test_half_precision_takes_half_the_room_and_rounds_alike_on_first_and_later_use(store, tmp_path):
    view, fake = picture(shape=(60, 60)), CountingGeneralist(scale=1 / 3)
    halves = EmbeddingCache(tmp_path / "halves", dtype="float16")
    (first,) = Cached(fake, halves).embed([view])
    (again,) = Cached(fake, halves).embed([view])
    (exact,) = Cached(fake, store).embed([view])
    assert is_same(first, again)
    assert first.features[0].dtype == torch.float32
    torch.testing.assert_close(first.features[1], exact.features[1], rtol=2**-11, atol=1e-4)
    assert files(halves)[0].stat().st_size < 0.6 * files(store)[0].stat().st_size


def test_halves_saturate_and_never_become_infinite(tmp_path):
    (found,) = Cached(CountingGeneralist(scale=1e6), EmbeddingCache(tmp_path, dtype="float16")).embed([picture()])
    assert found.features[1].max() == 65504


def test_embeddings_are_memory_mapped(store):
    Cached(CountingGeneralist(), store).embed([picture()])
    (found,) = Cached(CountingGeneralist(), store).embed([picture()])
    assert str(files(store)[0]) in Path("/proc/self/maps").read_text(encoding="utf-8")
    files(store)[0].unlink()
    assert found.features[1].shape == (3, SIDE, SIDE)  # a map outlives the name of its file


def flip(path, where):
    content = bytearray(path.read_bytes())
    content[where] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["empty", "half", "header", "text", "first", "last", "garbage"])
def test_a_damaged_file_is_absent_and_written_anew(store, damage):
    fake = CountingGeneralist()
    Cached(fake, store).embed([picture()])
    (path,) = files(store)
    whole = path.read_bytes()
    if damage in ("empty", "half", "garbage"):
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "garbage": b"\xff" * 500}[damage])
    else:
        flip(path, {"header": 3, "text": whole.index(b"frame"), "first": -3840, "last": -1}[damage])
    assert not store.holds(fake, picture())
    (found,) = Cached(fake, store).embed([picture()])
    assert fake.seen == [1, 1]
    assert is_same(found, CountingGeneralist().embed([picture()])[0])
    assert store.holds(fake, picture())


def test_the_least_recently_used_make_room(tmp_path):
    store = EmbeddingCache(tmp_path, limit_gb=3.8 * ONE)
    fake = CountingGeneralist()
    cached = Cached(fake, store)
    for k in range(3):
        cached.embed([picture(k)])
        os.utime(store._path(store.key(fake.info, picture(k))), (1000 + k, 1000 + k))
    cached.embed([picture(0)])  # used again, so 1 is the oldest now
    cached.embed([picture(3)])
    assert [store.holds(fake, picture(k)) for k in range(4)] == [True, False, True, True]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_who_goes_round_the_same_pictures_finds_those_that_fit(tmp_path, dtype):
    store = EmbeddingCache(tmp_path, limit_gb=8 * ONE, dtype=dtype, keeps_used=True)
    Cached(CountingGeneralist(), EmbeddingCache(tmp_path, dtype=dtype)).embed([picture(99)])  # somebody else's
    fake, turns = CountingGeneralist(scale=1 / 3), []
    for _ in range(3):
        turns.append([Cached(fake, store).embed([picture(k)])[0] for k in range(20)])
    kept = len(files(store))
    assert 8 <= kept < 20
    assert len(fake.seen) == 20 + 2 * (20 - kept)
    assert sum(p.stat().st_size for p in files(store)) <= 1.06 * 8 * ONE * 1e9
    assert all(is_same(a, b) for later in turns[1:] for a, b in zip(turns[0], later, strict=True))
    assert not store.holds(fake, picture(99))


def test_what_was_just_written_is_never_deleted(tmp_path):
    store = EmbeddingCache(tmp_path, limit_gb=1e-9)
    fake = CountingGeneralist()
    views = [picture(k) for k in range(4)]
    Cached(fake, store).embed(views)
    assert all(store.holds(fake, view) for view in views)
    Cached(fake, store).embed([picture(9)])
    assert [store.holds(fake, view) for view in [*views, picture(9)]] == [False] * 4 + [True]


def test_the_folder_stays_near_its_limit(tmp_path):
    store = EmbeddingCache(tmp_path, limit_gb=20 * ONE)
    for k in range(60):
        Cached(CountingGeneralist(), store).embed([picture(k)])
    assert sum(p.stat().st_size for p in files(store)) <= 1.06 * 20 * ONE * 1e9


def test_only_one_process_makes_room_at_a_time(tmp_path):
    store = EmbeddingCache(tmp_path, limit_gb=1e-9)
    Cached(CountingGeneralist(), store).embed([picture(0)])
    with held(tmp_path):
        Cached(CountingGeneralist(), store).embed([picture(1)])
    assert len(files(store)) == 2
    Cached(CountingGeneralist(), store).embed([picture(2)])
    assert len(files(store)) == 1


def test_an_embedding_that_another_process_deletes_at_once_is_still_given(store, monkeypatch):
    wanted = CountingGeneralist().embed([picture()])[0]
    monkeypatch.setattr(store, "_read", lambda path, owner: None)
    assert is_same(Cached(CountingGeneralist(), store).embed([picture()])[0], wanted)


def test_files_that_a_killed_process_has_left_are_cleared(store):
    fake = CountingGeneralist()
    Cached(fake, store).embed([picture()])
    fresh, old = (files(store)[0].with_name(f".part-{k}-x.safetensors") for k in "ab")
    for path, age in ((fresh, 0), (old, 2 * room.LEFT_BEHIND_S)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    EmbeddingCache(store.folder).make_room()
    assert fresh.exists()
    assert not old.exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(store, monkeypatch):
    def full(maps, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(DiskFull, match=r"embeddings: the disk is full; make room \(embeddings may be deleted"):
            Cached(CountingGeneralist(), store).embed([picture()])
    assert files(store) == []
    Cached(CountingGeneralist(), store).embed([picture()])


def test_other_errors_of_writing_are_not_called_a_full_disk(store, monkeypatch):
    def broken(maps, path, metadata):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("safetensors.torch.save_file", broken)
    with pytest.raises(OSError, match="Input/output error"):
        Cached(CountingGeneralist(), store).embed([picture()])


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"limit_gb": 0}, {"limit_gb": float("nan")}])
def test_impossible_settings_are_refused(tmp_path, options):
    with pytest.raises(SettingsError, match=r"float32 or float16|above 0 GB"):
        EmbeddingCache(tmp_path, **options)


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from fakes import CountingGeneralist
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.generalists.generalist import View
torch.set_num_threads(1)
store = EmbeddingCache(Path(sys.argv[2]), limit_gb=float(sys.argv[3]))
fake, plain = CountingGeneralist(), CountingGeneralist()
rng = np.random.default_rng(int(sys.argv[4]))
for _ in range(100):
    seeds = rng.integers(0, 12, 3)
    views = [View(np.random.default_rng(s).integers(0, 4000, (12, 20), dtype=np.uint16)) for s in seeds]
    for found, made in zip(Cached(fake, store).embed(views), plain.embed(views), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found.features, made.features, strict=True))
"""


def test_processes_that_read_write_and_make_room_at_once_get_what_is_right(tmp_path):
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(tmp_path), str(6 * ONE)]
    workers = [subprocess.Popen([*command, str(k)]) for k in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert not list(tmp_path.rglob(".part-*"))
