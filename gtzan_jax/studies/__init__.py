"""Studies that take several runs, or a run and more data."""
