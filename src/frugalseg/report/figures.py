"""Figures as bytes, the same for the same input; SVG takes the page's font, and its ink in light and dark."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#123456"
"""The text colour while drawing; it becomes the page's own when the SVG is written."""

_STYLE: dict[Any, object] = {
    "svg.fonttype": "none",
    "font.size": 11.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.linewidth": 0.8,
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib's own defaults inside the block, whatever the user has configured for his own figures."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@contextmanager
def page_style(name: str) -> Iterator[None]:
    """The page's style inside the block; `name` keeps the ids of several figures on a page apart."""
    import matplotlib

    with plain_style(), matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        yield


def to_svg(figure: "Figure", name: str) -> bytes:
    """The figure as an `svg` element for a page, which gives it its size; called inside of `page_style`."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    for size in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit", text)
    return text.replace(INK, "currentColor").encode()


def to_png(figure: "Figure") -> bytes:
    """The figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
