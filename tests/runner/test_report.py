"""report.py: files of runs as pages, what is refused, the server, a browser."""

import http.client
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from gan_jax import config as config_lib
from gan_jax.commands import report as command
from gan_jax.io import files
from gan_jax.report.html_report import page as html_page
from gan_jax.runner import report, report_server, run_files
from tests.helpers import browser

ROOT = pathlib.Path(__file__).parents[2]
LEARNING_RATE = 'd_optimizer.learning_rate'


def write_lines(path, lines):
  path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


def write_png(path, level):
  path.parent.mkdir(exist_ok=True)
  Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(path)


def make_run(workdir, steps=3, **overrides):
  """Writes the files that a run of some steps has."""
  workdir.mkdir(parents=True)
  config = config_lib.resolve({'num_steps': 100, **overrides})
  metadata = {
    'config': config_lib.to_dict(config),
    'shape': [8, 8, 3],
    'examples': {'train': 1000, 'test': 10},
    'versions': {'gan_jax': '1', 'jax': '2'},
  }
  files.write_json(workdir / 'config.json', metadata)
  lines = [
    {'step': 10 * i, 'd_loss': 0.5 + i, 'g_loss': 1.0, 'steps_per_second': 2.0}
    for i in range(1, steps + 1)
  ]
  write_lines(workdir / 'metrics.jsonl', lines)
  warning = {'mode_collapse': 'Possible mode collapse.'}
  write_lines(workdir / 'warnings.jsonl', [{'step': 10, 'warnings': warning}])
  for i in range(1, steps + 1):
    write_png(workdir / 'samples' / f'{10 * i:08d}.png', 40 * i)
  write_png(workdir / 'real.png', 250)
  return workdir


