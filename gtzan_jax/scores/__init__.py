"""Predictions and what is computed from them, in plain numpy."""
