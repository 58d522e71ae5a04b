"""Entry point of the ``tenure`` command."""


def main() -> None:
    """Run the command line."""
