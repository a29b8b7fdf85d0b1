"""The JSON Schemas of the rules as files, for editors: ``.git/lifeos/schema/``.

The files that `lifeos init` writes name them in their first line, as the YAML language server
reads it. They stand in the git folder because they belong to the lifeos that is installed here, and
not to the rules: a newer one would else change the set, and ask for its adoption.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lifeos.store.repo import Repo


def write_schemas(repo: Repo) -> Path:
    """Write the schema of each file of the rules. The folder that has them."""
    from lifeos.governance import SCHEMAS, schema

    folder = repo.ensure_private() / "schema"
    folder.mkdir(exist_ok=True)
    for name in SCHEMAS:
        fresh = folder / f"{name}.json.new"  # complete by rename: an editor may be reading it
        fresh.write_text(json.dumps(schema(name), indent=1) + "\n", encoding="utf-8")
        fresh.replace(folder / f"{name}.json")
    return folder
