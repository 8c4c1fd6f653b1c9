"""The environment that converts to ONNX, apart from that of gan_jax.

  python -m gan_jax.runner.onnx_environment

makes a virtual environment with jax2onnx and onnxruntime (about 1 GB) in the
cache directory. jax2onnx needs other versions of some packages than gan_jax.
GAN_JAX_ONNX_PYTHON names the Python of another environment that has them.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time
import venv

import numpy as np

from gan_jax.export import graph_replay
from gan_jax.export.graph import Graph
from gan_jax.io import cache_dir, files, terminal

PACKAGES = ('jax2onnx==0.17.1', 'onnxruntime>=1.20')
VARIABLE = 'GAN_JAX_ONNX_PYTHON'
COMMAND = 'python -m gan_jax.runner.onnx_environment'


def directory() -> pathlib.Path:
  """Returns the directory of the environment."""
  return cache_dir.cache_directory() / 'onnx_environment'


def find_python() -> pathlib.Path:
  """Returns the Python of the environment.

  Raises:
    FileNotFoundError: if there is none; the message has the command that makes
      it.
  """
  named = os.environ.get(VARIABLE)
  found = pathlib.Path(named) if named else directory() / 'bin' / 'python'
  if found.is_file():
    return found
  if named:
    raise FileNotFoundError(
      f'{VARIABLE}={files.printable(named)}: no such file'
    )
  raise FileNotFoundError(
    'ONNX is written by jax2onnx, in an environment of its own, which is not '
    f'there yet. {COMMAND} makes it (about 1 GB)'
  )


def make() -> pathlib.Path:
  """Makes the environment; returns its Python.

  Raises:
    OSError: if it cannot be made, or a package cannot be installed.
  """
  path = directory()
  venv.create(path, clear=True, with_pip=True)
  python = path / 'bin' / 'python'
  command = [str(python), '-m', 'pip', 'install', '-q', *PACKAGES]
  if subprocess.run(command).returncode:
    raise OSError(f'{" ".join(command)} failed')
  return python


def convert(
  graph: Graph, inputs: list[np.ndarray], output: np.ndarray
) -> tuple[bytes, dict]:
  """Converts a graph to ONNX, and runs the result in onnxruntime.

  Args:
    graph: graph of a generator, of any batch size.
    inputs: a batch of its inputs, to compare with.
    output: what JAX makes of it.

  Returns:
    The ONNX file, and facts about it: versions, 'nodes', 'opset', and the
    'difference' from JAX in standard deviations of the output.

  Raises:
    FileNotFoundError: if there is no environment.
    ValueError: if jax2onnx fails; the message has its last line.
  """
  python = find_python()
  with tempfile.TemporaryDirectory() as name:
    path = pathlib.Path(name)
    fields = graph._asdict() | {'constants': len(graph.constants)}
    (path / 'graph.json').write_text(json.dumps(fields))
    arrays = {f'constant_{i}': x for i, x in enumerate(graph.constants)}
    arrays |= {f'input_{i}': x for i, x in enumerate(inputs)}
    np.savez(path / 'arrays.npz', output=output, **arrays)
    # Of that environment alone: this one's packages are of other versions.
    own = ('PYTHONPATH', 'PYTHONHOME', 'XLA_FLAGS')
    variables = {k: v for k, v in os.environ.items() if k not in own}
    variables['JAX_PLATFORMS'] = 'cpu'
    done = subprocess.run(
      [str(python), graph_replay.__file__, name],
      capture_output=True,
      text=True,
      env=variables,
    )
    if done.returncode:
      lines = [x for x in done.stderr.splitlines() if 'Error' in x]
      last = (lines or done.stderr.splitlines() or ['no message'])[-1]
      raise ValueError(
        f'jax2onnx ({python}) failed: {files.printable(last)[:300]}'
      )
    facts = json.loads(done.stdout.splitlines()[-1])
    return (path / 'model.onnx').read_bytes(), facts


def main() -> None:
  """Makes the environment and prints where it is."""
  start = time.perf_counter()
  python = make()
  size = sum(
    p.lstat().st_size for p in directory().rglob('*') if not p.is_symlink()
  )
  print(
    f'{python}: {size / 2**20:,.0f} MiB in {time.perf_counter() - start:.0f} s'
  )


if __name__ == '__main__':
  terminal.start_program('onnx_environment')
  main()
