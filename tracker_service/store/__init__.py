"""Stores: what a tracker keeps, behind one interface."""
