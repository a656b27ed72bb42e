"""Made-up pictures of everything a click may mean: shapes x looks x layouts x cameras, mixed at random."""

from frugalseg.adapt.clicks.pictures.picture import Picture, make_picture

__all__ = ["Picture", "make_picture"]
