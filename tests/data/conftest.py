"""What every test of this folder needs."""

import locale
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _same_locale() -> Iterator[None]:
    """ITK sets the locale to C when it writes DICOM, and text files would then be read as ASCII by later tests."""
    before = locale.setlocale(locale.LC_CTYPE)
    yield
    locale.setlocale(locale.LC_CTYPE, before)
