"""What moves: cells as equinox modules, and named families of them."""
