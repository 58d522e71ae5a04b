"""``tenure upkeep``: the certificates of an installation, and the users and the files of its etcd.

::

    steps      which certificate is made or replaced now: pure
    keys       the steps, taken on Secrets
    database   etcd's users, its free space
    process    the command

It looks at what there is and does what is missing, so it can be ended at any point and run again.
See docs/adr/0016.
"""
