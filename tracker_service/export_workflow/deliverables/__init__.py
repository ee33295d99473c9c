"""Deliverables: documents made from data, a summary and what a person changed, in any format."""
