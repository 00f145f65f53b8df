"""What is published about GTZAN."""
