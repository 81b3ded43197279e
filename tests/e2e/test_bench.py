#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""atr-bench measures what it says, and two ratios that must not fall: tier3 to its hash bound,
tier1 to Ed25519 alone (test_bench_disk.py has the third: class D to the disk alone). Never an
absolute time. A ratio is tried three times and the best counts, as another process on the machine
only ever makes it worse. Pages of 2 MiB where atr-bench finds enough free ones, as it says; none
for the rows."""
import json
import os
import signal
import subprocess
import tempfile
import time

import atr_harness as harness
import report_page
from atr_harness import Report, case

BENCH = os.path.join(harness.BUILD, 'app/bench/atr-bench')
SAMPLE = os.path.join(harness.ROOT, 'tests/data/bench-results.json')
EAL = ['--', '--lcores', '0@0,1@1', '--no-huge', '--no-shconf', '--no-pci', '-m', '1000',
       '--no-telemetry', '--force-max-simd-bitwidth=512', '--log-level=lib.eal:error']
TRIES = 3
SLOW = 400
SCOPES = {'tier3-ceiling', 'class-d', 'tier1', 'bridge', 'reference'}
STAGES = ['rx', 'parse', 'schema', 'canonical', 'shed', 'authenticate', 'ruleset', 'dedup', 'limit',
          'log', 'commit', 'fanout', 'quarantine', 'tx']
# At least these, of those that --quick leaves.
ROWS = ['tier1.64', 'tier1.64.ed25519', 'tier1.1024', 'tier1.1024.ed25519', 'roots.lcores1',
        'roots.lcores2', 'bridge.t_call.1', 'bridge.t_call.32', 'bridge.t_call.1024',
        'bridge.t_marshal.32', 'bridge.t_copy.32.64', 'bridge.t_copy.32.8192', 'tier3.mtu1500',
        'tier3.mtu1500.io_bound', 'tier3.mtu1500.hash_bound', 'tier3.mtu9000', 'tier3.feeds8',
        'tier3.feeds8.deliveries', 'latency.10', 'latency.50', 'latency.80', 'classd',
        'classd.disk', 'classd.ack_latency', 'growth.one.rules', 'growth.rules.1024',
        'growth.topics.1024', 'growth.sources.1024', 'growth.fanout.3', 'growth.mixed',
        'tier3.tree1', 'tier3.tree16', 'cores.1', 'cores.one.2',
        'cores.2']


def bench(*args, **more):
    return subprocess.run([BENCH, *args], capture_output=True, text=True, timeout=SLOW, check=False,
                          **more)


def sanitized():
    """Whether the build under test is one with sanitizers."""
    with open(os.path.join(harness.BUILD, 'meson-info/intro-buildoptions.json'),
              encoding='utf-8') as file:
        values = {option['name']: option['value'] for option in json.load(file)}
    return values['b_sanitize'] not in ('none', [])


def results(*args, eal=()):
    run = bench(*args, '--json', *eal)
    if not eal and 'EAL does not start' in run.stderr:  # another program took the pages meanwhile
        run = bench(*args, '--json', *EAL)
    assert run.returncode == 0, f'{args}: {run.stderr}'
    return json.loads(run.stdout)


def by_name(document):
    rows = {result['name']: result for result in document['results']}
    assert len(rows) == len(document['results']), 'two results have one name'
    return rows


@case
def unfit_build_refused(_):
    """Figures of a sanitizer build mean nothing: one sentence that names the remedy, and 2."""
    if not sanitized():
        return
    run = bench('tier3', '--quick', *EAL)
    assert run.returncode == 2, run
    assert run.stderr.count('\n') == 1 and '--any-build' in run.stderr, run.stderr
    assert not run.stdout, run.stdout


@case
def help_names_commands(_):
    """Help lists every command, and each command's own names its options."""
    run = bench('--help')
    assert run.returncode == 0, run
    for command in ('tier1', 'roots', 'bridge', 'tier3', 'class-d', 'latency', 'growth', 'cores',
                    'all'):
        assert f'\n  {command} ' in run.stdout, command
        own = bench(command, '--help')
        assert own.returncode == 0 and '--passes' in own.stdout, own


