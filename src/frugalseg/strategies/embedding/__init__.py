"""What the pictures of a pool look like, as vectors: learnt from the pool by contrast, or by a frozen generalist."""
