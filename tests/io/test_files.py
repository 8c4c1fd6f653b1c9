"""Files that are whole or not there, and directories of one process alone."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest

from gan_jax.io import files, jsonl, lock


class Full:
  """A file on a disk that has room for some bytes more."""

  def __init__(self, file, room):
    self._file, self._room = file, room

  def write(self, data):
    if not self._room:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    written = self._file.write(data[: self._room])
    self._room -= written
    return written

  def __getattr__(self, name):
    return getattr(self._file, name)


def test_a_line_is_whole_or_not_there(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  with jsonl.JsonlWriter(path) as lines:
    lines.write({'step': 1, 'loss': 0.5})
    before = path.read_bytes()
    for room in (0, 1, 10):
      lines._file = Full(lines._file, room)
      with pytest.raises(OSError, match='No space left.*metrics.jsonl'):
        lines.write({'step': 2, 'loss': 0.5})
      assert path.read_bytes() == before
      lines._file = lines._file._file
    lines.write({'step': 2})
  assert [line['step'] for line in jsonl.read_jsonl(path)] == [1, 2]


def test_a_line_is_there_when_it_is_written(tmp_path):
  with jsonl.JsonlWriter(tmp_path / 'x.jsonl') as lines:
    lines.write({'step': 1})
    assert jsonl.read_jsonl(tmp_path / 'x.jsonl') == [{'step': 1}]


def test_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
  path = tmp_path / 'summary.json'
  files.atomic_write(path, 'old')

  def full(path, data):
    path.touch()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(type(path), 'write_bytes', full)
  with pytest.raises(OSError, match='No space left.*summary.json'):
    files.atomic_write(path, 'new')
  assert path.read_text() == 'old'
  assert [p.name for p in tmp_path.iterdir()] == ['summary.json']


def test_a_directory_of_one_process(tmp_path):
  held = lock.DirectoryLock(tmp_path / 'run')
  code = (
    'import pathlib, sys; from gan_jax.io import lock; '
    'lock.DirectoryLock(pathlib.Path(sys.argv[1]))'
  )
  other = lambda: subprocess.run(
    [sys.executable, '-c', code, str(tmp_path / 'run')],
    capture_output=True,
    text=True,
  )
  refused = other()
  assert refused.returncode == 1
  assert f'process {os.getpid()} on ' in refused.stderr
  assert str(tmp_path / 'run') in refused.stderr
  held.close()
  assert other().returncode == 0
  with lock.DirectoryLock(tmp_path / 'run'):
    text = (tmp_path / 'run' / '.lock').read_text()
    assert text.startswith(f'process {os.getpid()} on ')


def test_a_lock_that_an_error_ends_leaves_nothing_behind(tmp_path):
  new, old = tmp_path / 'new' / 'run', tmp_path / 'old'
  old.mkdir()
  for path in (new, old):
    with pytest.raises(ValueError), lock.DirectoryLock(path):
      raise ValueError
    assert path.exists() == (path == old)
  assert not any(old.iterdir())
  with pytest.raises(ValueError), lock.DirectoryLock(new):
    (new / 'file').touch()
    raise ValueError
  assert sorted(p.name for p in new.iterdir()) == ['.lock', 'file']


def test_a_lock_whose_file_is_removed_meanwhile(tmp_path, monkeypatch):
  flock = lock.fcntl.flock

  def slow(file, operation):
    monkeypatch.setattr(lock.fcntl, 'flock', flock)
    (tmp_path / '.lock').unlink()  # by a process that ends
    flock(file, operation)

  monkeypatch.setattr(lock.fcntl, 'flock', slow)
  with lock.DirectoryLock(tmp_path):
    assert lock.holder(tmp_path).startswith('process')


def test_paths_are_expanded_and_stay_relative(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert files.resolve_path('~/x') == tmp_path / 'x'
  assert files.resolve_path('runs/x') == pathlib.Path('runs/x')
  assert files.resolve_path(pathlib.Path('a b/ü')) == pathlib.Path('a b/ü')
  assert files.resolve_path('x' * 255).name == 'x' * 255


@pytest.mark.parametrize(
  ('path', 'names'),
  [
    ('a\0b', ['out=a\\x00b', 'null character']),
    (os.fsdecode(b'a\xff'), ['\\udcff', 'UTF-8']),
    ('a/' + 'x' * 256, ['255', '256']),
    ('a/' * 2100, ['4095']),
    ('~nobody_has_this_name/x', ['~nobody_has_this_name', 'home directory']),
  ],
)
def test_paths_that_no_file_can_have(path, names):
  with pytest.raises(ValueError) as error:
    files.resolve_path(path, 'out')
  for name in ['out=', *names]:
    assert name in str(error.value)


def test_names_are_printed_on_one_line():
  assert files.printable('a\nb\x1b[31m c\udcff ü') == r'a\nb\x1b[31m c\udcff ü'


def test_a_directory_that_is_a_file(tmp_path):
  (tmp_path / 'file').touch()
  (tmp_path / 'link').symlink_to('nowhere')
  for path in ('file', 'file/below/it', 'link'):
    for act in (
      files.check_directory,
      files.make_directory,
      lock.DirectoryLock,
    ):
      with pytest.raises(NotADirectoryError, match=' is a file'):
        act(tmp_path / path)


def test_a_directory_that_is_not_writable(tmp_path, monkeypatch):
  monkeypatch.setattr(os, 'access', lambda path, mode: path != tmp_path)
  with pytest.raises(PermissionError, match=f'{tmp_path} is not writable'):
    files.check_directory(tmp_path / 'new' / 'run')
  assert not (tmp_path / 'new').exists()
