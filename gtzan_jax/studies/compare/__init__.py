"""Two models on the same tracks."""
