"""The command line. Each command is short and calls one public function; heavy imports happen inside a command.

Exit codes: 0 done, 1 failed, 2 bad input (one sentence says what was wrong, where, and what to do).
"""

import sys

from frugalseg.cli.app import app
from frugalseg.errors import FrugalsegError, TrainingDiverged

STOPPED = 130
"""What typer makes of Ctrl-C."""


def main() -> None:
    """The `frugalseg` command."""
    try:
        app(standalone_mode=True)
    except FrugalsegError as error:
        print(f"frugalseg: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except (TrainingDiverged, OSError) as error:
        print(f"frugalseg: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except SystemExit as end:
        if end.code == STOPPED:
            print("frugalseg: stopped; the same command goes on where it was", file=sys.stderr)  # noqa: T201
        raise
