# SPDX-License-Identifier: BSD-3-Clause
"""Adds to provoke.py what operators are refused, under the plan of plan.py's governed_document."""
import atrwire as wire
import plan
from provoke import Refused, provokes


def governing(t, type_name, payload, source='alpha'):
    return t.envelope(source=source, type_name=type_name, payload=payload)


def motion(text, **change):
    """What an approval says of a document that is to replace the plan in force."""
    replaced = wire.canonical(plan.governed_document())
    return {'digest': wire.sha256(text.encode()).hex(),
            'replaces': wire.sha256(replaced.encode()).hex(), 'version': 2, **change}


@provokes('gov_operator')
def _(t):
    return Refused(governing(t, 'plan-approval', motion('x'), 'gamma'),
                   governing(t, 'plan-chunk', plan.chunks('x')[0], 'gamma'))


@provokes('gov_stale')
def _(t):
    return Refused(governing(t, 'plan-approval', motion('x', replaces=64 * '0')),
                   governing(t, 'plan-change', motion('x', version=1, why='no higher version')))


@provokes('gov_chunk')
def _(t):
    chunk, = plan.chunks('a document of no plan')
    first = {**chunk, 'total': 99}
    return Refused(governing(t, 'plan-chunk', {**chunk, 'offset': 1 << 20}),
                   governing(t, 'plan-chunk', {**first, 'offset': 1}),
                   governing(t, 'plan-chunk', {**first, 'bytes': 'AAA'}),
                   first=[governing(t, 'plan-chunk', first)])


@provokes('gov_document')
def _(t):
    chunk, = plan.chunks('{"no":"plan"}')
    return Refused(governing(t, 'plan-change', motion('nowhere', why='not pushed')),
                   governing(t, 'plan-change', motion('{"no":"plan"}', why='no plan')),
                   first=[governing(t, 'plan-chunk', chunk)])


@provokes('gov_approvals')
def _(t):
    text = wire.canonical({**plan.governed_document(), 'version': 2})
    first = [governing(t, 'plan-chunk', chunk) for chunk in plan.chunks(text)]
    first.append(governing(t, 'plan-approval', motion(text)))
    return Refused(governing(t, 'plan-change', motion(text, why='one is not enough')),
                   first=first)
