import hashlib
import json
import os
import pickle
import sys
import zipfile
from dataclasses import replace

import fakes
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from frugalseg.errors import DiskFull, SettingsError, WeightsError
from frugalseg.files import held
from frugalseg.generalists import store, weights
from frugalseg.generalists.store import check_weights, get_weights, state_on_machine
from frugalseg.generalists.weights import (
    BUILT_ON,
    WEIGHTS,
    Wheel,
    find_weights,
    home,
    kept_weights,
    placed_weights,
    read_state,
    weights_fingerprint,
)

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}


@pytest.fixture(autouse=True)
def scratch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FRUGALSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "published.pth"
    torch.save(STATE, path)
    return path


def same(found, wanted=STATE):
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


def sha256(path):
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def enter(monkeypatch, name="sam-vit-b", **changes):
    """Another entry for a name, and the name."""
    monkeypatch.setattr(weights, "WEIGHTS", {**WEIGHTS, name: replace(WEIGHTS[name], **changes)})
    monkeypatch.setattr(store, "WEIGHTS", weights.WEIGHTS)
    return name


@pytest.fixture
def served(published, monkeypatch):
    """The published file on a server, under the name sam-vit-b."""
    with fakes.serving(published.read_bytes()) as server:
        enter(monkeypatch, url=server.url, digest=sha256(published), megabytes=1)
        yield server


# what there is


def test_every_entry_can_be_had_and_says_what_it_is():
    for name, entry in WEIGHTS.items():
        assert entry.licence == "Apache-2.0", name
        assert entry.prompts <= {"points", "boxes", "masks"}
        assert entry.prompts
        assert entry.page.startswith("https://") or entry.wheel
        assert entry.url is None or entry.url.endswith(entry.file)
        assert entry.digest is None or len(entry.digest) == {"sha256": 71, "md5": 36}[entry.digest.partition(":")[0]]


@pytest.mark.parametrize("size", "blh")
def test_the_digits_in_the_names_of_sam_begin_the_md5(size):
    entry = WEIGHTS[f"sam-vit-{size}"]
    assert entry.digest.removeprefix("md5:").startswith(entry.file.removesuffix(".pth").rpartition("_")[2])


def test_what_stands_on_other_weights_names_them():
    assert set(BUILT_ON.values()) <= set(WEIGHTS)


# where they lie


def test_the_home_is_the_chosen_folder_or_the_platforms_cache(monkeypatch, tmp_path):
    assert home() == tmp_path / "home"
    monkeypatch.delenv("FRUGALSEG_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert home() == tmp_path / "xdg" / "frugalseg"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert home().parts[-2:] == (".cache", "frugalseg")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert home().parts[-3:] == ("Library", "Caches", "frugalseg")


def test_a_given_file_comes_before_the_kept_one(published):
    list(get_weights("medsam", path=published))
    assert find_weights("medsam") == kept_weights("medsam")
    assert find_weights("medsam", path=published) == published


def test_absent_weights_say_how_to_get_them(tmp_path):
    with pytest.raises(WeightsError, match="models get sam-vit-b"):
        find_weights("sam-vit-b")
    with pytest.raises(WeightsError, match=r"absent\.pth: there is no such weights file"):
        find_weights("sam-vit-b", path=tmp_path / "absent.pth")
    with pytest.raises(SettingsError, match="did you mean 'sam-vit-b'"):
        find_weights("sam-vitb")


def test_a_file_placed_by_hand_is_used_only_once_it_is_verified(published):
    placed = placed_weights("medsam")
    placed.parent.mkdir(parents=True)
    placed.write_bytes(published.read_bytes())
    assert state_on_machine("medsam") == "not verified"
    with pytest.raises(WeightsError, match="has not been verified yet"):
        find_weights("medsam")
    list(get_weights("medsam"))
    assert same(read_state(find_weights("medsam")))
    assert placed.exists()  # it is the user's


@pytest.fixture
def package(tmp_path, published, monkeypatch):
    """A package that carries the file, and breaks when it is imported."""
    inside = tmp_path / "site" / "carrier" / "asset"
    inside.mkdir(parents=True)
    (inside.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (inside / "w.pth").write_bytes(published.read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    wheel = Wheel("carrier==1", "carrier", "carrier/asset/w.pth")
    enter(monkeypatch, "lite-medsam", wheel=wheel, digest=sha256(published))
    return inside / "w.pth"


def test_the_file_of_an_installed_package_is_found_without_importing_it(package):
    assert find_weights("lite-medsam") == package
    assert state_on_machine("lite-medsam") == "in a package"
    list(get_weights("lite-medsam"))
    assert find_weights("lite-medsam") == kept_weights("lite-medsam")


def test_another_file_in_an_installed_package_is_not_taken(package):
    package.write_bytes(b"other")
    with pytest.raises(WeightsError, match="they are absent"):
        find_weights("lite-medsam")


# reading


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}])
@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_come_out_of_any_wrapping(tmp_path, wrap, is_zip):
    torch.save(wrap(STATE), tmp_path / "w.bin", _use_new_zipfile_serialization=is_zip)
    assert same(read_state(tmp_path / "w.bin"))


