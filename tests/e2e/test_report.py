#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""atr-bench model and report over a file of results: what they print, and how the page looks in a
real browser."""
import json
import os
import re
import subprocess
import tempfile

from atr_harness import BUILD, ROOT, Report, case
import report_page
from browser import Browser

BENCH = os.path.join(BUILD, 'app/bench/atr-bench')
RESULTS = os.path.join(ROOT, 'tests/data/bench-results.json')
WIDTHS = (360, 1280)
HOSTILE = 'A <CPU> & "friends"'
CONTRAST_MIN = 4.5
LETTERS_MIN = 8.5  # pixels of letters in a drawing on the narrowest screen

OUTSIDE = '''
const found = [];
for (const svg of document.querySelectorAll('svg')) {
    const box = svg.getBoundingClientRect();
    for (const one of svg.querySelectorAll('text, rect, circle, path')) {
        const at = one.getBoundingClientRect();
        if (at.left < box.left - 1 || at.right > box.right + 1 ||
            at.top < box.top - 1 || at.bottom > box.bottom + 1)
            found.push(svg.id + ': ' + one.tagName + ' ' + one.textContent);
    }
}
return found;'''
OVERLAPS = '''
const found = [];
for (const svg of document.querySelectorAll('svg')) {
    const boxes = [...svg.querySelectorAll('text')].map(t => [t, t.getBoundingClientRect()]);
    boxes.forEach(([a, x], i) => boxes.slice(i + 1).forEach(([b, y]) => {
        if (x.left + 1 < y.right && y.left + 1 < x.right && x.top + 3 < y.bottom &&
            y.top + 3 < x.bottom)
            found.push(svg.id + ': ' + a.textContent + ' | ' + b.textContent);
    }));
}
return found;'''
SIZES = '''
return Object.fromEntries([...document.querySelectorAll('svg')].map(svg => {
    const box = svg.getBoundingClientRect();
    const letters = [...svg.querySelectorAll('text')].map(t =>
        parseFloat(getComputedStyle(t).fontSize) * box.width / svg.viewBox.baseVal.width);
    return [svg.id, [box.width, box.height, Math.min(...letters)]];
}));'''
WIDTH_OF_BARS = '''
return [...document.querySelectorAll('#' + arguments[0] + ' rect')].map(
    bar => bar.getBoundingClientRect().width);'''
# The least contrast (as WCAG has it) of any text with what lies behind it, and whose that is.
CONTRAST = '''
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const light = colour => {
    const [r, g, b] = channels(colour).slice(0, 3).map(c => c / 255).map(
        c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
    for (let at = element; at; at = at.parentElement) {
        const [r, g, b, a] = channels(getComputedStyle(at).backgroundColor);
        if (a === undefined || a > 0)
            return getComputedStyle(at).backgroundColor;
    }
    return 'rgb(255, 255, 255)';
};
let least = [99, ''];
for (const element of document.querySelectorAll(
    'h1, h2, p, td, th, small, figcaption, .tile span, .tile b, svg text:not(.inside)')) {
    const style = getComputedStyle(element);
    const pair = [light(element.closest('svg') ? style.fill : style.color), light(behind(element))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < least[0])
        least = [contrast, element.textContent.slice(0, 40)];
}
return [light(getComputedStyle(document.body).backgroundColor), ...least];'''


def bench(*arguments, code=0):
    run = subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == code, (run.returncode, run.stderr)
    return run.stdout if code == 0 else run.stderr


class Lab:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.page = os.path.join(self.folder.name, 'report.html')
        with open(RESULTS, encoding='utf-8') as file:
            self.results = json.load(file)
        self.results['machine']['cpu'] = HOSTILE
        bench('report', '--from', self.written('results.json', self.results), '-o', self.page)
        with open(self.page, encoding='utf-8') as file:
            self.html = file.read()
        self.browser = Browser()
        self.browser.open(self.page)

    def written(self, name, document):
        path = os.path.join(self.folder.name, name)
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(document, file)
        return path

    def close(self):
        self.browser.close()
        self.folder.cleanup()


@case
def model_reference_and_errors(lab):
    model = json.loads(bench('model', '--from', RESULTS, '--json'))
    scenarios = model['scenarios']
    assert int(scenarios['A']['reference']) == 178571
    assert int(scenarios['B']['reference']) == 6451612
    assert round(scenarios['C']['reference']) == 10000000
    rows = report_page.rows(lab.results)
    assert scenarios['A']['measured'] == rows['tier1.64']['median'], scenarios
    assert scenarios['B']['measured_by'] == 'tier3.tree64' and 'measured' not in scenarios['C']
    assert round(model['amdahl']['reference']['speedup'], 2) == 16.81
    here = model['amdahl']['here']
    assert abs(here['speedup'] * (1 - here['p'] + here['p'] / here['s']) - 1) < 1e-4, here
    assert [row['n'] for row in model['predicted']] == [2 ** i for i in range(17)]
    terms = model['terms']['measured']
    for row in model['measured']:
        once = terms['t_control_us'] + terms['t_bridge_batch_us']
        in_turn = row['n'] / (once + row['n'] * terms['t_data_us']) * 1e6
        at_once = row['n'] / max(once, row['n'] * terms['t_data_us']) * 1e6
        assert abs(row['in_turn'] / in_turn - 1) < 1e-6, row
        assert abs(row['at_once'] / at_once - 1) < 1e-6, row
        assert abs(row['error_in_turn'] - (in_turn / row['measured'] - 1)) < 1e-6, row


@case
def model_as_text(_lab):
    text = bench('model', '--from', RESULTS)
    for wanted in '178571', '6451612', '10000000', '16.81 times', 'tier1.64.ed25519':
        assert wanted in text, wanted


@case
def refusals_name_file_and_remedy(lab):
    bad = lab.written('bad.json', dict(lab.results, results=[{'bench': 1}]))
    for command in 'model', 'report':
        assert 'results[0].bench' in bench(command, '--from', bad, code=1)
        assert 'none.json' in bench(command, '--from', 'none.json', code=1)
        bench(command, '--nonsense', code=2)
    without = lab.written('few.json', dict(lab.results, results=[
        r for r in lab.results['results'] if r['bench'] != 'bridge']))
    assert 'bridge.t_marshal.1' in bench('model', '--from', without, code=1)
    full = bench('report', '--from', RESULTS, '-o', '/dev/full', code=1)
    assert '/dev/full' in full, full


@case
def page_is_self_contained(lab):
    assert not re.search(r'<script|\bon\w+=|@import|<iframe|<object|<embed', lab.html)
    links = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', lab.html)
    assert [link for link in links if not link[0].startswith('data:')] == [], links


@case
def every_figure_is_plotted(lab):
    """A mark for every figure. test_bench.py asks the same of what the benches measure then."""
    report_page.check(lab.html, lab.results)


@case
def renamed_figures_are_missed(lab):
    """The check above sees a figure of a plot that goes by another name."""
    for name in ('tier1.64', 'tier3.mtu9000', 'latency.50', 'growth.mixed', 'cores.2',
                 'tier3.tree16'):
        document = dict(lab.results, results=[
            dict(result, name='other' if result['name'] == name else result['name'])
            for result in lab.results['results']])
        page = os.path.join(lab.folder.name, 'renamed.html')
        bench('report', '--from', lab.written('renamed.json', document), '-o', page)
        with open(page, encoding='utf-8') as file:
            html = file.read()
        try:
            report_page.check(html, document)
        except AssertionError:
            continue
        raise AssertionError(f'{name} was not missed')


@case
def bars_are_as_long_as_their_figures(lab):
    """In pixels of the page, from zero on."""
    wide = {name: lab.browser.run(WIDTH_OF_BARS, name) for name in ('plot-growth', 'plot-cores')}
    rows = report_page.rows(lab.results)
    growth = [next(r['value'] for r in rows[name]['ratios'] if r['to'] == 'one of each')
              for name in report_page.expected(lab.results)['plot-growth']]
    cores = [rows[name]['median'] for name in report_page.expected(lab.results)['plot-cores']]
    for name, values in (('plot-growth', growth), ('plot-cores', cores)):
        for bar, value in zip(wide[name], values):
            assert abs(bar / wide[name][0] - value / values[0]) < 0.02, (name, bar, value)


@case
def every_plot_is_laid_out(lab):
    for width in WIDTHS:
        lab.browser.width(width)
        sizes = lab.browser.run(SIZES)
        assert sorted(sizes) == sorted(report_page.expected(lab.results)), sizes
        for name, (wide, high, letters) in sizes.items():
            assert wide > 200 and high > 50, (width, name, wide, high)
            assert letters >= LETTERS_MIN, (width, name, letters)


@case
def nothing_leaves_its_drawing(lab):
    for width in WIDTHS:
        lab.browser.width(width)
        found = lab.browser.run(OUTSIDE)
        assert not found, (width, found[:5])


@case
def text_does_not_cover_text(lab):
    for width in WIDTHS:
        lab.browser.width(width)
        found = lab.browser.run(OVERLAPS)
        assert not found, (width, found[:5])


@case
def page_never_scrolls_sideways(lab):
    for width in WIDTHS:
        lab.browser.width(width)
        wide = lab.browser.run('return document.documentElement.scrollWidth')
        assert wide <= width, (width, wide)


@case
def drawings_name_and_describe_themselves(lab):
    names = lab.browser.run('''
        return [...document.querySelectorAll('svg')].map(svg =>
            svg.getAttribute('aria-labelledby').split(' ').map(
                id => document.getElementById(id).textContent));''')
    assert len(names) == len(report_page.expected(lab.results)), names
    assert all(all(pair) for pair in names), names


@case
def every_figure_is_in_the_table(lab):
    rows = lab.browser.run('''
        const heading = [...document.querySelectorAll('h2')].find(
            h => h.textContent == 'Every figure');
        return [...heading.nextElementSibling.querySelectorAll('tr')].slice(1).map(
            row => [...row.cells].map(cell => cell.firstChild.textContent));''')
    results = lab.results['results']
    assert [row[0] for row in rows] == [r['name'] for r in results]
    assert [row[1] for row in rows] == [r['scope'] for r in results]
    assert [int(row[6]) for row in rows] == [r['repetitions'] for r in results]
    for row, one in zip(rows, results):
        for cell, name in zip(row[2:5], ('median', 'minimum', 'maximum')):
            number = float(cell.rstrip('kMG')) * {'k': 1e3, 'M': 1e6, 'G': 1e9}.get(cell[-1], 1)
            assert abs(number / one[name] - 1) < 1e-3, (cell, one[name])


@case
def scenarios_are_the_contracts(lab):
    shown = lab.browser.run('return document.body.textContent')
    for number in '178571', '6451612', '10000000':
        assert number in shown, number


@case
def text_of_files_stays_text(lab):
    shown = lab.browser.run('return document.body.textContent')
    assert HOSTILE in shown


@case
def dark_and_light(lab):
    """Dark where the reader's system is; all text stands out in both, by WCAG's 4.5 to 1."""
    for scheme, is_dark in (('dark', True), ('light', False)):
        lab.browser.scheme(scheme)
        page, contrast, text = lab.browser.run(CONTRAST)
        assert (page < 0.05) == is_dark and (page > 0.8) != is_dark, (scheme, page)
        assert contrast >= CONTRAST_MIN, (scheme, contrast, text)


@case
def prints(lab):
    pdf = lab.browser.pdf()
    assert pdf.startswith(b'%PDF') and len(pdf) > 20000, len(pdf)


@case
def silent_and_alone(lab):
    assert lab.browser.log('browser') == []
    asked = {url for url in lab.browser.requests() if not url.startswith('data:')}
    assert asked == {'file://' + lab.page}, asked


@case
def missing_results_are_named(lab):
    few = lab.written('nothing.json', dict(lab.results, results=[]))
    page = os.path.join(lab.folder.name, 'nothing.html')
    bench('report', '--from', few, '-o', page)
    lab.browser.open(page)
    shown = lab.browser.run('return document.body.textContent')
    for command in 'tier3', 'all', 'latency', 'growth', 'cores':
        assert f'atr-bench {command} measures it' in shown, command
    assert 'No model: these results lack tier3' in shown


if __name__ == '__main__':
    Report.main(Lab)
