"""Small pieces of music, composed and played by rule from mood words."""
