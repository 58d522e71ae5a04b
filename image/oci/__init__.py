"""Images without an engine: a root file system from what is on this machine, as an OCI archive."""
