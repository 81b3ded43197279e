# SPDX-License-Identifier: BSD-3-Clause
"""What a page of atr-bench report must draw of a file of results, by the names of the benches."""
import re
import xml.etree.ElementTree as ElementTree

STACKED = ('tier3.mtu1500', 'tier3.mtu9000', 'classd')
TREES = re.compile(r'tier3\.(tree\d+|mtu1500)|growth\.one(\.(?!io_bound|hash_bound)\w+)?|'
                   r'cores\.(1|one\.\d+)')
VARIED = re.compile(r'growth\.|cores\.|tier3\.tree')
# Each of them is plotted; a bench that renames one takes it off the page.
PLOTTED = (STACKED, ('latency.10', 'latency.50', 'latency.80', 'classd.ack_latency'),
           ('cores.1', 'cores.2'), ('tier3.tree1', 'tier3.tree16'),
           ('growth.fanout.3', 'growth.mixed'))
TILES = 8
COUNTED = re.compile(r'^(growth\.[a-z]+|tier3\.tree|bridge\.t_[a-z]+)\.?\d+(\.\d+)?')
BESIDE = re.compile(r'^growth\.one\.(?!io_bound|hash_bound)\w+')
ONE_CORE = re.compile(r'^cores\.one\.\d+')


def rows(document):
    return {result['name']: result for result in document['results']}


def kinds(document):
    """Names without how many topics, rules and so on there are, which --quick makes fewer, and
    without what a row of one of each stands beside."""
    names = {COUNTED.sub(r'\1', name) for name in rows(document)}
    return {ONE_CORE.sub('cores.1', BESIDE.sub('growth.one', name)) for name in names}


def ratios(document, wanted):
    return [(name, ratio['to']) for name, result in rows(document).items()
            for ratio in result.get('ratios', []) if wanted(name, ratio['to'])]


def points(document):
    """Messages under a signature of every tree size that was measured."""
    sizes = set()
    for name, result in rows(document).items():
        if TREES.fullmatch(name) and result['parameters']['sources'] == 1:
            checks = result['checks']
            sizes.add(int(checks.get('messages_per_root',
                                     result['median'] / checks['roots_per_second']) + 0.5))
    return sizes


def expected(document):
    """Labels of every plot's marks, in their order; of plot-model how many points."""
    plots = {'plot-model': len(points(document)), 'plot-stages': []}
    for name in STACKED:
        plots['plot-stages'].append(f'{name}: by stage')
        if any(to == 'hash bound' for _, to in ratios(document, lambda n, _, w=name: n == w)):
            plots['plot-stages'].append(f'{name}: hash bound')
    plots['plot-ratios'] = [f'{name} of {to}' for name, to in ratios(
        document, lambda name, _: not VARIED.match(name))]
    plots['plot-growth'] = [name for name, _ in ratios(
        document, lambda _, to: to == 'one of each')]
    plots['plot-cores'] = [name for name in rows(document) if re.fullmatch(r'cores\.\d+', name)]
    drawn = [result for result in document['results'] if 'histogram' in result]
    for number, result in enumerate(drawn):
        plots[f'plot-latency-{number}'] = result['name']
    return plots


def drawings(html):
    return {svg.get('id'): svg for svg in map(
        ElementTree.fromstring, re.findall(r'<svg.*?</svg>', html, re.S))}


def check(html, document):
    """Every plot is there, with a mark for every figure and no other."""
    missing = [name for names in PLOTTED for name in names if name not in rows(document)]
    assert not missing, missing
    assert 'Not in these results' not in html and 'No model' not in html
    assert html.count('<div class="tile">') == TILES, html.count('<div class="tile">')
    wanted, drawn = expected(document), drawings(html)
    assert sorted(drawn) == sorted(wanted), (sorted(drawn), sorted(wanted))
    for name, labels in wanted.items():
        svg = drawn[name]
        if name == 'plot-model':
            # Three lines and the points, each once more in the legend.
            circles, lines = svg.findall('circle'), [
                path for path in svg.findall('path') if path.get('class')[0] == 'l']
            assert len(circles) == labels + 1 and len(lines) == 6, (len(circles), labels)
            assert labels >= 3, labels
        elif isinstance(labels, str):
            assert svg.find('title').text == labels, (name, labels)
            assert len(svg.findall('rect')) > 1, name
            dashed = [path for path in svg.findall('path') if 'dashed' in path.get('class')]
            assert len(dashed) == 3, (name, len(dashed))
        else:
            said = [text.text for text in svg.findall('text') if text.get('class') == 'halo']
            assert said == labels and labels, (name, said, labels)
            assert name == 'plot-stages' or len(svg.findall('rect')) == len(labels), name
