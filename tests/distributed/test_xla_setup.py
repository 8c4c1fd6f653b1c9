"""Tests of what a program does before its first JAX call."""

import os
import pathlib
import platform
import subprocess
import sys
from unittest import mock

import pytest

from gan_jax.distributed import xla_setup

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
# A program has a block of 128 MiB inside, and is called a dozen times; the first
# of them may still find a place for it.
COUNT_FAULTS = """
import resource, sys
import jax, jax.numpy as jnp
from gan_jax.distributed import xla_setup
xla_setup.configure_jax(limit_malloc=sys.argv[1] == 'kept')
program = jax.jit(lambda x, y: (x @ y).sum(1))
x, y = jnp.ones((4096, 8)), jnp.ones((8, 8192))
def count():
  jax.block_until_ready(program(x, y))
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counts = [count() for _ in range(12)]
print(counts[-1] - counts[-5])
"""
only_glibc = pytest.mark.skipif(
  platform.libc_ver()[0] != 'glibc', reason='malloc is not that of glibc'
)


def run_program(code: str, *arguments: str, **environment: str) -> str:
  kept = {k: v for k, v in os.environ.items() if not k.startswith('MALLOC_')}
  return subprocess.check_output(
    [sys.executable, '-c', code, *arguments],
    env=kept | {'JAX_PLATFORMS': 'cpu'} | environment,
    text=True,
  )


def count_heaps(path: pathlib.Path, what: str, **environment: str) -> int:
  run_program(COUNT_HEAPS, what, str(path), **environment)
  return path.read_text().count('<heap nr=')


@only_glibc
def test_threads_share_heaps_where_asked_to(tmp_path):
  path = tmp_path / 'info.xml'
  cores = max(4, len(os.sched_getaffinity(0)))
  assert count_heaps(path, 'free') > cores
  assert count_heaps(path, 'prepared') > cores
  assert count_heaps(path, 'limited') == cores
  assert count_heaps(path, 'limited', MALLOC_ARENA_MAX='5') == 5


@only_glibc
def test_large_blocks_are_reused_where_asked_to():
  pages = (128 << 20) // os.sysconf('SC_PAGE_SIZE')
  kept = int(run_program(COUNT_FAULTS, 'kept'))
  assert kept < 0.1 * pages
  assert int(run_program(COUNT_FAULTS, 'free')) > kept


@pytest.mark.parametrize('libc', ['glibc', 'musl', ''])
def test_only_the_malloc_of_glibc_is_set(monkeypatch, libc):
  library = mock.Mock()
  monkeypatch.setattr(platform, 'libc_ver', lambda: (libc, ''))
  monkeypatch.setattr(xla_setup.ctypes, 'CDLL', lambda _: library)
  for name in list(os.environ):
    if name.startswith(('MALLOC_', 'GLIBC_')):
      monkeypatch.delenv(name)
  monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '1000')  # stays
  monkeypatch.setattr(xla_setup, '_cores', lambda: 16)
  monkeypatch.setattr(xla_setup.jax.config, 'update', mock.Mock())
  xla_setup.keep_freed_memory()
  calls = [mock.call(-8, 16), mock.call(-3, 1 << 30)]
  assert library.mallopt.mock_calls == (calls if libc == 'glibc' else [])


@pytest.mark.parametrize(
  ('platforms', 'plugin', 'expected'),
  [
    ('cpu', 'jax_plugins', False),
    ('cuda,cpu', '', True),
    ('', 'jax_plugins', True),
    ('', 'libtpu', True),
    ('', '', False),
  ],
)
def test_accelerators_are_looked_for_where_jax_does(
  monkeypatch, platforms, plugin, expected
):
  monkeypatch.setattr(
    xla_setup.importlib.util, 'find_spec', lambda name: name == plugin
  )
  monkeypatch.setattr(
    xla_setup.importlib.metadata, 'entry_points', lambda **_: ()
  )
  with mock.patch.object(xla_setup, 'jax') as jax:
    jax.config.jax_platforms = platforms
    assert xla_setup._may_have_accelerator() is expected


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
