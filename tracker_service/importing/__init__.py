"""Records from elsewhere: our own exports and older forms."""
