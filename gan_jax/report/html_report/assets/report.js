// Draws the charts of a page, moves its pictures, sorts its tables.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const whole = new Intl.NumberFormat('en');
  const compact = new Intl.NumberFormat(
    'en', {notation: 'compact', maximumSignificantDigits: 4});
  const short = (x) => {
    if (x == null) return '–';
    const size = Math.abs(x);
    if (size >= 1e5) return compact.format(x);
    if (size !== 0 && size < 1e-3) return x.toExponential(2);
    return String(Number(x.toPrecision(4)));
  };
  const kept = {  // survives the reload of a live page
    get: (name) => { try { return sessionStorage.getItem(name); } catch { return null; } },
    set: (name, value) => { try { sessionStorage.setItem(name, value); } catch { /* not kept */ } },
  };

  // ---- Pictures: a slider over the steps of all of them.
  const slider = byId('step');
  const panels = data.panels.map((panel, i) => {
    const image = byId(`picture-${i}`);
    const last = image.src;
    return {image, pictures: panel.map(([step, src]) => [step, src || last])};
  });
  const steps = [...new Set(panels.flatMap((p) => p.pictures.map(([s]) => s)))]
    .sort((a, b) => a - b);
  const show = () => {
    const step = steps[slider.value];
    byId('step-label').textContent = `step ${whole.format(step)}`;
    for (const {image, pictures} of panels) {
      const [, src] = pictures.findLast(([s]) => s <= step) || pictures[0];
      if (image.src !== src) image.src = src;
    }
  };
  if (slider) {
    const before = kept.get('step');
    if (before !== null && before !== 'last') {
      const at = steps.indexOf(Number(before));
      if (at >= 0) slider.value = at;
    }
    slider.addEventListener('input', () => {
      const isLast = Number(slider.value) === steps.length - 1;
      kept.set('step', isLast ? 'last' : steps[slider.value]);
      show();
    });
    show();
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; byId('play').textContent = '▶'; };
    byId('play').addEventListener('click', () => {
      if (timer) return stop();
      byId('play').textContent = '❚❚';
      if (Number(slider.value) === steps.length - 1) slider.value = -1;
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        show();
        if (Number(slider.value) === steps.length - 1) stop();
      }, 350);
    });
  }

  // ---- Charts.
  const css = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const groups = [...document.querySelectorAll('[data-group]')];
  const isShown = (group) => group === null ||
    !!groups.find((box) => Number(box.dataset.group) === group)?.checked;
  const comparing = groups.length > 0;
  if (comparing) document.querySelector('main').classList.add('comparison');

  // The columns of uPlot: x, then for each line its band's ends and itself.
  const columns = (chart) => {
    const tables = chart.series.map((line) => line.low
      ? [data.x[line.x], line.high, line.low, line.y]
      : [data.x[line.x], line.y]);
    const same = chart.series.every((line) => line.x === chart.series[0].x);
    return same ? [data.x[chart.series[0].x], ...tables.flatMap((t) => t.slice(1))]
      : uPlot.join(tables);
  };

  const marks = (u) => {
    const {ctx, bbox} = u;
    ctx.save();
    ctx.strokeStyle = css('--warn');
    ctx.fillStyle = css('--warn');
    ctx.lineWidth = devicePixelRatio;
    for (const [step] of data.marks) {
      if (step < u.scales.x.min || step > u.scales.x.max) continue;
      const x = Math.round(u.valToPos(step, 'x', true));
      ctx.globalAlpha = 0.45;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.moveTo(x - 4 * devicePixelRatio, bbox.top);
      ctx.lineTo(x + 4 * devicePixelRatio, bbox.top);
      ctx.lineTo(x, bbox.top + 6 * devicePixelRatio);
      ctx.fill();
    }
    ctx.restore();
  };

  const draw = (chart, place, log) => {
    const table = columns(chart);
    const ofSteps = chart.x_label === 'step';
    const few = table[0].length <= 40;
    const series = [{
      label: chart.x_label,
      value: (u, v) => v == null ? '–' : ofSteps ? whole.format(v) : short(v),
    }];
    const bands = [];
    const lines = [null];  // of the chart, by column
    for (const line of chart.series) {
      const on = isShown(line.group);
      if (line.low) {
        // The range of many points has edges, so that a single peak is seen.
        const edge = line.is_range ? {width: 1, stroke: line.color + '66'} : {width: 0};
        bands.push({series: [series.length, series.length + 1], fill: line.color + '2b'});
        const end = {show: on, points: {show: false}, ...edge};
        series.push({...end, label: 'high'}, {...end, label: 'low'});
        lines.push(line, line);
      }
      series.push({
        show: on,
        label: line.label,
        stroke: line.color,
        width: line.dashed ? 1.2 : 1.7,
        dash: line.dashed ? [6, 4] : [],
        points: {show: few && !line.dashed, size: 4, fill: line.color},
        value: (u, v) => short(v),
      });
      lines.push(line);
    }
    const axis = {
      stroke: css('--soft'), font: '11px system-ui, sans-serif',
      grid: {stroke: css('--line'), width: 1},
      ticks: {stroke: css('--line'), width: 1},
    };
    const readout = place.parentElement.querySelector('.readout');
    let focused = null;
    const tell = (u) => {
      const at = u.cursor.idx;
      const line = focused === null ? null : lines[focused];
      if (at == null || !line || !comparing) { readout.textContent = ''; return; }
      const middle = lines.lastIndexOf(line);
      const x = u.data[0][at];
      readout.textContent = `${line.label}: ${short(u.data[middle][at])} ` +
        `(${chart.x_label} ${ofSteps ? whole.format(x) : short(x)})`;
    };
    const perGroup = chart.series.some((line) => line.group !== null);
    const plot = new uPlot({
      width: place.clientWidth,
      height: 220,
      scales: {
        x: {time: false, distr: chart.log_x ? 3 : 1},
        y: {distr: log ? 3 : 1},
      },
      axes: [
        {...axis, size: 30, label: ofSteps ? undefined : chart.x_label, labelSize: 18,
          labelFont: axis.font, space: 60,
          values: (u, vs) => vs.map((v) => v == null ? '' : compact.format(v))},
        {...axis, size: 54, values: (u, vs) => vs.map((v) => v == null ? '' : short(v))},
      ],
      series,
      bands,
      legend: {show: !perGroup},
      focus: {alpha: perGroup ? 0.25 : 1},
      cursor: {
        sync: {key: chart.x_label, setSeries: false},
        focus: {prox: perGroup ? 24 : -1},
        points: {size: 6},
      },
      hooks: {
        draw: ofSteps && data.marks.length ? [marks] : [],
        // Until the pointer comes, the legend shows the last values.
        ready: [(u) => u.setLegend({idx: table[0].length - 1})],
        setCursor: [tell],
        setSeries: [(u, i, options) => {
          if ('focus' in options) { focused = options.focus ? i : null; tell(u); }
        }],
      },
    }, table, place);
    // The ends of a band are no lines of the legend.
    const rows = plot.root.querySelectorAll('.u-legend .u-series');
    rows.forEach((row, i) => { 
      if (i > 0 && lines.lastIndexOf(lines[i]) !== i) row.style.display = 'none';
    });
    return {plot, lines};
  };

  const positive = (chart) => {
    const values = chart.series.flatMap((line) => [...line.y, ...(line.low || [])])
      .filter((v) => v !== null);
    return values.length > 1 && values.every((v) => v > 0);
  };
  const drawn = data.charts.map((chart, i) => {
    const place = byId(`chart-${i}`);
    const label = place.parentElement.querySelector('.log');
    const box = label.querySelector('input');
    label.hidden = !positive(chart);
    return {chart, place, box};
  });
  const redraw = (one) => {
    if (one.now) one.now.plot.destroy();
    one.now = draw(one.chart, one.place, one.box.checked);
  };
  drawn.forEach((one) => {
    redraw(one);
    one.box.addEventListener('change', () => redraw(one));
  });
  for (const box of groups) {
    box.addEventListener('change', () => {
      const group = Number(box.dataset.group);
      for (const {now} of drawn) {
        now.plot.batch(() => now.lines.forEach((line, i) => {
          if (line && line.group === group) now.plot.setSeries(i, {show: box.checked});
        }));
      }
    });
  }
  addEventListener('resize', () => drawn.forEach(({now, place}) =>
    now.plot.setSize({width: place.clientWidth, height: 220})));
  matchMedia('(prefers-color-scheme: dark)')
    .addEventListener('change', () => drawn.forEach(redraw));

  // ---- Tables: a click on a name sorts by its column.
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    const key = (row, i) => {
      const cell = row.cells[i];
      const box = cell.querySelector('input');
      if (box) return box.checked ? 0 : 1;
      const value = cell.dataset.value;
      if (value === undefined) return cell.textContent;
      return value === '' ? null : Number(value);
    };
    heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const rows = [...table.tBodies[0].rows].map((row) => [key(row, i), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === 'number' && typeof b === 'number' ? a - b
          : String(a).localeCompare(String(b), 'en', {numeric: true});
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    }));
  }

  // ---- A live page loads itself anew, unless somebody is looking closely.
  const live = byId('live');
  if (live) {
    live.checked = kept.get('live') !== 'off';
    live.addEventListener('change', () => kept.set('live', live.checked ? 'on' : 'off'));
    const zoomed = () => drawn.some(({now: {plot}}) => {
      const x = plot.data[0];
      return plot.scales.x.min > x[0] || plot.scales.x.max < x[x.length - 1];
    });
    setInterval(() => {
      if (live.checked && !document.hidden && !zoomed()) location.reload();
    }, data.refresh * 1000);
  }
  document.documentElement.dataset.ready = String(drawn.length);
})();
