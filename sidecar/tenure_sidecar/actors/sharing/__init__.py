"""How several sidecars share the partitions of one app: pure decisions, no I/O, no clock.

``placement`` says who should have a partition; ``decide`` says what a sidecar that sees this does
next.  Nothing here makes anything safe: a claim is a comparison in the store, and the fence that it
yields is compared with every commit.  What these modules must show is that every partition finds an
owner again, whatever is lost on the way (``tests/sim/test_sharing_model.py`` walks through
every interleaving).
"""
