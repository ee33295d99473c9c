"""Language models: what is asked of them, and the backends that ask."""
