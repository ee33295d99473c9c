"""Records from elsewhere: our own exports, older forms, the predecessor's folders."""
