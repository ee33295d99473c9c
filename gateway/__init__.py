"""The HTTP edge, for browsers and web tools. It knows the services by their stubs alone."""
