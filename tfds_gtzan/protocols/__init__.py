"""Split protocols."""
