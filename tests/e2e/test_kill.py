#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair
"""kill -9 under load: a few rounds of kill_loop.py, which does a hundred when asked."""
import kill_loop
from atr_harness import Report, case
from lab import exists

ROUNDS = 5


@case
def killed_under_load(_):
    """Invariant: what was acknowledged is in the log and delivered, in order, under one number,
    once, whenever the appliance and its producers are killed."""
    figures = kill_loop.run(ROUNDS)
    assert figures['acknowledgements'] > 0 and figures['replies'] > 0, figures
    assert figures['events in the log'] > 1000, figures
    for summary in figures['summaries'].values():
        assert summary['taken'] > 0, summary
    print(f'# {figures}')


if __name__ == '__main__':
    Report.main(exists)
