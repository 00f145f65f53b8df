"""Integrated gradients of a run."""
