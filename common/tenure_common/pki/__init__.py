"""A certificate authority of one's own: the schedule (pure), and the certificates that it asks for."""
