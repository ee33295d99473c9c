"""Summaries of data, by a model or by extraction, checked against the data."""