def test_safetensors_are_known_by_their_content(tmp_path):
    save_file(STATE, tmp_path / "w.pth")
    assert same(read_state(tmp_path / "w.pth"))


def test_every_cut_file_is_one_sentence(tmp_path, published):
    save_file(STATE, tmp_path / "w.safetensors")
    for whole in (published.read_bytes(), (tmp_path / "w.safetensors").read_bytes()):
        for n in {0, 1, 8, 9, 100, len(whole) // 2, len(whole) - 1}:
            (tmp_path / "cut").write_bytes(whole[:n])
            with pytest.raises(WeightsError, match=r"cut: (cannot be read|no weights file)") as error:
                read_state(tmp_path / "cut")
            assert "\n" not in str(error.value)


@given(st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04", b"\x10\0\0\0\0\0\0\0{"]), st.binary(max_size=60))
def test_no_garbage_gets_past_the_door(start, rest):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "garbage.pth"
        path.write_bytes(start + rest)
        with pytest.raises(WeightsError, match=r"garbage\.pth: "):
            read_state(path)


@pytest.mark.parametrize("content", [{}, {"a": 1}, [STATE], {"model": {"a": "text"}}])
def test_files_of_other_things_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="something else than tensors"):
        read_state(tmp_path / "w.pth")


class Intruder:
    def __reduce__(self):
        return (os.mkdir, ("intruded",))


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, monkeypatch, is_zip):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Intruder()}, "w.pth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match="holds more than tensors, which could run code"):
        read_state(tmp_path / "w.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Intruder()))
    with pytest.raises(WeightsError, match=r"raw\.pth"):
        read_state(tmp_path / "raw.pth")
    assert not (tmp_path / "intruded").exists()


# fingerprints


def test_a_fingerprint_stands_for_the_content(tmp_path, published):
    copy = tmp_path / "copy.pth"
    copy.write_bytes(published.read_bytes())
    assert weights_fingerprint(copy) == weights_fingerprint(published) == sha256(published)[7:23]
    copy.write_bytes(b"other")
    assert weights_fingerprint(copy) != weights_fingerprint(published)
    with pytest.raises(WeightsError, match="no such weights file"):
        weights_fingerprint(tmp_path / "absent")


def test_a_fingerprint_is_computed_once(published, monkeypatch):
    wanted = weights_fingerprint(published)
    monkeypatch.setattr(weights, "fingerprint_file", None)
    assert weights_fingerprint(published) == wanted


def test_a_broken_note_of_a_fingerprint_is_written_anew(published, scratch_home):
    wanted = weights_fingerprint(published)
    (note,) = (scratch_home / "weights" / "fingerprints").iterdir()
    note.write_text("{")
    assert weights_fingerprint(published) == wanted
    assert json.loads(note.read_text(encoding="utf-8"))["fingerprint"] == wanted


def test_the_fingerprint_of_a_folder_stands_for_its_files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file(STATE, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    first = weights_fingerprint(folder)
    (folder / "README.md").write_text("no weights")
    assert weights_fingerprint(folder) == first
    (folder / "config.json").write_text('{"a": 1}')
    assert weights_fingerprint(folder) != first


# getting and checking


def test_getting_fetches_verifies_and_keeps(served, published):
    steps = [p.step for p in get_weights("sam-vit-b")]
    assert list(dict.fromkeys(steps)) == ["downloading", "verifying", "converting"]
    kept = find_weights("sam-vit-b")
    assert same(load_file(kept))
    assert sorted(p.name for p in kept.parent.iterdir() if p.is_file()) == ["sam-vit-b.json", "sam-vit-b.safetensors"]
    note = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
    assert (note["source"], note["sha256"]) == (served.url, sha256(published)[7:])
    assert check_weights("sam-vit-b").says == "verified: sha256 as published"


def test_kept_weights_stand_for_the_file_they_were_made_from(served, published):
    list(get_weights("sam-vit-b"))
    assert weights_fingerprint(kept_weights("sam-vit-b")) == weights_fingerprint(published)


def test_what_is_kept_is_not_fetched_again(served):
    list(get_weights("sam-vit-b"))
    assert list(get_weights("sam-vit-b")) == []
    assert len(served.asked) == 1


def test_a_broken_download_is_resumed_by_the_next_call(served):
    served.breaks_after = 500
    with pytest.raises(WeightsError, match=r"which are kept .*; try again, or fetch sam_vit_b_01ec64\.pth from https"):
        list(get_weights("sam-vit-b"))
    assert state_on_machine("sam-vit-b") == "0 MB so far"
    served.breaks_after = None
    list(get_weights("sam-vit-b"))
    assert served.asked == [None, "bytes=500-"]
    assert same(read_state(find_weights("sam-vit-b")))


def test_without_a_network_the_place_for_the_file_is_named(monkeypatch):
    with fakes.serving(b"") as gone:
        url = gone.url
    enter(monkeypatch, url=url)
    with pytest.raises(WeightsError) as error:
        list(get_weights("sam-vit-b"))
    assert f"put it at {placed_weights('sam-vit-b')}, and then: frugalseg models get sam-vit-b" in str(error.value)


def test_weights_for_people_only_name_the_page_and_the_place():
    with pytest.raises(WeightsError, match=r"from https://github.com/bowang-lab/MedSAM, put it at .*medsam_vit_b\.pth"):
        list(get_weights("medsam"))


def test_a_wrong_file_is_removed_and_both_digests_are_named(served, published):
    served.content = b"another file"
    with pytest.raises(
        WeightsError, match=f"its sha256 is [0-9a-f]{{64}}, expected {sha256(published)[7:]}; it was re"
    ):
        list(get_weights("sam-vit-b"))
    assert state_on_machine("sam-vit-b") == "absent"
    served.content = published.read_bytes()
    list(get_weights("sam-vit-b"))
    assert state_on_machine("sam-vit-b") == "ready"


def test_a_page_instead_of_weights_is_removed_where_no_digest_is_known(served, monkeypatch):
    served.content = b"<html>too many requests</html>"
    enter(monkeypatch, url=served.url, digest=None)
    with pytest.raises(WeightsError, match="no weights file, neither safetensors nor torch's; it was removed"):
        list(get_weights("sam-vit-b"))
    assert state_on_machine("sam-vit-b") == "absent"


def test_a_wrong_file_placed_by_hand_is_refused_and_stays(served, scratch_home):
    placed = placed_weights("sam-vit-b")
    placed.parent.mkdir(parents=True)
    placed.write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"sam_vit_b_01ec64\.pth: not the published"):
        list(get_weights("sam-vit-b"))
    assert placed.read_bytes() == b"mine"


def test_too_little_room_is_said_before_anything_is_fetched(served, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: store.shutil._ntuple_diskusage(10**9, 10**9, 5))
    with pytest.raises(DiskFull, match=r"needs 2 MB and 0 MB are free; make room, or set FRUGALSEG_HOME"):
        list(get_weights("sam-vit-b"))
    assert served.asked == []


@pytest.mark.parametrize("error", [OSError(28, "No space left"), "os error 28"])
def test_a_disk_that_is_full_in_the_end_leaves_the_download_for_the_next_call(served, monkeypatch, error):
    from safetensors import SafetensorError

    def full(state, path):
        path.write_bytes(b"half")
        raise error if isinstance(error, OSError) else SafetensorError(f"I/O error: No space left ({error})")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(DiskFull, match="the disk is full"):
            list(get_weights("sam-vit-b"))
    assert not [p for p in home().rglob("*") if p.suffix == ".safetensors"]
    list(get_weights("sam-vit-b"))
    assert len(served.asked) == 1
    assert same(read_state(find_weights("sam-vit-b")))


def test_two_processes_do_not_fetch_the_same_weights(served):
    with held(home() / "weights" / "locks" / "sam-vit-b"), pytest.raises(WeightsError, match="another process"):
        list(get_weights("sam-vit-b"))


def test_kept_weights_that_changed_are_noticed_and_fetched_anew(served):
    list(get_weights("sam-vit-b"))
    kept = kept_weights("sam-vit-b")
    kept.write_bytes(kept.read_bytes()[:-1] + b"\xff")
    assert not check_weights("sam-vit-b").ok
    list(get_weights("sam-vit-b"))
    assert check_weights("sam-vit-b").ok


def test_kept_weights_without_their_note_are_not_vouched_for(served):
    list(get_weights("sam-vit-b"))
    kept_weights("sam-vit-b").with_suffix(".json").unlink()
    assert "nothing vouches for it" in check_weights("sam-vit-b").says


def test_a_digest_that_nobody_published_is_said_not_to_be(published):
    list(get_weights("medsam", path=published))
    verdict = check_weights("medsam")
    assert verdict.sha256 == sha256(published)[7:]
    assert "no digest was published" in verdict.says
    assert check_weights("sam-vit-b") is None
    assert not check_weights("sam-vit-b", path=published).ok


def test_equal_tensors_are_kept_as_equal_files(published, tmp_path):
    shared = torch.arange(12.0)
    torch.save({"a": shared[:6], "b": shared[:6], "c": shared.reshape(3, 4).T}, tmp_path / "shared.pth")
    found = []
    for _ in range(2):
        list(get_weights("medsam", path=tmp_path / "shared.pth"))
        found.append(kept_weights("medsam").read_bytes())
    assert found[0] == found[1]
    assert torch.equal(read_state(kept_weights("medsam"))["c"], shared.reshape(3, 4).T)


def test_a_wheel_gives_its_file(published, tmp_path, monkeypatch):
    """pip takes the wheel from a folder here; what it does with a network is its own affair."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "carrier-1-py3-none-any.whl", "w") as archive:
        archive.write(published, "carrier/asset/w.pth")
        archive.writestr("carrier-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1\n")
        archive.writestr("carrier-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    enter(
        monkeypatch,
        "lite-medsam",
        wheel=Wheel("carrier==1", "carrier", "carrier/asset/w.pth"),
        digest=sha256(published),
    )
    list(get_weights("lite-medsam"))
    assert same(read_state(find_weights("lite-medsam")))
    assert not list((home() / "weights").glob("*.pip"))


@pytest.mark.slow
def test_lite_medsam_comes_from_the_package_index():
    list(get_weights("lite-medsam"))
    assert check_weights("lite-medsam").says == "verified: sha256 as published"
    assert len(read_state(find_weights("lite-medsam"))) == 435
