"""A generalist without weights that counts what it is asked, and a server that behaves as it is told."""

import threading
from collections.abc import Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.pixels import to_rgb
from frugalseg.generalists.prompts import Prompts

SIDE = 16


class CountingGeneralist:
    """Embeds a view as its pixels and a coarser map of them; `seen` are the views of each call of its encoder."""

    def __init__(self, fingerprint: str = "f0", settings: str = "", scale: float = 1.0):
        self.info = GeneralistInfo("counting", "none", fingerprint, frozenset({"points", "boxes", "masks"}), settings)
        self.scale = scale
        self.seen: list[int] = []

    @torch.inference_mode()
    def embed(self, views: Sequence[View]) -> list[Embedding]:
        self.seen.append(len(views))
        return [self._embedding(view) for view in views]

    def _embedding(self, view: View) -> Embedding:
        frame = fit_frame(view.size, SIDE, window=view.window, spacing=view.spacing)
        pixels = frame.cut(to_rgb(view.array)) * self.scale
        maps = (pixels[:, ::2, ::2], pixels)  # a view with steps, as encoders give them
        return Embedding(maps, frame, self.info.fingerprint)

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        n = len(prompts)
        logits = embedding.features[1].mean(0).expand(n, 1, -1, -1)
        tokens = embedding.features[0].expand(n, -1, -1, -1) if features else None
        return Masks(logits, torch.ones(n, 1), (embedding.frame,) * n, tokens)


class FileServer(ThreadingHTTPServer):
    """Serves `content` at any path; may break off, refuse to continue, or answer with a status."""

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.tag: str | None = '"v1"'
        self.continues = True
        self.breaks_after: int | None = None
        self.status: int | None = None
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pt"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self._continues() else 0
        content = self.server.content
        if self.server.status:
            return self.send_error(self.server.status)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.breaks_after])

    def _continues(self) -> bool:
        return self.server.continues and self.headers.get("If-Range") in (None, self.server.tag)

    def log_message(self, format: str, *args) -> None:
        """Says nothing."""


@contextmanager
def serving(content: bytes):
    """A running server of that content."""
    with FileServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
