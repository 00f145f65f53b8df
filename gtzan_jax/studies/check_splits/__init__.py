"""Tracks, recordings and artists shared between splits."""
