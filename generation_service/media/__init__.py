"""The media store: bytes by their hash, and who may read them as what."""
