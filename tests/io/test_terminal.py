"""Tests of what a program prints: it never fails, and is one line."""

import io
import os
import subprocess
import sys

import pytest

from gan_jax.io import terminal


def encoded(encoding):
  return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
  ('encoding', 'printed'),
  [
    ('ascii', b'0.7 +- 0.1 - \\xe9 \\u4e2d'),
    ('latin-1', b'0.7 +- 0.1 - \xe9 \\u4e2d'),
    ('utf-8', '0.7 ± 0.1 ─ é 中'.encode()),
  ],
)
def test_any_encoding(encoding, printed):
  stream = encoded(encoding)
  out = terminal.SafeOutput(stream)
  assert out.write('0.7 ± 0.1 ─ é 中') == len('0.7 ± 0.1 ─ é 中')
  out.flush()
  assert stream.buffer.getvalue() == printed and not out.failed


def test_a_full_disk_is_reported_once(capsys):
  with open('/dev/full', 'w') as full:
    out = terminal.SafeOutput(full)
    for _ in range(3):
      out.write('line\n')
      out.flush()
  assert out.failed
  assert capsys.readouterr().err.count('No space left') == 1


def test_a_closed_pipe_is_no_failure(capsys):
  read, write = os.pipe()
  os.close(read)
  with open(write, 'w') as stream:
    out = terminal.SafeOutput(stream)
    out.write('line\n')
    out.flush()
  assert not out.failed and capsys.readouterr().err == ''


def test_no_output_at_all(monkeypatch):
  monkeypatch.setattr(sys, 'stdout', None)
  out = terminal.SafeOutput()
  out.write('line')
  out.flush()
  assert not out.failed


PROGRAM = """
import warnings
from gan_jax.io import terminal
terminal.start_program('x.py')
warnings.warn('be\\ncareful')
print('±')
open('end', 'w').write(str(terminal.output_status()))
"""


@pytest.mark.parametrize(
  ('redirected', 'failed', 'errors'),
  [
    ('', '0', 'x.py: warning: be\\ncareful\n'),
    ('>/dev/full', '1', 'No space left'),
    ('>&-', '0', 'x.py: warning: be\\ncareful\n'),
    ('>&- 2>&-', '0', ''),
    ('| true', '0', 'x.py: warning: be\\ncareful\n'),
  ],
)
def test_a_program_ends_well_wherever_it_prints(
  tmp_path, redirected, failed, errors
):
  code = tmp_path / 'x.py'
  code.write_text(PROGRAM)
  done = subprocess.run(
    ['bash', '-c', f'set -o pipefail; "$0" x.py {redirected}', sys.executable],
    cwd=tmp_path,
    env=os.environ | {'PYTHONPATH': os.getcwd(), 'PYTHONIOENCODING': 'ascii'},
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'end').read_text() == failed
  assert errors in done.stderr and 'x.py:5' not in done.stderr


@pytest.mark.parametrize(
  ('error', 'message'),
  [
    (ValueError('width=0\n  is bad'), 'width=0\n  is bad'),
    (ValueError('a\x1b[31mb'), 'a\\x1b[31mb'),
    (OSError(28, 'No space left', 'a\nb'), 'a\\nb: No space left'),
    (FileNotFoundError('there is none'), 'there is none'),
    (KeyError('b'), "there is no 'b'"),
    (AssertionError(), 'AssertionError'),
  ],
)
def test_messages_have_no_class_and_no_number(error, message):
  assert terminal.error_message(error) == message


def test_wrong_arguments_are_one_line_with_the_nearest(capsys):
  parser = terminal.ArgumentParser(prog='x.py')
  parser.add_argument('--data_dir')
  with pytest.raises(SystemExit) as end:
    parser.parse_args(['--data_dri=x'])
  err = capsys.readouterr().err
  assert end.value.code == 1 and err.count('\n') == 1
  assert err.startswith('x.py: ') and '--data_dri=x' in err
  assert 'did you mean --data_dir?' in err
