"""``python -m napari_segrefiner``: the command line where its script is not found."""

from __future__ import annotations

import sys

from napari_segrefiner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
