import pytest

from frugalseg.errors import SettingsError
from frugalseg.seeds import derive, stream


def test_streams_depend_on_seed_and_purpose_only():
    draws = [stream(*key).random() for key in [(0, "a"), (0, "b"), (1, "a"), (0, "a", 1), (0, "a", "1")]]
    assert len(set(draws)) == 4
    assert stream(0, "a").random() == draws[0]


def test_derived_seeds_fit_into_63_bits():
    assert all(0 <= derive(s, "x") < 2**63 for s in range(50))


def test_a_negative_seed_is_refused():
    with pytest.raises(SettingsError, match="seed -1"):
        stream(-1, "a")
