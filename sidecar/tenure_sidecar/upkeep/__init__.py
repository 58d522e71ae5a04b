"""``tenure upkeep``: the certificates of an installation, and the users and the files of its etcd.

::

    steps      which certificate is made or replaced now: pure
    keys       the steps, taken on Secrets
    database   etcd's users, its free space
    process    the command
    choice     which namespaces have a right to a user: pure
    follow     users and Secrets for namespaces as they are labelled
    following  the process that does this

It looks at what there is and does what is missing, so it can be ended at any point and run again.
See docs/adr/0016 and 0018.
"""
