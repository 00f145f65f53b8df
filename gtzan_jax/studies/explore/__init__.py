"""A page about a corpus."""
