"""Colours and marks that everybody can tell apart (Okabe and Ito, jfly.uni-koeln.de/color, 2008)."""

ARMS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7a00", "#7f7f7f")
"""One colour an arm; each stands on white and on near black."""

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One mark an arm, so that no arm is told by its colour alone."""

CLASSES = ("#ff6a3d", "#56b4e9", "#f0e442", "#00c896", "#e08fc0", "#ffb000")
"""One colour a class, bright on a grey image."""


PAPER, INK = "#0d1117", "#e6edf3"
"""Ground and text of pictures: images are judged on black, whatever the page's colours."""


def arm_style(index: int) -> tuple[str, str]:
    """Colour and mark of the arm at this place; beyond eight arms colours meet other marks."""
    return ARMS[index % len(ARMS)], MARKS[(index + index // len(ARMS)) % len(MARKS)]


def class_colour(index: int) -> str:
    """The colour of class or object `index`, which counts from 1."""
    return CLASSES[(index - 1) % len(CLASSES)]
