"""Soundscapes synthesised from words, and the tools of synthesis that music shares."""
