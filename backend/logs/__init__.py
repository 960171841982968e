"""Logs of containers: followed, merged, searched, in bounded memory."""
