#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kills the appliance (kill -9) again and again under load, producers now and then too, and lets
the independent checker judge what is left.

usage: kill_loop.py [--rounds 100] [--seed N] [--rate FRAMES_A_SECOND] [--shards 2]"""
import argparse
import json
import os
import random
import statistics
import sys
import time

import classd_lab
import classd_record

SOURCES = ('alpha', 'beta', 'gamma')
ALIVE_MIN, ALIVE_MAX = 0.3, 2.5  # seconds between serving and the kill
PRODUCER_ONE_IN = 3  # rounds in which a producer is killed as well


class Loop:
    """The rounds. rate: frames a second of all producers together."""

    def __init__(self, seed, rate, shards, args=()):
        self.random, self.rate = random.Random(seed), rate / len(SOURCES)
        self.lab = classd_lab.Lab(args, shards=shards)
        self.producers = {}

    def begin(self):
        self.lab.start()
        self.subscriber = self.lab.subscriber_process()
        for source in SOURCES:
            self._produce(source)

    def _produce(self, source):
        self.producers[source] = self.lab.producer_process(source, rate=self.rate)

    def round(self):
        pick = self.random
        time.sleep(pick.uniform(ALIVE_MIN, ALIVE_MAX))
        self.lab.atr.alive()
        victim = pick.choice(SOURCES) if pick.randrange(PRODUCER_ONE_IN) == 0 else None
        if victim:
            self.producers[victim].kill()
            self.producers[victim].wait()
        self.lab.checkpoints()
        self.lab.kill()
        if victim:
            self._produce(victim)
        self.lab.start()

    def end(self):
        """Settles, fills, stops and judges; returns the figures."""
        summaries = {source: self.lab.finish(child, 120)
                     for source, child in self.producers.items()}
        for source, summary in summaries.items():
            assert summary['open'] == 0, f'{source} is not settled: {summary}'
        self.lab.finish(self.subscriber)
        self.lab.fill(120)
        self.lab.checkpoints()
        output = self.lab.stop()
        figures = self.lab.judge()
        figures['checkpoints'] = len(self.lab.notes)
        figures['summaries'], figures['output'] = summaries, output.splitlines()[-3:]
        figures['restarts'] = restarts(self.lab)
        return figures


def restarts(lab):
    """Seconds from the start of a process until telemetry answers, and until the first
    acknowledgement."""
    acks = sorted(entry['t'] for path in lab.journals if os.path.exists(path)
                  for entry in classd_record.read(path) if entry['k'] == 'ack')
    first = []
    for start, following in zip(lab.starts, [*lab.starts[1:], time.time_ns()]):
        got = next((t for t in acks if start < t < following), None)
        if got:
            first.append((got - start) / 1e9)
    served = lab.served[1:] or lab.served
    return {'serving median': round(statistics.median(served), 3),
            'serving most': round(max(served), 3),
            'first acknowledgement median': round(statistics.median(first[1:] or first), 3),
            'first acknowledgement most': round(max(first[1:] or first), 3),
            'starts without one before the next kill': len(lab.starts) - len(first)}


def run(rounds, seed=None, rate=600, shards=2, args=(), report=lambda _: None):
    """All of it; returns the figures, raises AssertionError on a violation."""
    seed = random.randrange(2**32) if seed is None else seed
    loop = Loop(seed, rate, shards, args)
    try:
        loop.begin()
        for number in range(rounds):
            loop.round()
            report(f'round {number + 1} of {rounds}: serving after {loop.lab.served[-1]:.2f} s')
        return loop.end()
    except AssertionError as error:
        raise AssertionError(f'seed {seed}: {error}') from error
    finally:
        loop.lab.close()


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--rounds', type=int, default=100)
    options.add_argument('--seed', type=int)
    options.add_argument('--rate', type=float, default=600)
    options.add_argument('--shards', type=int, default=2)
    options.add_argument('args', nargs='*', help='options of atr, behind --')
    given = options.parse_args()
    try:
        figures = run(given.rounds, given.seed, given.rate, given.shards, given.args,
                      lambda line: print(line, flush=True))
    except AssertionError as error:
        print(f'not ok kill_loop: {error}')
        sys.exit(1)
    print(json.dumps(figures, indent=1))
    print(f'ok kill_loop: {given.rounds} rounds, no violation')


if __name__ == '__main__':
    main()
