"""Generative adversarial networks: one room that could be deleted whole."""
