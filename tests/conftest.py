"""Puts this folder on the path, so that tests of several rooms share `tiny_world`."""
