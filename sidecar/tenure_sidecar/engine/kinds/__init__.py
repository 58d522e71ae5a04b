"""One module per kind of action: how it changes the draft of a turn."""
