"""Images: checked for private keys, flattened, saved, loaded and moved between hosts."""
