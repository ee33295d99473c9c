"""Records as files: one writer per format, and the stream that hands them out."""
