"""frugalseg."""
