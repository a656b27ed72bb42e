"""A small adapter that teaches a frozen generalist to follow clicks."""
