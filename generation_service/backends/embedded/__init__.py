"""Renderers that need no GPU, no weights and no network: they run on any laptop."""
