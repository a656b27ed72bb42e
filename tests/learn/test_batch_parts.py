import pytest
import torch

from frugalseg.errors import SettingsError
from tiny_world import world

KNOWN = ("cross", "all", "cross", "all", "nothing", "nothing")


def test_parts_share_the_labelled_samples_and_the_rest_equally() -> None:
    whole = world(known=KNOWN, n_labelled=4)(0)
    parts = [whole.part(rank, 2) for rank in range(2)]
    assert [p.n_labelled for p in parts] == [2, 2]
    assert [p.cases for p in parts] == [
        tuple(whole.cases[i] for i in (0, 1, 4)),
        tuple(whole.cases[i] for i in (2, 3, 5)),
    ]
    assert torch.equal(torch.cat([parts[0].image[:2], parts[1].image[:2]]), whole.image[:4])


def test_noise_of_a_sample_is_the_same_in_its_part() -> None:
    whole = world(known=KNOWN, n_labelled=4)(0)
    assert torch.equal(whole.part(1, 2).normal("teacher"), whole.normal("teacher")[[2, 3, 5]])


@pytest.mark.parametrize(("n_labelled", "world_size"), [(3, 2), (4, 4)])
def test_a_batch_that_cannot_be_shared_equally_is_refused(n_labelled: int, world_size: int) -> None:
    with pytest.raises(SettingsError, match=f"{n_labelled} labelled and .* multiples of {world_size}"):
        world(known=KNOWN, n_labelled=n_labelled)(0).part(0, world_size)


def test_channels_last_changes_the_memory_and_not_the_values() -> None:
    batch = world()(0)
    moved = batch.channels_last()
    assert moved.image.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved.image, batch.image)
