"""Sculptures: small three-dimensional scenes modelled from words."""
