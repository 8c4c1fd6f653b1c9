"""Pages of runs: thinning, grouping, escaping, and nothing from elsewhere."""

import base64
import hashlib
import html
import importlib.resources
import io
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from gan_jax.report import html_report
from gan_jax.report.html_report import curves, page, single_run

ASSETS = importlib.resources.files('gan_jax.report.html_report') / 'assets'
HOSTILE = '<script>alert(1)</script>\n\x1b[31m"&\''
DEFAULTS = {'loss': 'hinge', 'seed': 0, 'num_steps': 10, 'num_devices': 0}


def png(pixels):
  out = io.BytesIO()
  Image.fromarray(pixels).save(out, 'PNG')
  return out.getvalue()


def row(name='score', value=0.5, **more):
  return {'name': name, 'value': value, 'error': 0.1, 'better': 'lower'} | more


def run(name='a', config=(), **more):
  return html_report.RunRecord(name, DEFAULTS | dict(config), DEFAULTS, **more)


def data_of(text):
  (found,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
  return json.loads(found)


# ---- The files that are vendored.


def test_vendored_files_are_as_released():
  listed = (ASSETS / 'uPlot.sha256').read_text().split()
  assert listed[1::2] == ['uPlot.iife.min.js', 'uPlot.min.css']
  for digest, name in zip(listed[::2], listed[1::2]):
    content = (ASSETS / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest, name
  assert '(v1.6.32)' in (ASSETS / 'uPlot.iife.min.js').read_text()[:100]
  assert 'The MIT License' in (ASSETS / 'uPlot.LICENSE').read_text()


# ---- Nothing of others' runs, and nothing loads.


def hostile_run():
  picture = html_report.Picture(3, 'data:image/webp;base64,AA', 4, True)
  return run(
    HOSTILE,
    {HOSTILE: '</script>', 'loss': HOSTILE},
    facts=[HOSTILE],
    lines=[{'step': 1, 'd_loss': 1.0, '</script><b>': 2.0}],
    scores=[row(HOSTILE, real=HOSTILE, better=HOSTILE, counts={})],
    notes=[HOSTILE],
    warnings=[{'step': 1, 'warnings': {HOSTILE: HOSTILE}}],
    evaluations=[html_report.Evaluation(HOSTILE, HOSTILE, [row(HOSTILE)])],
    pictures=[picture],
    class_names=[HOSTILE],
    sounds={HOSTILE: 'data:audio/wav;base64,AA'},
    problems=[HOSTILE],
  )


def hostile_pages():
  one, two = hostile_run(), hostile_run()
  two = two._replace(name='b', config={**two.config, HOSTILE: '<i>'})
  yield html_report.run_page(one, written=HOSTILE)
  compared = html_report.compare_runs([one, two])
  yield html_report.comparison_page(compared, written=HOSTILE)


def test_names_and_messages_are_escaped():
  for text in hostile_pages():
    assert '<script>alert' not in text and '<i>' not in text
    assert '\x1b' not in text and '<b>' not in text
    assert html.escape('<script>alert(1)</script>\\n\\x1b[31m"&\'') in text
    assert text.count('</script>') == 3
    labels = [s['label'] for c in data_of(text)['charts'] for s in c['series']]
    assert labels


def test_a_page_runs_its_own_scripts_alone_and_loads_nothing():
  for text in hostile_pages():
    (policy,) = re.findall(r'Security-Policy" content="(.*?)"', text)
    scripts = re.findall(r'<script>(.*?)</script>', text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
      digest = hashlib.sha256(script.encode()).digest()
      assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "default-src 'none'" in policy and 'http' not in policy
    linked = re.findall(r'(?:src|href)="(?!data:)', text)
    assert not linked and '@import' not in text and 'url(' not in text


def test_numbers_that_are_not_finite_are_gaps():
  lines = [{'step': i, 'd_loss': v} for i, v in ((1, 0.5), (2, None), (3, 1e9))]
  (chart,) = data_of(html_report.run_page(run(lines=lines)))['charts']
  assert chart['series'][0]['y'] == [0.5, None, 1e9]
  with pytest.raises(ValueError):
    page.embedded_json({'x': math.nan})


# ---- What a page shows.


def test_a_run_without_anything_has_a_page():
  text = html_report.run_page(run())
  for expected in ('No picture yet', 'Not scored yet', 'Nothing was checked'):
    assert expected in text
  assert data_of(text)['panels'] == [] and 'step 0 of 10' in text


def test_scores_have_errors_and_baselines():
  scores = [row(baseline=0.25, baseline_error=0.02, p_value=3e-5, counts={})]
  text = html_report.run_page(run(scores=scores, notes=['a note']))
  for expected in ('0.50 ± 0.10', '0.250 ± 0.020', '&lt; 1e-4', 'a note'):
    assert expected in text, expected


@pytest.mark.parametrize(
  'value, error, shown',
  [
    (0.5, 0.1, '0.50 ± 0.10'),
    (123.456, 12.3, '123 ± 12'),
    (0.70114, 0.02866, '0.701 ± 0.029'),
    (1.5, None, '1.5'),
    (1.5, 0.0, '1.5'),
    (None, 0.1, '–'),
  ],
)
def test_a_score_has_the_digits_of_its_error(value, error, shown):
  assert page.number_with_error(value, error) == shown


def test_settings_that_differ_come_first():
  card = page.config_card(
    {'loss': 'hinge', 'seed': 3, 'new': 1.0}, DEFAULTS, 'Config'
  )
  first, rest = card.split('<details>')
  assert 'seed' in first and 'new' in first and 'unknown' in first
  assert 'hinge' in rest and 'hinge' not in first


def test_warnings_of_a_kind_are_one():
  lines = [
    {'step': 10, 'warnings': {'a': 'x'}},
    {'step': 20, 'warnings': {'a': 'y', 'b_c': 'z'}},
  ]
  found = single_run.merge_warnings(lines)
  assert found == [('a', [10, 20], 'y'), ('b_c', [20], 'z')]
  text = html_report.run_page(run(warnings=lines))
  assert 'steps 10 to 20, at 2 pictures' in text
  assert data_of(text)['marks'] == [[10, 'a'], [20, 'a, b c']]


def test_metrics_are_grouped():
  names = 'd_loss g_loss d_real d_fake r1 r1_weight d_b2 g_b2 d_grad_norm'
  names += ' steps_per_second examples_per_second d_accuracy_real other'
  assert curves.group_metrics(names.split(), ['r1']) == [
    ('Losses', ['d_loss', 'g_loss']),
    ('Logits of the discriminator', ['d_real', 'd_fake']),
    ('Accuracy by kind of example', ['d_accuracy_real']),
    ('Penalties', ['r1']),
    ('Gradient norms', ['d_grad_norm']),
    ('Scheduled: weight', ['r1_weight']),
    ('Scheduled: b2', ['d_b2', 'g_b2']),
    ('Scheduled: other', ['other']),
    ('Steps per second', ['steps_per_second']),
  ]


def test_the_best_curves_are_shown_first():
  runs = [
    run(f'r{i}', {'lr': float(i)}, scores=[row(value=abs(i - 7.0))])
    for i in range(20)
  ]
  text = html_report.comparison_page(html_report.compare_runs(runs))
  found = re.findall(r'data-group="(\d+)"( checked)?', text)
  assert [int(i) for i, _ in found][:3] == [7, 6, 8]
  assert [bool(on) for _, on in found] == [True] * 12 + [False] * 8


def test_of_very_many_groups_the_best_have_curves(monkeypatch):
  monkeypatch.setattr(html_report.comparison, '_MOST_DRAWN', 1)
  page = lambda: html_report.comparison_page(
    html_report.compare_members(ensemble())
  )
  text, charts = page(), data_of(page())['charts']
  assert 'Curves are of the best 1 of 2.' in text
  of_loss = next(c for c in charts if 'd_loss' in json.dumps(c))
  assert len(of_loss['series']) == 1
  monkeypatch.setattr(html_report.comparison, '_MOST_DRAWN', 2)
  assert 'Curves are of' not in page()


# ---- Thinning.


def test_many_points_become_means_and_ranges():
  rng = np.random.default_rng(0)
  x, y = np.arange(100_000), rng.normal(size=100_000)
  y[5000:5002] = np.nan
  y[7000:8000] = np.nan
  y[50_000] = 99.0
  line = curves.Series('a', x, y)
  found = curves.thin(line, bins=100)
  of_bins = y.reshape(100, 1000)
  assert len(found.x) == 100 and found.x[3] // 1000 == 3
  gaps = np.isnan(found.y)
  assert np.flatnonzero(gaps).tolist() == [5, 7]
  np.testing.assert_allclose(found.y[~gaps], of_bins[~gaps].mean(axis=1))
  assert found.high[50] == 99 and np.isnan(found.high[7])
  assert found.low[5] == np.nanmin(of_bins[5])
  few = curves.Series('a', x[:200], y[:200])
  assert curves.thin(few, bins=100) is few
  low, high = y - 1, y + 1
  banded = curves.thin(line._replace(low=low, high=high), bins=100)
  assert banded.low[0] == low[:1000].min() and banded.high[50] == 100


def test_chosen_steps_stay_chosen():
  steps = list(range(1000, 201_000, 1000))
  before: set[int] = set()
  for count in range(1, len(steps) + 1):
    kept = curves.thin_steps(steps[:count], 40)
    assert len(kept) <= 40 and kept[-1] == count - 1
    assert kept == sorted(set(kept))
    assert set(kept[:-1]) <= before  # the last one was there, too
    before = set(kept)
  assert len(kept) > 20 and kept[:4] == [0, 1, 2, 3]


# ---- Pictures.


def decoded(picture):
  content = base64.b64decode(picture.uri.partition(',')[2])
  return np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))


def test_enlarged_pictures_are_kept_small_and_exact():
  small = np.random.default_rng(0).integers(0, 255, (7, 5, 3), np.uint8)
  large = small.repeat(3, axis=0).repeat(3, axis=1)
  picture = html_report.encode_picture(png(large), 4)
  assert picture[:1] + picture[2:] == (4, 5, True)
  assert np.array_equal(decoded(picture), small)
  large[0, 1] ^= 1
  assert not html_report.encode_picture(png(large)).pixelated


def test_large_pictures_are_reduced():
  wide = np.zeros((10, 4000), np.uint8)
  wide[:, ::2] = 200
  assert html_report.encode_picture(png(wide)).width == 1024


def test_what_is_no_picture_is_refused(monkeypatch):
  good = png(np.zeros((64, 64), np.uint8))
  for bad in (b'', b'GIF89a', good[:60]):
    with pytest.raises(ValueError, match='no picture'):
      html_report.encode_picture(bad)
  monkeypatch.setattr(
    'gan_jax.report.html_report.pictures._MAX_PIXELS', 64 * 64 - 1
  )
  with pytest.raises(ValueError, match='64 x 64 pixels; at most 4,095'):
    html_report.encode_picture(good)


# ---- Comparisons.


def test_runs_of_other_seeds_are_one_row():
  runs = [
    run(
      f'{loss}{seed}',
      {'loss': loss, 'seed': seed, 'num_devices': seed},
      scores=[row(value=value)],
      lines=[{'step': 1, 'd_loss': float(seed)}, {'step': 2 + seed}],
    )
    for loss, seed, value in (
      *(('hinge', 0, 1.0), ('hinge', 1, 2.0), ('hinge', 2, 6.0)),
      ('rpgan', 0, 4.0),
    )
  ]
  compared = html_report.compare_runs(runs)
  first, second = compared.groups
  assert first.settings == {'loss': 'hinge'} and not first.name
  assert first.members == ['hinge0', 'hinge1', 'hinge2']
  assert first.step == 2
  mean, error = first.scores['score']
  assert mean == 3.0
  np.testing.assert_allclose(error, np.sqrt(7 / 3))  # variance 7, 3 runs
  assert second.name == 'rpgan0' and second.scores == {'score': (4.0, 0.1)}
  curve = first.curves['d_loss']
  assert curve.steps.tolist() == [1] and curve.values.tolist() == [[0, 1, 2]]
  np.testing.assert_array_equal(
    curves.quartiles(curve.values)[:, 0], [0.5, 1.0, 1.5]
  )
  assert 'seed' not in compared.config and compared.config['num_devices'] == 0


def test_curves_of_runs_that_log_at_other_steps():
  lines = [
    [{'step': s, 'g_loss': float(s)} for s in steps]
    for steps in ((1, 3), (2, 3))
  ]
  runs = [run('a', lines=lines[0]), run('b', {'seed': 1}, lines=lines[1])]
  curve = html_report.compare_runs(runs).groups[0].curves['g_loss']
  assert curve.steps.tolist() == [1, 2, 3]
  np.testing.assert_array_equal(
    curve.values, [[1, np.nan], [np.nan, 2], [3, 3]]
  )


def test_a_penalty_that_a_run_does_not_have_weighs_nothing():
  runs = [run('a', {'penalties.r1.weight': 2.0}), run('b')]
  defaults = DEFAULTS | {'penalties.r1.weight': 0.0}
  runs = [one._replace(defaults=defaults) for one in runs]
  groups = html_report.compare_runs(runs).groups
  told = [group.settings['penalties.r1.weight'] for group in groups]
  assert told == [2.0, 0.0]


def test_different_data_are_said():
  runs = [run('a', facts=['data x']), run('b', {'seed': 1}, facts=['data y'])]
  compared = html_report.compare_runs(runs)
  assert 'not comparable' in compared.notes[0] and not compared.facts


def ensemble(**more):
  members = [
    {'member': i, 'seed': i % 2, 'lr': lr}
    for i, lr in enumerate((1.0, 1.0, 2.0, 2.0))
  ]
  line = {
    'step': 5,
    'diverged': [3],
    'metrics': {'d_loss': [1.0, 3.0, 5.0, None]},
  }
  scores = [{'score': 1.0}, {'score': 2.0}, {'score': 3.0}, None]
  history = {'step': 5, 'scores': scores}
  return html_report.EnsembleRecord(
    'e',
    DEFAULTS | {'lr': 1.0},
    DEFAULTS,
    members=members,
    lines=[line],
    history=[history],
    **more,
  )


def test_members_are_grouped_by_point():
  compared = html_report.compare_members(ensemble())
  first, second = compared.groups
  assert first.label == 'lr 1' and first.settings == {'lr': 1.0}
  assert first.scores == {'score': (1.5, 0.5)} and first.diverged == 0
  assert second.scores == {'score': (3.0, None)} and second.diverged == 1
  assert second.curves['d_loss'].values[0, 0] == 5.0
  assert np.isnan(second.curves['d_loss'].values[0, 1])
  assert 'lr' not in compared.config
  assert compared.members[0] == ['member', 'seed', 'lr', 'score']
  assert compared.members[4] == [3, 1, 2.0, None]


def test_an_ensemble_without_scores_has_a_page():
  empty = ensemble()._replace(lines=[], history=[])
  text = html_report.comparison_page(html_report.compare_members(empty))
  assert 'Points of the sweep' in text and 'lr' in text


def test_ordered_groups_have_a_scale_of_colors():
  assert curves.palette(3) == list(curves.COLORS[:3])
  scale = curves.palette(12)
  assert scale[0] == '#3f6fd0' and scale[-1] == '#c2414b'
  assert len(set(scale)) == 12
