"""Exports a generator: see gan_jax/commands/export.py, or --help."""

import pathlib
import sys

# Configs import from here, in any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from gan_jax.commands import export  # noqa: E402

if __name__ == '__main__':
  export.run()
