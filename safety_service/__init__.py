"""The safety service: the only place where it is decided what is allowed."""
