"""Hosts made ready to work on, and containers given tools: planned, shown, done, undone.

What is changed is decided here, from what is wanted and what is there; `backend/toolkit/prepare.py` does it
on the host. See docs/prepare.md.
"""
