"""Servers that behave like the outside world, with switches to make them misbehave."""
