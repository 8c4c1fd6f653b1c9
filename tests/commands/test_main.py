"""Tests of the command `gan-jax`."""

import pathlib
import pkgutil
import subprocess
import sys

import pytest

import gan_jax
from gan_jax import commands
from gan_jax import config as config_lib
from gan_jax.commands import list as list_command
from gan_jax.commands import main
from gan_jax.config import augment

ROOT = pathlib.Path(__file__).parents[2]


def call(monkeypatch, *arguments):
  """Returns the exit status, or the message, of `gan-jax` in this process."""
  monkeypatch.setattr(sys, 'argv', ['/usr/bin/gan-jax', *arguments])
  with pytest.raises(SystemExit) as caught:
    main.run()
  return caught.value.code


def test_every_program_is_a_command():
  modules = {info.name for info in pkgutil.iter_modules(commands.__path__)}
  assert {module for module, _ in main.COMMANDS.values()} == modules - {'main'}
  for name, (module, line) in main.COMMANDS.items():
    assert name.replace('-', '_') == module and line[0].islower()


@pytest.mark.parametrize('arguments', [[], ['--help'], ['-h'], ['help']])
def test_help_lists_the_programs(monkeypatch, capsys, arguments):
  assert call(monkeypatch, *arguments) == 0
  printed = capsys.readouterr().out
  for name, (_, line) in main.COMMANDS.items():
    assert f'  {name} ' in printed and line in printed
  assert max(map(len, printed.splitlines())) <= 80


def test_version(monkeypatch, capsys):
  assert call(monkeypatch, '--version') == 0
  assert capsys.readouterr().out == f'gan_jax {gan_jax.__version__}\n'


@pytest.mark.parametrize(
  ('name', 'near'),
  [('trian', "'train'"), ('convert_weights', "'convert-weights'"), ('x', '')],
)
def test_an_unknown_program_is_answered_with_the_nearest(
  monkeypatch, name, near
):
  message = call(monkeypatch, name)
  assert message.startswith(f'gan-jax: there is no program {name!r}. ')
  assert (f'Did you mean {near}?' in message) == bool(near)
  assert 'There are: train, evaluate' in message


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['status', 'none'], 'gan-jax status: none holds no run'),
    (['extract', 'none', '0', 'out'], 'gan-jax extract: none holds no run'),
    (['extract', 'none', 'a', 'out'], 'gan-jax extract: argument member'),
    (['convert-weights', 'r3gan', 'a.pth', 'b.safetensors'], 'weights: a.pth'),
    (['convert-weights', 'inception', 'a', 'b.npz'], 'gan-jax convert-weights'),
    (['prepare', 'no_such_set'], 'gan-jax prepare: '),
  ],
)
def test_messages_name_the_program_as_typed(
  monkeypatch, capsys, tmp_path, arguments, message
):
  monkeypatch.chdir(tmp_path)
  status = call(monkeypatch, *arguments)
  printed = capsys.readouterr().err if status == 1 else status
  assert message in printed and len(printed.splitlines()) == 1


SILENT = 'import sys; from gan_jax.commands import main\n'
RUN = (
  'sys.argv = ["gan-jax", *{arguments}]\n'
  'try:\n'
  '  main.run()\n'
  'finally:\n'
  '  print("jax" in sys.modules)\n'
)


def run_command(arguments, cwd):
  """Runs `gan-jax`; the last line of stdout says whether JAX was imported."""
  text = SILENT + RUN.format(arguments=arguments)
  return subprocess.run(
    [sys.executable, '-c', text],
    capture_output=True,
    text=True,
    cwd=cwd,
    env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin'},
  )


@pytest.mark.parametrize('name', sorted(main.COMMANDS.keys() - {'prepare'}))
def test_help_is_fast(name, tmp_path):
  """JAX takes a second to import; `prepare` imports it with the datasets."""
  done = run_command([name, '--help'], tmp_path)
  assert done.stdout.splitlines()[-1] == 'False', done.stderr
  assert f'gan-jax {name}' in done.stdout


def test_flags_are_those_of_the_script(tmp_path):
  done = run_command(['train', '--config=digts'], tmp_path)
  assert done.returncode == 1 and done.stdout == 'False\n'
  assert done.stderr.startswith("gan-jax train: there is no config 'digts'")
  done = run_command(
    ['train', '--config=digits:test', '--print_config'], tmp_path
  )
  assert 'num_steps = 2\n' in done.stdout and not done.stderr
  script = subprocess.run(
    [sys.executable, ROOT / 'train.py', '--config=digts'],
    capture_output=True,
    text=True,
    cwd=tmp_path,
  )
  assert script.stderr.startswith("train.py: there is no config 'digts'")


def test_every_name_has_a_line(monkeypatch, capsys):
  assert call(monkeypatch, 'list') == 0
  printed = capsys.readouterr().out
  assert '  digits  ' in printed and 'NAME' in printed
  for found, wanted in (
    (list_command.list_models(), config_lib.MODELS),
    (list_command.list_losses(), config_lib.LOSSES),
    (list_command.PENALTIES, config_lib.PENALTIES),
    (list_command.AUGMENTATIONS, augment.AUGMENTS),
    (list_command.METRICS, config_lib.METRICS),
  ):
    assert list(found) == list(wanted) and all(found.values())
    assert all(f'  {name} ' in printed for name in found)
  assert call(monkeypatch, 'list', 'losses') == 0
  assert capsys.readouterr().out.count('losses  (') == 1
  assert call(monkeypatch, 'list', 'loss') == 1
  assert 'KIND=loss: must be one of' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (
      ['--what=neighbours'],
      '--what=neighbours: must be one of grid, files, npz, zip, wav, walk, mix, '
      'neighbors, project, directions, film (did you mean neighbors?)',
    ),
    (['--what=walk', '--images=x'], 'images is an option of --what=project;'),
    (['--frames=5'], 'frames is an option of --what=walk; must not be given'),
    (['--what=mix', '--fps=5'], 'fps is an option of --what=walk and film;'),
  ],
)
def test_options_of_other_kinds_of_samples_are_refused(
  tmp_path, given, message
):
  done = subprocess.run(
    [sys.executable, ROOT / 'sample.py', '--workdir=none', *given],
    cwd=tmp_path,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1
  assert done.stderr.startswith(f'sample.py: {message}')
