"""From a path to tracks."""
