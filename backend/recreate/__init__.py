"""A container again with something changed: the request for the new one, and the swap of the two."""
