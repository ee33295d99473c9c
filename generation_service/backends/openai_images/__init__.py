"""Pictures from servers that speak the image or chat API which OpenAI began."""