def make_ensemble(workdir, members=4):
  """Writes the files that an ensemble under way has."""
  workdir.mkdir()
  config = config_lib.to_dict(config_lib.resolve({}))
  files.write_json(workdir / 'config.json', {'config': config, 'shape': [2]})
  listed = [
    {'member': i, 'seed': i % 2, LEARNING_RATE: 10.0 ** -(i // 2)}
    for i in range(members)
  ]
  files.write_json(workdir / 'members.json', listed)
  lines = [
    {
      'step': step,
      'diverged': [],
      'metrics': {'d_loss': [0.1 * step] * members},
    }
    for step in (10, 20)
  ]
  scores = {'step': 20, 'scores': [{'KL': 1.0 + i} for i in range(members)]}
  write_lines(workdir / 'members.jsonl', [*lines, scores])
  return workdir


def write(*workdirs, **options):
  return report.write_report(report.Request(workdirs, **options))


# ---- Files.


def test_the_page_of_a_run_is_in_its_directory_and_written_anew(tmp_path):
  workdir = make_run(tmp_path / 'x' / 'digits')
  path = write(workdir)
  assert path == workdir / 'report.html'
  assert '<title>digits</title>' in path.read_text()
  assert 'step 30 of 100' in path.read_text()
  path.write_text('')
  assert '<title>digits' in write(f'{workdir}/').read_text()
  assert 'digits' in write(workdir, out=path).read_text()


def test_other_files_are_not_replaced(tmp_path):
  workdir = make_run(tmp_path / 'a')
  out = tmp_path / 'page.html'
  write(workdir, out=out)
  out.write_text('mine')
  with pytest.raises(FileExistsError, match='page.html exists.*--overwrite'):
    write(workdir, out=out)
  assert out.read_text() == 'mine'
  assert 'Possible mode' in write(workdir, out=out, overwrite=True).read_text()
  with pytest.raises(ValueError, match='must end in .html'):
    write(workdir, out=workdir / 'metrics.jsonl', overwrite=True)


def test_a_page_of_several_runs_is_in_the_current_directory(
  tmp_path, monkeypatch
):
  runs = [
    make_run(tmp_path / part / 'run', seed=i) for i, part in enumerate('ab')
  ]
  monkeypatch.chdir(tmp_path)
  path = write(*runs)
  assert path == pathlib.Path('report.html')
  text = path.read_text()
  assert '<title>a/run, b/run</title>' in text
  with pytest.raises(FileExistsError):
    write(*runs)


def test_places_that_cannot_be_written(tmp_path):
  workdir = make_run(tmp_path / 'a')
  with pytest.raises(IsADirectoryError, match='a is a directory'):
    write(workdir, out=workdir)
  with pytest.raises(FileNotFoundError, match='no directory .*/none'):
    write(workdir, out=tmp_path / 'none' / 'x.html')


def test_what_is_no_run(tmp_path):
  empty = tmp_path / 'empty'
  empty.mkdir()
  file = tmp_path / 'file'
  file.touch()
  make_run(tmp_path / 'runs' / 'one')
  for workdir, message in (
    (empty, 'empty holds no run: there is no config.json'),
    (file, 'file is a file'),
    (tmp_path / 'absent', 'there is no directory .*absent'),
    (tmp_path / 'runs', 'directories of runs: one; name them'),
  ):
    with pytest.raises(OSError, match=message):
      write(workdir)
  with pytest.raises(ValueError, match='name the directory of a run'):
    write()


def test_runs_that_do_not_go_together(tmp_path):
  one, many = make_run(tmp_path / 'one'), make_ensemble(tmp_path / 'many')
  with pytest.raises(ValueError, match='many is an ensemble.*must be alone'):
    write(one, many)
  with pytest.raises(ValueError, match='one is named twice'):
    write(one, tmp_path / '.' / 'one')


def test_a_run_that_has_only_begun(tmp_path):
  workdir = make_run(tmp_path / 'a', steps=0)
  for path in ('metrics.jsonl', 'warnings.jsonl', 'real.png'):
    (workdir / path).unlink()
  text = write(workdir).read_text()
  assert 'No line of metrics yet' in text and 'No picture yet' in text


def test_a_run_under_way_with_a_line_that_is_half_written(tmp_path):
  workdir = make_run(tmp_path / 'a')
  with (workdir / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 40, "d_lo')
  assert 'step 30 of 100' in write(workdir).read_text()


def test_damaged_files(tmp_path):
  workdir = make_run(tmp_path / 'a')
  (workdir / 'samples' / '00000020.png').write_bytes(b'\x89PNG')
  (workdir / 'evaluation-1.json').write_text('[')
  (workdir / 'real.wav').mkdir()
  text = write(workdir).read_text()
  for name in ('00000020.png', 'evaluation-1.json', 'real.wav'):
    assert name in text.partition('Not shown')[2], name
  (workdir / 'metrics.jsonl').write_text('{"step": "x"}\n{"step": 2}\n')
  with pytest.raises(ValueError, match='line 1 of .*metrics.jsonl is corrupt'):
    write(workdir)
  (workdir / 'config.json').write_text('{"config": 3}')
  with pytest.raises(ValueError, match="config.json .*bad 'config'"):
    write(workdir)


def test_values_of_other_types_are_left_out(tmp_path):
  workdir = make_run(tmp_path / 'a')
  line = {'step': 50, 'd_loss': 'x', 'g_loss': [1], 'r1': True, 'r2': 1e400}
  write_lines(workdir / 'metrics.jsonl', [line])
  summary = {'scores': [{'name': 'fid', 'value': 'x'}, 3], 'notes': 5}
  files.write_json(workdir / 'summary.json', summary)
  run = run_files.read_run(workdir, run_files.PictureCache())
  assert run.lines == [{'step': 50, 'r2': None}]
  assert [row['value'] for row in run.scores] == [None] and run.notes == []
  assert 'fid' in write(workdir).read_text()


def test_scores_of_training_and_of_evaluate(tmp_path):
  workdir = make_run(tmp_path / 'a')
  row = {'name': 'FID', 'value': 31.5, 'error': 0.5, 'baseline': 2.0}
  lines = [{'step': s, 'scores': [row | {'value': s}]} for s in (10, 20)]
  write_lines(workdir / 'scores.jsonl', lines)
  record = {'scores': [row], 'samples': {'step': 20, 'weights': 'ema'}}
  files.write_json(workdir / 'evaluation-00000020-ema-fid.json', record)
  run = run_files.read_run(workdir, run_files.PictureCache())
  assert [line['step'] for line in run.history] == [10, 20]
  text = write(workdir).read_text()
  assert 'step 20, weights ema' in text and '31.50 ± 0.50' in text
  assert '"title":"Score: FID"' in text


def test_pictures_are_thinned(tmp_path):
  workdir = make_run(tmp_path / 'a', steps=0)
  for i in range(1, 121):
    write_png(workdir / 'samples' / f'{i:08d}.png', i)
  run = run_files.read_run(workdir, run_files.PictureCache())
  assert 20 < len(run.pictures) <= 40
  assert [run.pictures[i].step for i in (0, -1)] == [1, 120]


def test_a_picture_is_encoded_once(tmp_path, monkeypatch):
  workdir, cache = make_run(tmp_path / 'a'), run_files.PictureCache()
  before = run_files.read_run(workdir, cache).pictures
  encode = run_files.encode_picture
  calls = []
  monkeypatch.setattr(
    run_files,
    'encode_picture',
    lambda *given: calls.append(given) or encode(*given),
  )
  assert run_files.read_run(workdir, cache).pictures == before and not calls
  write_png(workdir / 'samples' / '00000010.png', 200)
  (workdir / 'samples' / '00000010.png').touch()
  assert run_files.read_run(workdir, cache).pictures != before
  assert len(calls) == 1


def test_an_ensemble(tmp_path):
  text = write(make_ensemble(tmp_path / 'many')).read_text()
  assert 'Points of the sweep' in text and LEARNING_RATE in text
  assert '1.50 ± 0.50' in text and '3.50 ± 0.50' in text


# ---- In the course of training.


def test_a_page_that_fails_is_said_once_and_raises_nothing(tmp_path):
  said = []
  writer = report.ReportWriter(tmp_path / 'none', said.append)
  writer.write(last=True)
  writer.write(last=True)
  assert len(said) == 1 and 'report.html could not be written' in said[0]


def test_pages_take_little_of_the_time_of_a_run(tmp_path, monkeypatch):
  now, made = [0.0], []

  def make(*unused):
    made.append(now[0])
    now[0] += 1.0  # takes a second
    return ''

  monkeypatch.setattr(report, 'make_page', make)
  writer = report.ReportWriter(tmp_path, pytest.fail, clock=lambda: now[0])
  for seconds in range(0, 200, 10):
    now[0] = max(now[0], float(seconds))
    writer.write()
  writer.write(last=True)
  assert made == [0.0, 50.0, 100.0, 150.0, 190.0]


def test_no_page_if_none_is_wanted():
  report.ReportWriter(None, pytest.fail).write(last=True)


# ---- The program.


def test_directories_may_be_named_without_a_flag():
  found = command.name_workdirs(
    ['a', '--out', 'x.html', 'b', '--serve', '--port=3', 'c', '--overwrite'],
    ['out', 'port'],
  )
  assert found == [
    *('--workdir=a', '--out', 'x.html', '--workdir=b', '--serve'),
    *('--port=3', '--workdir=c', '--overwrite'),
  ]


def test_the_program_writes_a_page_without_jax(tmp_path):
  workdir = make_run(tmp_path / 'a b')
  code = (
    'import atexit, runpy, sys\n'
    'atexit.register(lambda: print(sorted({"jax"} & {*sys.modules})))\n'
    f'sys.argv = ["report.py", {str(workdir)!r}, "--out", {str(tmp_path)!r}'
    ' + "/x.html"]\n'
    f'runpy.run_path({str(ROOT / "report.py")!r}, run_name="__main__")'
  )
  call = lambda: subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path
  )
  first, second = call(), call()
  assert first.returncode == 0, first.stderr
  assert re.search(r'/x.html \(0.0\d MB\)\n\[\]\n$', first.stdout), first
  assert second.returncode == 1 and second.stderr.count('\n') == 1
  assert second.stderr.startswith('report.py: ') and 'exists' in second.stderr


# ---- The server.


@pytest.fixture
def serve():
  """Returns a function that starts a server of a page; stops it at the end."""
  servers = []

  def start(make_page):
    server = report_server.make_server(make_page, 0)
    servers.append(server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port

  yield start
  for server in servers:
    server.shutdown()
    server.server_close()


def ask(port, path='/', host='localhost', method='GET'):
  connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
  connection.request(method, path, headers={'Host': f'{host}:{port}'})
  answer = connection.getresponse()
  return answer.status, answer.read().decode()


def test_a_server_makes_the_page_anew(serve, tmp_path):
  workdir = make_run(tmp_path / 'a')
  cache = run_files.PictureCache()
  port = serve(lambda: report.make_page([workdir], cache, live=True))
  status, text = ask(port)
  assert status == 200 and 'step 30 of 100' in text and '"refresh":20' in text
  with (workdir / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 40, "d_loss": 1.0}\n')
  assert 'step 40 of 100' in ask(port)[1]
  assert ask(port, method='HEAD') == (200, '')
  (workdir / 'config.json').write_text('{')
  status, text = ask(port)
  assert status == 500 and 'config.json is not valid JSON' in text


def test_a_server_has_one_page_for_this_machine(serve):
  port = serve(lambda: 'page')
  assert ask(port, host='127.0.0.1') == (200, 'page')
  for path in ('/etc/passwd', '/../config.json', '/?x'):
    assert ask(port, path)[0] == 404, path
  for host in ('evil.example', 'localhost.evil.example', '', '[::1]'):
    assert ask(port, host=host)[0] == 403, host
  assert ask(port, method='POST')[0] == 501


def test_a_port_in_use(serve):
  port = serve(lambda: '')
  with pytest.raises(OSError, match=f'--port={port}: .*in use; choose another'):
    report_server.make_server(lambda: '', port)
  with pytest.raises(ValueError, match='must be from 0 to 65535'):
    report_server.make_server(lambda: '', 70000)


# ---- In a browser.


@browser.needs_chromium
def test_pages_work_in_a_browser(tmp_path):
  workdir = make_run(tmp_path / '<script>alert(1)<')
  one = write(workdir, out=tmp_path / 'one.html').as_uri()
  runs = [
    make_run(tmp_path / f'r{i}', seed=i % 2, batch_size=2 + i // 2)
    for i in range(4)
  ]
  scores = [{'name': f'a_score_of_many_letters_{i}', 'value': i} for i in 'abc']
  files.write_json(runs[0] / 'summary.json', {'scores': scores})
  several = write(*runs, out=tmp_path / 'several.html').as_uri()
  with browser.chromium(tmp_path / 'profile') as page:
    page.open(one)
    page.wait_for('document.documentElement.dataset.ready')
    _check_charts(page, 2)
    _check_slider(page)
    page.open(several, width=400)
    page.wait_for('document.documentElement.dataset.ready')
    _check_charts(page, 3)
    _check_table(page)
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert page.errors == []
    asked = {url for url in page.requests if not url.startswith('data:')}
    assert asked == {one, several}


@browser.needs_chromium
def test_a_live_page_loads_itself_and_keeps_its_place(
  tmp_path, monkeypatch, serve
):
  monkeypatch.setattr(html_page, 'REFRESH_SECONDS', 0.5)
  workdir, cache = make_run(tmp_path / 'a'), run_files.PictureCache()
  port = serve(lambda: report.make_page([workdir], cache, live=True))
  told = """document.documentElement.dataset.ready &&
    document.querySelector('header p').textContent.includes('step %d of') &&
    document.getElementById('step-label').textContent === 'step %d'"""
  stop = """(() => {
    const box = document.getElementById('live');
    if (document.documentElement.dataset.ready && box.checked) box.click();
    return !box.checked;
  })()"""
  with browser.chromium(tmp_path / 'profile') as page:
    page.open(f'http://localhost:{port}/')
    page.wait_for(told % (30, 30))
    page.wait_for(f"{MOVE % 0} === 'step 10'")
    with (workdir / 'metrics.jsonl').open('a') as file:
      file.write('{"step": 40, "d_loss": 1.0}\n')
    page.wait_for(told % (40, 10))
    page.wait_for(stop)
    with (workdir / 'metrics.jsonl').open('a') as file:
      file.write('{"step": 50, "d_loss": 1.0}\n')
    time.sleep(1.2)
    assert page.evaluate(told % (40, 10))
    hosts = {url.split('/')[2] for url in page.requests if '://' in url}
    assert hosts == {f'localhost:{port}'}


# Moves the slider, and returns its label.
MOVE = """(() => {
  const slider = document.getElementById('step');
  slider.value = %d;
  slider.dispatchEvent(new Event('input'));
  return document.getElementById('step-label').textContent;
})()"""

# For each chart, the number of pixels that are neither clear nor gray.
COLORED = """[...document.querySelectorAll('.plot canvas')].map((canvas) => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height);
      const context = copy.getContext('2d');
      context.drawImage(canvas, 0, 0);
      const {data} = context.getImageData(0, 0, copy.width, copy.height);
      let found = 0;
      for (let i = 0; i < data.length; i += 4) {
        const spread = Math.max(data[i], data[i + 1], data[i + 2]) -
          Math.min(data[i], data[i + 1], data[i + 2]);
        if (data[i + 3] > 200 && spread > 60) found += 1;
      }
      return found;
    })"""


def _check_charts(page, count):
  """Every chart has lines."""
  colored = page.evaluate(COLORED)
  assert len(colored) == count and min(colored) > 50, colored


def _check_slider(page):
  """The slider moves the picture, whose pixels are those of the file."""
  level = """(async () => {
    const image = document.getElementById('picture-0');
    await image.decode();
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, 1, 1).data[0];
  })()"""
  assert page.evaluate(level) == 120
  for place, label, value in ((0, 'step 10', 40), (1, 'step 20', 80)):
    assert page.evaluate(MOVE % place) == label
    assert page.evaluate(level) == value


def _check_table(page):
  """A click sorts, and a box hides the curves of its row."""
  rows = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows]"
  sizes = f'{rows}.map((row) => row.cells[2].textContent)'
  heads = "document.querySelectorAll('table.sortable')[0].tHead.rows[0].cells"
  names = page.evaluate(f'[...{heads}].map((cell) => cell.textContent)')
  place = names.index('batch_size')
  sizes = f'{rows}.map((row) => row.cells[{place}].textContent)'
  click = f"{heads}[{place}].querySelector('button').click()"
  page.evaluate(click)
  assert page.evaluate(sizes) == ['2', '3']
  page.evaluate(click)
  assert page.evaluate(sizes) == ['3', '2']
  page.evaluate(
    "document.querySelectorAll('[data-group]').forEach((box) => box.click())"
  )
  page.wait_for(f'Math.max(...{COLORED}) === 0')
