"""Many runs, each a process."""
