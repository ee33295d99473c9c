"""Films: the artwork of the picture renderer in layers that move."""
