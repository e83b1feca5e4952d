"""Checkpoints of a class: from the same file to the same weights in another order.

`describe` makes a small trace of each checkpoint: hashes, a sketch of its directions, the profile
of its filters. `candidates` finds pairs worth opening by traces alone; `compare` opens those two
and measures; `judge` puts the numbers into words. `public` knows traces of public weights.
"""
