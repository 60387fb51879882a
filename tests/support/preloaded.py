"""Loops and models of the default bundle: loaded by its import, before processes are forked that map."""

from __future__ import annotations

from landslide_map.mapping.compile_ahead import LOOPS, dispatcher
from landslide_map.models.bundle.load import load_bundle
from tests.support.labelled import made_up_statistics

for _loop in LOOPS:
    _function, _types = dispatcher(_loop)
    _function.compile(_types)
load_bundle().vote(made_up_statistics(3)[0])
