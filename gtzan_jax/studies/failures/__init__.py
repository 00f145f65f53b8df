"""Errors that several runs share."""
