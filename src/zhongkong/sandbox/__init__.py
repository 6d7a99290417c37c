"""A WeChat of our own: the platform's rules on a developer's machine, for tests, demos and the simulation.

It is the platform's witness, so it imports nothing of ours: one misreading cannot hide on both sides.
"""
