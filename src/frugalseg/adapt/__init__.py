"""What is learned around a frozen generalist."""
