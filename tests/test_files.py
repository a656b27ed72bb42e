import json

import numpy as np
import pytest

from frugalseg.files import atomic_path, fingerprint_array, fingerprint_file, fingerprint_json, write_bytes, write_json


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "a.txt"
    write_bytes(file, b"old")

    def write_half() -> None:
        with atomic_path(file) as part:
            part.write_bytes(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_json_refuses_nan_and_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"dice": float("nan")})
    assert not list(tmp_path.iterdir())


def test_json_comes_back(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"b": 1, "a": [1.5]})
    assert json.loads((tmp_path / "deep" / "a.json").read_text(encoding="utf-8")) == {"b": 1, "a": [1.5]}


def test_the_part_keeps_the_suffix_so_that_writers_choose_the_format(tmp_path):
    with atomic_path(tmp_path / "mask.nii.gz") as part:
        assert part.name.endswith("mask.nii.gz")
        part.write_bytes(b"x")


def test_fingerprints_tell_content_shape_and_type_apart(tmp_path):
    a = np.arange(6, dtype=np.uint8)
    prints = {fingerprint_array(x) for x in (a, a.reshape(2, 3), a.astype(np.int16), a[::-1])}
    assert len(prints) == 4
    assert fingerprint_array(a) == fingerprint_array(a.copy())


def test_fingerprint_of_json_ignores_the_order_of_keys():
    assert fingerprint_json({"a": 1, "b": 2}) == fingerprint_json({"b": 2, "a": 1})
    assert fingerprint_json({"a": 1}) != fingerprint_json({"a": 2})


def test_fingerprint_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    assert fingerprint_file(tmp_path / "a") == fingerprint_file(tmp_path / "b")
