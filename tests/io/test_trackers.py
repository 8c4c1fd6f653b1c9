"""Trackers: what they get, whose they are, and that none ends a run."""

import json
import pathlib
import re
import sys
import types

import pytest
from PIL import Image

from gan_jax.io import metric_writer, trackers

ROOT = pathlib.Path(__file__).parents[2]
RECORDER = """
import json, pathlib

class Recorder:
  def __init__(self, workdir, name, config, run_id):
    self.path = pathlib.Path(workdir) / 'calls.jsonl'
    self.put('made', name, config, run_id)

  def put(self, *call):
    with self.path.open('a') as file:
      file.write(json.dumps(call) + '\\n')

  def write(self, step, scalars):
    self.put('write', step, scalars)

  def image(self, step, name, path):
    self.put('image', step, name, pathlib.Path(path).name)

  def flush(self):
    self.put('flush')

  def close(self):
    self.put('close')


class Failing(Recorder):
  def write(self, step, scalars):
    raise RuntimeError('no network\\nmore')


class Unmade:
  def __init__(self, *unused):
    raise SystemError('no server')


number = 3
"""


@pytest.fixture
def tracker_file(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(RECORDER)
  return path


def calls(workdir):
  lines = (workdir / 'calls.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


def opened(names, workdir, start=0):
  said = []
  found = trackers.Trackers(names, said.append)
  found.open(workdir, {'loss': 'hinge'}, start=start)
  return found, said


def test_a_class_of_ones_own_gets_everything(tmp_path, tracker_file):
  workdir = tmp_path / 'run'
  workdir.mkdir()
  Image.new('RGB', (7, 5)).save(workdir / 'x.png')
  found, said = opened([f'{tracker_file}:Recorder'], workdir)
  with metric_writer.MetricWriter(workdir, trackers=found) as writer:
    writer.write(1, {'loss': 0.5})
    writer.write_events(2, {'fid': 3.0})
    writer.write_picture(2, 'samples', workdir / 'x.png')
    writer.flush()
  made, *others = calls(workdir)
  assert made[:3] == ['made', 'run', {'loss': 'hinge'}]
  assert others == [
    ['write', 1, {'loss': 0.5}],
    ['write', 2, {'fid': 3.0}],
    ['image', 2, 'samples', 'x.png'],
    ['flush'],
    ['close'],
  ]
  assert not said


def test_the_class_in_the_docs(tmp_path, capsys):
  text = (ROOT / 'docs' / 'report.md').read_text()
  (source,) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
  (tmp_path / 'trackers.py').write_text(source)
  found, said = opened([f'{tmp_path}/trackers.py:Printer'], tmp_path)
  found.write(3, {'loss': 0.5})
  found.flush()
  found.close()
  assert not said and capsys.readouterr().out.endswith("3 {'loss': 0.5}\n")


def test_a_run_keeps_its_identifier(tmp_path, tracker_file):
  ids = []
  for start in (0, 5, 7, 0):
    opened([f'{tracker_file}:Recorder'], tmp_path, start)[0].close()
    ids.append(calls(tmp_path)[-2][3])
  assert ids[0] == ids[1] == ids[2] != ids[3]
  (tmp_path / 'trackers.json').write_text('{')
  assert opened([f'{tracker_file}:Recorder'], tmp_path, 5)[1] == []


def test_a_tracker_that_fails_is_named_once_and_dropped(tmp_path, tracker_file):
  names = [f'{tracker_file}:{n}' for n in ('Failing', 'Unmade', 'Recorder')]
  found, said = opened(names, tmp_path)
  for step in (1, 2):
    found.write(step, {'loss': 0.5})
  found.close()
  assert len(said) == 2
  assert 'mine.py:Unmade gets nothing more: SystemError: no server' in said[0]
  assert said[1].endswith('RuntimeError: no network')
  kinds = [call[0] for call in calls(tmp_path)]
  assert kinds == ['made', 'made', 'write', 'write', 'close']
  found.open(tmp_path, {}, start=2)  # as after a rollback
  assert len(said) == 2


def test_a_directory_named_wandb_is_not_the_library(tmp_path, monkeypatch):
  (tmp_path / 'wandb').mkdir()
  monkeypatch.delitem(sys.modules, 'wandb', raising=False)
  monkeypatch.setattr(sys, 'path', [str(tmp_path)])
  with pytest.raises(ModuleNotFoundError, match='pip install wandb'):
    trackers.Trackers(['wandb'], pytest.fail)


def test_without_trackers_nothing_is_written(tmp_path):
  found, _ = opened((), tmp_path)
  found.write(1, {})
  found.close()
  assert not list(tmp_path.iterdir())


def test_trackers_that_are_not_there(tmp_path, tracker_file, monkeypatch):
  find = trackers.importlib.util.find_spec
  monkeypatch.setattr(
    trackers.importlib.util,
    'find_spec',
    lambda name: None if name == 'wandb' else find(name),
  )
  broken = tmp_path / 'broken.py'
  broken.write_text('x =')
  for name, kind, message in (
    ('wandb', ModuleNotFoundError, 'not installed: pip install wandb'),
    ('none.py:X', FileNotFoundError, 'there is no file none.py'),
    (f'{tracker_file}:X', ValueError, "the file has no class 'X'"),
    (f'{tracker_file}:number', ValueError, "has no class 'number'"),
    (f'{broken}:X', ValueError, 'the file does not load'),
  ):
    with pytest.raises(kind, match=message):
      trackers.Trackers([name], pytest.fail)


class FakeWandb(types.ModuleType):
  """The part of wandb that is used; refuses steps that go back, as it does."""

  def __init__(self):
    super().__init__('wandb')
    self.__spec__ = types.SimpleNamespace(name='wandb', origin='here')
    self.calls = []
    self.Settings = lambda **options: options
    self.Image = lambda path: ('image', path)

  def init(self, **options):
    self.calls.append(('init', options))
    return self

  def define_metric(self, *names, **options):
    self.calls.append(('metric', names, options))

  def log(self, values, step=None):
    assert step is None
    self.calls.append(('log', values))

  def finish(self):
    self.calls.append(('finish',))


@pytest.fixture
def wandb(monkeypatch, tmp_path):
  fake = FakeWandb()
  monkeypatch.setitem(sys.modules, 'wandb', fake)
  for name in ('WANDB_MODE', 'WANDB_API_KEY', 'WANDB_PROJECT'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
  return fake


def test_wandb_gets_steps_as_an_axis(wandb, tmp_path):
  for start in (0, 4):
    found, said = opened(['wandb'], tmp_path, start)
    found.write(start + 1, {'loss': 0.5})
    found.image(start + 1, 'samples', tmp_path / 'x.png')
    found.flush()
    found.close()
  assert not said
  first, *_ = wandb.calls
  assert first[1]['mode'] == 'offline' and first[1]['resume'] == 'allow'
  assert first[1]['dir'] == str(tmp_path)
  ids = [call[1]['id'] for call in wandb.calls if call[0] == 'init']
  assert ids[0] == ids[1]
  assert ('metric', ('*',), {'step_metric': 'step'}) in wandb.calls
  logged = [call[1] for call in wandb.calls if call[0] == 'log']
  assert logged[0] == {'loss': 0.5, 'step': 1}
  assert logged[1]['samples'] == ('image', str(tmp_path / 'x.png'))
  assert logged[2]['step'] == 5


def test_wandb_is_online_only_with_a_key(wandb, tmp_path, monkeypatch):
  def mode():
    opened(['wandb'], tmp_path)[0].close()
    return [c[1]['mode'] for c in wandb.calls if c[0] == 'init'][-1]

  assert mode() == 'offline'
  (tmp_path / 'netrc').write_text('machine api.wandb.ai login u password k\n')
  (tmp_path / 'netrc').chmod(0o600)
  assert mode() == 'online'
  monkeypatch.setenv('WANDB_BASE_URL', 'https://wandb.example.org')
  assert mode() == 'offline'
  monkeypatch.setenv('WANDB_API_KEY', 'k')
  assert mode() == 'online'
  monkeypatch.setenv('WANDB_MODE', 'disabled')
  assert mode() == 'disabled'