@case
def wrong_options_refused(_):
    """A wrong option ends with 2 and says why; nothing is measured."""
    for args in (['nonsense'], ['tier3', '--mtu', '40'], ['tier3', '--fanout', '2'],
                 ['tier3', '--passes', '0'], ['tier3', '--tree', '1025'], ['tier3', '--bad'],
                 ['tier3', '--break=all']):
        run = bench(*args)
        assert run.returncode == 2 and run.stderr and not run.stdout, (args, run)


@case
def nothing_is_ignored(_):
    """What a command would not heed it refuses: a value that is no option's, which EAL would take,
    and options that its rows choose for themselves."""
    for args, word in ((['tier3', '--json', 'out.json'], 'out.json'),
                       (['model', '--json', 'out.json'], 'out.json'),
                       (['growth', '--mtu', '9000'], '--mtu'), (['all', '--tree', '64'], '--tree'),
                       (['cores', '--feeds', '8'], '--feeds'), (['bridge', '--mix'], '--mix')):
        run = bench(*args)
        assert run.returncode == 2 and not run.stdout, (args, run)
        assert run.stderr.count('\n') == 1 and word in run.stderr, (args, run.stderr)


@case
def a_broken_run_fails(_):
    """A frame that is lost, a byte that is another, a root that is forged and expected to pass:
    each ends the run with 1, one sentence, and no figures."""
    if sanitized():
        return
    said = {'lose': 'lost or misjudged', 'alter': 'not the event that was sent',
            'forge': 'lost or misjudged'}
    for command, kinds in (('tier3', ('lose', 'alter', 'forge')), ('class-d', ('alter',))):
        for kind in kinds:
            run = bench(command, '--quick', f'--break={kind}', *EAL)
            assert run.returncode == 1 and not run.stdout, (command, kind, run)
            assert said[kind] in run.stderr.splitlines()[-1], (command, kind, run.stderr)


