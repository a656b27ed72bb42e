"""`frugalseg models`, as a person types it; downloads come from a server in this process."""

import hashlib
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import torch
from running import frugalseg

from frugalseg.generalists import store, weights
from frugalseg.generalists.weights import WEIGHTS, kept_weights, placed_weights


@pytest.fixture(autouse=True)
def scratch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FRUGALSEG_HOME", str(tmp_path / "home"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save({"a": torch.ones(300_000)}, path)
    return path


@pytest.fixture
def served(file, monkeypatch):
    """sam-vit-b, which a server in this process gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            self.wfile.write(file.read_bytes())

        def log_message(self, format, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
        entry = replace(WEIGHTS["sam-vit-b"], url=f"http://127.0.0.1:{server.server_port}/w", digest=digest)
        for module in (weights, store):
            monkeypatch.setattr(module, "WEIGHTS", {**WEIGHTS, "sam-vit-b": entry})
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_the_list_names_every_entry_with_size_licence_prompts_and_state(capsys):
    code, said = frugalseg(capsys, "models", "list")
    lines = {line.split()[1]: line for line in said.splitlines() if line.startswith("│")}
    assert code == 0
    assert set(lines) == set(WEIGHTS)
    for word in ("39 MB", "Apache-2.0", "boxes", "absent"):
        assert word in lines["lite-medsam"]
    assert "lite-medsam-clicks needs those of lite-medsam" in said


def test_getting_says_what_is_here_now_and_is_done_once(capsys, served):
    for _ in range(2):
        code, said = frugalseg(capsys, "models", "get", "sam-vit-b")
        assert code == 0
        assert f"sam-vit-b: verified: sha256 as published: {kept_weights('sam-vit-b')}" in said
    assert "ready" in frugalseg(capsys, "models", "list")[1]


def test_a_local_file_is_verified_and_kept(capsys, file):
    code, said = frugalseg(capsys, "models", "get", "medsam", "--weights", file)
    assert code == 0
    assert "no digest was published" in said
    code, said = frugalseg(capsys, "models", "get", "sam-vit-b", "--weights", file)
    assert code == 2
    assert "not the published sam_vit_b_01ec64.pth: its md5 is" in said


def test_what_cannot_be_fetched_names_the_place_in_one_line(capsys):
    code, said = frugalseg(capsys, "models", "get", "medsam")
    assert code == 2
    assert f"put it at {placed_weights('medsam')}" in said
    assert said.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get", "sam-vit"], "unknown weights 'sam-vit' (did you mean"),
        (["check", "sam-vit-b"], "run `frugalseg models get sam-vit-b`"),
        (["get", "medsam", "sam-vit-b", "--weights", "x.pth"], "--weights is one file, but 2 names were given"),
        (["check", "--weights", "x.pth"], "--weights needs the one name"),
        (["check", "medsam", "--weights", "x.pth"], "x.pth: no weights file that can be read"),
    ],
)
def test_bad_input_is_one_sentence(capsys, words, message):
    code, said = frugalseg(capsys, "models", *words)
    assert code == 2
    assert message in said


def test_checking_prints_the_digest_and_fails_for_a_changed_file(capsys, served, file):
    frugalseg(capsys, "models", "get", "sam-vit-b")
    code, said = frugalseg(capsys, "models", "check")
    assert code == 0
    assert hashlib.sha256(file.read_bytes()).hexdigest() in said
    kept_weights("sam-vit-b").write_bytes(b"changed")
    code, said = frugalseg(capsys, "models", "check", "sam-vit-b")
    assert code == 1
    assert "changed since it was kept" in said


def test_checking_nothing_says_how_to_get_something(capsys):
    code, said = frugalseg(capsys, "models", "check")
    assert code == 0
    assert "models get lite-medsam" in said


def test_the_click_generalist_gets_the_weights_it_stands_on(capsys, file, monkeypatch):
    digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    monkeypatch.setattr(store, "WEIGHTS", {"lite-medsam": replace(WEIGHTS["lite-medsam"], digest=digest)})
    code, said = frugalseg(capsys, "models", "get", "lite-medsam-clicks", "--weights", file)
    assert code == 0
    assert str(kept_weights("lite-medsam")) in said
