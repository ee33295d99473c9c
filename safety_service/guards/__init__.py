"""Layer 4: models that judge texts and pictures, each asked in its own template."""
