"""Dapr's workflow building block, over no transport.

``workflows`` has the verbs and their checks, ``errors`` the table of what is answered when something
is wrong, ``metadata`` the sidecar's description of itself, ``port`` what all of that needs from the
engine.  ``http`` and ``rpc`` say the same in their own forms.
"""
