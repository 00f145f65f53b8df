"""How much of an accuracy is leakage."""
