"""Files of a result, for comparisons to the byte."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from landslide_map.runtime.own_files import sealed


def made(out: Path) -> dict[str, bytes]:
    """Return name -> bytes of all files of a result but run.json, which holds times."""
    return {
        path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name != "run.json"
    }


def described(files: dict[str, str]) -> dict[str, str]:
    """Return files of a result with the manifest that names them."""
    own = {
        name: {"bytes": len(text), "sha256": sha256(text.encode()).hexdigest()}
        for name, text in files.items()
    }
    return {**files, "run.json": json.dumps(sealed({"outputs": own}))}
