"""Commands in this process, so that a test need not import everything anew."""

import sys
from unittest import mock

from frugalseg.cli import main


def frugalseg(capsys, *words):
    """Exit code, and what was said on both streams with line breaks of the terminal taken out."""
    with mock.patch.object(sys, "argv", ["frugalseg", *map(str, words)]):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out + err


def done(capsys, *words):
    """What a command says that must succeed."""
    code, said = frugalseg(capsys, *words)
    assert code == 0, said
    return said
