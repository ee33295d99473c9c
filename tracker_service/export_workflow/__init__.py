"""The way from data to a document in three recorded stages."""
