"""Accuracy on distorted test audio."""
