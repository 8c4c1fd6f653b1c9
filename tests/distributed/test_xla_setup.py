"""Tests of what a program does before its first JAX call."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# As many threads as it takes hold memory at once; then glibc is asked.
COUNT_HEAPS = """
import ctypes, sys, threading
from gan_jax.distributed import xla_setup
if sys.argv[1] == 'prepared':
  xla_setup.configure_jax()
if sys.argv[1] == 'limited':
  xla_setup.configure_jax(limit_malloc=True)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
all_there = threading.Barrier(64)
def hold():
  libc.malloc(ctypes.c_size_t(1000))
  all_there.wait()
threads = [threading.Thread(target=hold) for _ in range(64)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b'w'))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def count_heaps(path: pathlib.Path, what: str, **environment: str) -> int:
  kept = {k: v for k, v in os.environ.items() if k != 'MALLOC_ARENA_MAX'}
  subprocess.run(
    [sys.executable, '-c', COUNT_HEAPS, what, str(path)],
    env=kept | environment,
    check=True,
  )
  return path.read_text().count('<heap nr=')


@pytest.mark.skipif(
  platform.libc_ver()[0] != 'glibc', reason='malloc is not glibc: no heaps'
)
def test_threads_share_as_many_heaps_as_cores_where_asked_to(tmp_path):
  path = tmp_path / 'info.xml'
  cores = max(2, len(os.sched_getaffinity(0)))
  assert count_heaps(path, 'free') > cores
  assert count_heaps(path, 'prepared') > cores
  assert count_heaps(path, 'limited') <= cores
  assert count_heaps(path, 'limited', MALLOC_ARENA_MAX='5') == 5


# Ends a program with the options that it gives to configure_jax.
SHOW_OPTIONS = """
import runpy, sys
from gan_jax import distributed
distributed.configure_jax = lambda **given: sys.exit(f'options {given}')
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.mark.parametrize(
  'arguments',
  [
    ('train.py', f'--config={ROOT}/configs/ring.py'),
    ('evaluate.py', '--samples=x'),
  ],
)
def test_programs_limit_the_heaps(tmp_path, arguments):
  program, *flags = arguments
  done = subprocess.run(
    [sys.executable, '-c', SHOW_OPTIONS, str(ROOT / program), *flags],
    cwd=tmp_path,
    env=os.environ | {'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    timeout=120,
  )
  *_, said = done.stderr.splitlines()
  assert said.startswith('options {') and "'limit_malloc': True" in said


@pytest.mark.parametrize('program', ['train.py', 'evaluate.py'])
def test_a_ctrl_c_before_there_is_anything_to_save_ends_at_once(
  tmp_path, program
):
  """Not by an exception, which a callback of JAX may swallow."""
  code = (
    'import absl.app, runpy, signal\n'
    'show = lambda *_, **__: print(signal.getsignal(signal.SIGINT))\n'
    'absl.app.run = show\n'
    f"runpy.run_path({str(ROOT / program)!r}, run_name='__main__')\n"
  )
  out = subprocess.check_output([sys.executable, '-c', code], text=True)
  assert out.strip() in ('0', 'Handlers.SIG_DFL')
