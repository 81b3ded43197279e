#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""The independent checker of class D (classd_check.py), checked: evidence that fits passes, and
each thing that it must find is found when it is broken on purpose."""
import tempfile

import atrwire as wire
import classd_ack
import classd_check
import classd_forge as forge
import plan
from atr_harness import CASES, Report, case
from classd_plan import Plan, matches

BREAKERS = []  # (rule, what, function of a World that returns a change of the evidence, or None)


def breaks(rule):
    def register(function):
        BREAKERS.append((rule, function.__name__, function))
        return function
    return register


def violations(prepare=None):
    with tempfile.TemporaryDirectory(prefix='atr-checker-') as work:
        world = forge.World()
        change = prepare(world) if prepare else None
        return world.judge(work, change)


@case
def what_fits_passes(_):
    """Invariant: evidence that fits together has no violation."""
    assert violations() == []


@case
def every_rule_has_a_breaker(_):
    """Invariant: no rule of the checker goes untested."""
    assert {rule for rule, _, _ in BREAKERS} == set(classd_check.RULES)


# --- the log ---

@breaks('plan')
def record_of_another_generation(world):
    world.groups[1][0]['generation'] = 2


@breaks('plan')
def chunks_out_of_order(world):
    world.groups[0][1:3] = world.groups[0][2:0:-1]


@breaks('plan')
def commit_with_another_digest(world):
    world.digest = bytes(32)


@breaks('unsent')
def frame_that_nobody_sent(world):
    return lambda evidence, _: evidence.frames.pop(world.frames[3])


@breaks('unsent')
def envelope_that_nobody_sent(world):
    return lambda evidence, _: evidence.envelopes.pop(world.envelope)


@breaks('twice')
def frame_logged_twice(world):
    world.groups[3].append(forge.frame_record(world.frames[0]))


@breaks('twice')
def envelope_logged_twice(world):
    world.groups[3].append(forge.envelope_record(world.envelope, 1, 1, 1, 0b111))


@breaks('twice')
def one_sequence_in_two_frames(world):
    other = world.frame(3)
    world.frames.append(other)
    world.groups[3].append(forge.frame_record(other, 0b0001))


@breaks('allowed')
def event_that_no_rule_allows(world):
    world.frames.append(world.frame(30, topic='test.closed'))
    world.groups[3].append(forge.frame_record(world.frames[-1]))


@breaks('allowed')
def frame_of_which_nothing_is_admitted(world):
    world.frames.append(world.frame(30))
    world.groups[3].append(forge.frame_record(world.frames[-1], 0))


@breaks('shard')
def source_of_another_shard(_):
    def change(_, shards):
        shards[1] = shards[0]
    return change


@breaks('feeds')
def envelope_on_other_feeds(world):
    world.envelope_entry['feeds'] = 0b101
    world.positions[2][1] = 4
    world.positions[3][1] = 6


@breaks('position')
def position_one_too_high(world):
    world.positions[2][0] += 1


@breaks('position')
def position_left_out(world):
    del world.positions[2][1]


@breaks('position')
def position_of_a_feed_of_no_class(world):
    world.positions[2][2] = 12


# --- acknowledgements ---

def with_bodies(world, *bodies):
    """More acknowledgements, signed as they must be."""
    whole = world.bodies
    world.bodies = lambda shard: whole(shard) + [one(shard) if callable(one) else one
                                                 for one in bodies]


def answer(world, group, first, *result, record=0, told=None, floor=0, **more):
    """One more acknowledgement, of the bytes of a logged frame. told: the record in its group whose
    position it names."""
    def body(shard):
        records = shard.groups[group].records
        position = classd_ack.NO_POSITION if told is None else records[told].leaf
        return forge.body(1, floor, forge.entry(first, position, records[record].leaf_hash, 4,
                                                *result, **more))
    with_bodies(world, body)


@breaks('ack')
def acknowledgement_with_a_flipped_bit(_):
    def change(evidence, _):
        spoiled = bytearray(evidence.acks[0][1])
        spoiled[200] ^= 1
        evidence.acks.append((0, bytes(spoiled)))
    return change


@breaks('ack')
def acknowledgement_signed_by_another_key(_):
    def change(evidence, _):
        evidence.acks += [(0, one) for one in classd_ack.seal_acks(
            [forge.body(1, 0, forge.entry(1, 0, bytes(32), 1, 111))], plan.REALM,
            forge.CHECKPOINTS, [99])]
    return change


@breaks('ack')
def acknowledgement_number_used_twice(world):
    def change(evidence, shards):
        evidence.acks += [(0, one) for one in classd_ack.seal_acks(
            world.bodies(shards[0])[1:], plan.REALM, forge.ACKS, [1])]
    return change


@breaks('ack')
def entry_beyond_the_body(world):
    with_bodies(world, forge.body(1, 0, forge.entry(1, 0, bytes(32), 1, 111))[:-8])


@breaks('ack-unlogged')
def acknowledged_frame_that_is_not_logged(world):
    with_bodies(world, lambda shard: forge.body(1, 0, forge.entry(
        100, 3, wire.sha256(b'nothing'), 4)))


@breaks('ack-unlogged')
def acknowledged_event_that_is_not_admitted(world):
    answer(world, 1, 9, record=2, told=2)


@breaks('ack-unlogged')
def duplicate_that_was_never_admitted(world):
    with_bodies(world, forge.body(1, 0, forge.entry(
        100, classd_ack.NO_POSITION, wire.sha256(b'nothing'), 1, classd_ack.DUPLICATE)))


@breaks('ack-unlogged')
def envelope_that_is_not_logged(_):
    return lambda evidence, _: evidence.replies.append((0, {
        'id': '018f0000-0000-7000-8000-000000000000', 'result': 'admitted', 'position': 1,
        'shard': 0, 'durability': 'commit'}))


@breaks('ack-position')
def frame_acknowledged_at_another_leaf(world):
    answer(world, 1, 1, told=1)


@breaks('ack-position')
def frame_acknowledged_without_position(world):
    answer(world, 1, 1)


@breaks('ack-position')
def envelope_replied_with_another_position(_):
    return lambda evidence, _: evidence.replies[0][1].update(position=99)


@breaks('ack-floor')
def floor_above_the_window(world):
    answer(world, 1, 1, told=0, floor=1)


@breaks('refused-logged')
def finally_refused_frame_that_is_logged(world):
    answer(world, 3, 13, 111, final=True)


@breaks('refused-logged')
def refused_as_often_as_sent_and_logged(world):
    whole = world.bodies  # the first body acknowledges every logged frame
    world.bodies = lambda shard: whole(shard)[1:]
    answer(world, 3, 13, 150)


@case
def shed_once_and_delivered_twice_by_the_network(_):
    """Invariant: a frame that was answered more often than it was sent arrived more often, too, so
    a refusal for now may stand beside its admission (net_af_packet doubles what comes while it sets
    its second queue up)."""
    assert violations(lambda world: answer(world, 3, 13, 150)) == []


@breaks('refused-logged')
def finally_refused_envelope_that_is_logged(world):
    uuid = classd_check.json.loads(world.envelope)['header']['id']
    return lambda evidence, _: evidence.replies.append((0, {
        'id': uuid, 'result': 'refused', 'final': True, 'reason': 'not_allowed'}))


@breaks('reply')
def reply_of_another_durability(_):
    return lambda evidence, _: evidence.replies[0][1].update(durability='none')


# --- deliveries ---

def blocks_of(evidence, number=0):
    return wire.mold_packet(evidence.packets[number][2])[3]


@breaks('session')
def class_d_feed_in_another_epoch(_):
    return lambda evidence, _: evidence.packets.append(
        (0, 'gap', forge.downstream(0, 0, 1, blocks_of(evidence), epoch=forge.EPOCH + 1)))


@breaks('unlogged')
def message_behind_the_last(_):
    return lambda evidence, _: evidence.packets.append(
        (0, 'gap', forge.downstream(0, 0, 21, blocks_of(evidence)[:1])))


@breaks('differs')
def message_under_another_number(_):
    return lambda evidence, _: evidence.packets.append(
        (0, 'gap', forge.downstream(0, 0, 2, blocks_of(evidence)[:1])))


@breaks('differs')
def message_with_a_flipped_bit(_):
    def change(evidence, _):
        t, via, data = evidence.packets[0]
        evidence.packets[0] = t, via, data[:-1] + bytes([data[-1] ^ 1])
    return change


@breaks('order')
def live_messages_in_reverse(_):
    def change(evidence, _):
        evidence.packets[:2] = evidence.packets[1::-1]
    return change


@breaks('undelivered')
def packet_that_never_came(_):
    return lambda evidence, _: evidence.packets.pop(1)


@breaks('undelivered')
def event_that_no_packet_held(_):
    def change(evidence, _):
        t, via, data = evidence.packets[1]
        _, sequence, _, blocks = wire.mold_packet(data)
        evidence.packets[1] = t, via, forge.downstream(0, 0, sequence, blocks[:-1])
    return change


@breaks('announced')
def heartbeat_beyond_the_log(_):
    return lambda evidence, _: evidence.packets.append(
        (0, 'live', forge.downstream(0, 0, 22, [])))


@breaks('checkpoint')
def checkpoint_of_another_tree(_):
    def change(_, shards):
        shards[0].tree.leaves[2] = bytes(32)
    return change


@breaks('checkpoint')
def checkpoint_of_a_longer_log(world):
    def change(_, shards):
        del shards[0].tree.leaves[-1]
    return change


@breaks('digest')
def digest_that_differs(world):
    world.digests.append(('state', 'ab', 'cd'))


def add_breakers():
    for rule, name, function in BREAKERS:
        def one(_, rule=rule, function=function):
            found = {text.split(':')[0] for text in violations(function)}
            assert rule in found, f'not found; found: {found or "nothing"}'
        one.__name__ = name
        CASES.append(one)


# --- what is no violation ---

@case
def repeats_after_a_restart_pass(_):
    """Invariant: what is published again under its number after a restart is no violation."""
    def prepare(world):
        world.starts = [forge.NOW + 50]

        def change(evidence, _):
            evidence.packets.append((forge.NOW + 60, 'live', evidence.packets[0][2]))
        return change
    assert violations(prepare) == []


@case
def resend_of_a_shed_frame_passes(_):
    """Invariant: a frame that was refused for now, sent again and admitted is no violation."""
    def prepare(world):
        answer(world, 3, 13, 150)

        def change(evidence, _):
            evidence.frames[world.frames[3]] = 2
        return change
    assert violations(prepare) == []


@case
def patterns_and_conditions(_):
    """Invariant: feeds follow from the plan as docs/pipeline.md says."""
    assert matches('a.*.c', 'a.b.c') and not matches('a.*', 'a.b.c')
    assert matches('a.>', 'a.b.c') and not matches('a.>', 'a') and not matches('a.b', 'a.c')
    one = Plan(wire.canonical(forge.class_d_plan()))
    assert one.class_d == {0, 1}
    for mag, feeds in ((4.5, {0, 1, 2}), (4.49, {0, 2}), (None, {0, 2})):
        assert one.frame_feeds(1, 1, 1, plan.reading(1, mag)) == feeds, mag
        assert one.envelope_feeds(1, 1, 1, {'n': 1, 'mag': mag}) == feeds, mag
    assert one.frame_feeds(1, 3, 1, plan.reading(1, 3)) == {0}
    assert not one.allowed(9, 1, 1) and not one.allowed(1, 5, 1)
    assert Plan(wire.canonical(forge.class_d_plan()), 'async').class_d == set()


if __name__ == '__main__':
    add_breakers()
    Report.main()
