"""Stellwerk for Python tools: run ideas, read records, and record executions of one's own.

Nothing is imported here, so that who only records does not load the client and its contract.
"""
