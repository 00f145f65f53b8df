"""Files that name a split, and what crosses it."""