def check_page(document):
    """The page plots what was measured, and the sample of results has the benches' names."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'results.json')
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(document, file)
        run = bench('report', '--from', path)
    assert run.returncode == 0, run.stderr
    report_page.check(run.stdout, document)
    with open(SAMPLE, encoding='utf-8') as file:
        sample = report_page.kinds(json.load(file))
    unknown = report_page.kinds(document) - sample
    assert not unknown, f'measure tests/data/bench-results.json again: it lacks {unknown}'


def check_quantiles(name, row):
    """Of all answers together: as many as the histogram has, in order, the longest no less than
    that of most passes."""
    if name.startswith('latency.') or name == 'classd.ack_latency':
        assert sum(row['histogram']['counts']) == row['answers'] > 0, row
        for which in 'quantiles', 'pass_quantiles':
            values = list(row[which].values())
            assert values == sorted(values), row
        assert row['quantiles']['max'] >= row['maximum'], row
        assert row['quantiles']['max'] >= row['pass_quantiles']['max'], row


def check_events(row, checked):
    """Of all events that were sent, each has one fate, and those that should be are refused; what
    was admitted left on as many feeds as it should."""
    if checked and row['bench'] in ('tier1', 'tier3', 'class-d') and 'ratios' in row:
        checks = row['checks']
        assert checks['sent'] == sum(checks[fate] for fate in ('admitted', 'refused',
                                                               'duplicates')) > 0, row
        assert checks['refused'] > 0, row
        assert checks['delivered'] == checks['admitted'] * row['parameters']['fanout'], row


@case
def every_row_has_its_scope(_):
    """`all` tells every row with scope, unit, repetitions, median between minimum and maximum; the
    machine as the benches saw it; ratios to rows that are there; events as many as were sent."""
    if sanitized():
        return
    document = results('all', '--quick', eal=EAL)
    rows = by_name(document)
    missing = [name for name in ROWS if name not in rows]
    assert not missing, missing
    assert document['atr_bench'] == 1
    assert document['build']['type'] == 'release' and document['build']['sanitizers'] == 'none'
    machine = document['machine']
    assert machine['lcores'] == '0@0,1@1' and machine['file_system'], machine
    assert machine['pages'] == '4 KiB' and machine['tsc_hz'] > 0 and machine['simd_bits'] > 0
    for name, row in rows.items():
        assert row['scope'] in SCOPES and row['unit'] and row['what'], row
        assert row['repetitions'] >= 1 and row['parameters'], row
        assert 0 < row['minimum'] <= row['median'] <= row['maximum'], row
        for ratio in row.get('ratios', []):
            reference = rows[ratio['reference']]
            assert abs(ratio['value'] - row['median'] / reference['median']) < 1e-6 * \
                max(1, ratio['value']), (name, ratio)
        check_quantiles(name, row)
        check_events(row, 'reference' not in row['scope'])
    check_page(document)


@case
def class_d_needs_a_disk(_):
    """A directory in memory is refused before anything is measured, with the remedy."""
    if sanitized():
        return
    run = bench('class-d', '--quick', '--directory', '/dev/shm', *EAL)
    assert run.returncode == 1 and not run.stdout, run
    assert '/dev/shm' in run.stderr and '--directory' in run.stderr, run.stderr


@case
def nothing_stays_behind(_):
    """The temporary directory goes with the process, also when that is told to end."""
    if sanitized():
        return
    for number in signal.SIGINT, signal.SIGTERM:
        with tempfile.TemporaryDirectory() as folder, \
                subprocess.Popen([BENCH, 'tier3', '--passes=64', '--directory', folder, *EAL],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while not os.listdir(folder) and run.poll() is None:
                time.sleep(0.01)
            run.send_signal(number)
            assert run.wait(SLOW) == -number, run.returncode
            assert not os.listdir(folder), os.listdir(folder)


@case
def a_file_that_cannot_be_written(_):
    """The file for the results is opened before anything is measured."""
    run = bench('tier3', '--json=/nonexistent/results.json', '--any-build', *EAL)
    assert run.returncode == 1 and not run.stdout, run
    assert run.stderr.count('\n') == 1 and '/nonexistent' in run.stderr, run.stderr


@case
def stages_and_checks(_):
    """tier3 names the time of every stage, and that all that was sent was admitted and delivered to
    every feed of its topic."""
    if sanitized():
        return
    rows = by_name(results('tier3', '--quick', '--feeds', '8', '--topics', '8', '--fanout', '3',
                           eal=EAL))
    row = rows['tier3.mtu1500']
    assert [stage['name'] for stage in row['stages']] == STAGES, row['stages']
    assert abs(sum(stage['share'] for stage in row['stages']) - 1) < 1e-6
    check_events(row, True)
    assert row['checks']['delivered'] == 3 * row['checks']['admitted'], row['checks']
    assert row['parameters']['active_topics'] == 8, row['parameters']
    assert row['checks']['roots_verified'] > 0 and row['checks']['roots_per_second'] > 0


def holds(least, name, to, *command):
    seen = []
    for _ in range(TRIES):
        row = by_name(results(*command))[name]
        seen.append(next(ratio['value'] for ratio in row['ratios'] if ratio['to'] == to))
        if seen[-1] >= least:
            return
    raise AssertionError(f'{name} is {seen} of {to}, not {least}; load {os.getloadavg()[0]:.1f}')


@case
def tier3_to_hash_bound(_):
    """The data path with all gates does not fall below a third of hashing alone; half is usual."""
    if not sanitized():
        holds(0.3, 'tier3.mtu1500', 'hash bound', 'tier3', '--passes', '5', '--frames', '1024')


@case
def tier1_to_ed25519(_):
    """An envelope costs little more than its signature; 0.92 is usual."""
    if not sanitized():
        holds(0.8, 'tier1.1024', 'Ed25519 alone', 'tier1', '--payload', '1024', '--passes', '3')


if __name__ == '__main__':
    Report.main()
