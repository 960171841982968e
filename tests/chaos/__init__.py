"""The queue under fire: a host of the lab, jobs of several users, and hundreds of faults from a seed.

`python -m tests.chaos --faults 500 --seed 7` prints what was done and every promise that was broken. What is
checked comes from three independent records: the queue's events, the engine's own events, and the marks that
the jobs themselves leave.
"""
