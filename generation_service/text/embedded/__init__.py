"""The embedded language model: works offline on any laptop, in a process of its own."""
