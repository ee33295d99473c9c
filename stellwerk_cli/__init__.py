"""The `stellwerk` command: serve, run, watch, look up and check, on one machine or against another.

It is a package of its own so that a laptop that only talks to a deployment needs no service. The
supervisor (`stellwerk up`) starts the services as processes and imports none of them.
"""
