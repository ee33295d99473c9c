"""One queue in front of all workers, fair to every session."""
