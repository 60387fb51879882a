"""Entry point: signals are in hand before anything else is imported."""

from __future__ import annotations

from typing import NoReturn

from .signals import handle_stops, leave


def main() -> NoReturn:
    """Run the command line."""
    handle_stops(leave)  # nothing is begun yet
    from .main import main as run

    try:
        run()
    finally:
        handle_stops(leave)  # everything is finished
