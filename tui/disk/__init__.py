"""The disk page: where the room of a host went, a tree to walk, and getting room back."""
