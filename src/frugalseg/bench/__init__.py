"""Side-by-side comparisons; each writes results.json and a report. A bench is one file in here and a line below.

`bench` says what one is, `run` works on it in a folder, `outcome` writes what came of it.
"""

from collections.abc import Mapping
from typing import Any

from frugalseg.bench.bench import Bench
from frugalseg.bench.coreclr import CORECLR
from frugalseg.bench.generalist import GENERALIST
from frugalseg.bench.gmabs import GMABS

BENCHES: Mapping[str, Bench[Any]] = {
    "generalist": GENERALIST,
    "coreclr": CORECLR,
    "gmabs": GMABS,
}
