"""Compositions: each arranges the same reading in its own way."""
