"""Makes the classifier of the safety service; never part of an image, as it needs the data sets."""
