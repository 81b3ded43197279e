# SPDX-License-Identifier: BSD-3-Clause
"""What must come out of the demo, computed from the input file and the plan's conditions alone: no
line of the conversion script or of the appliance is used."""
import collections
import decimal
import json
import operator

Expected = collections.namedtuple('Expected', 'events sources feeds')
COMPARE = {'==': operator.eq, '!=': operator.ne, '<': operator.lt, '<=': operator.le,
           '>': operator.gt, '>=': operator.ge,
           'in': lambda value, listed: value in listed,
           'between': lambda value, pair: pair[0] <= value <= pair[1]}
# Where the GeoJSON keeps what the plan calls by these names.
WHERE = {'lon': lambda f: f['geometry']['coordinates'][0],
         'lat': lambda f: f['geometry']['coordinates'][1],
         'depth': lambda f: f['geometry']['coordinates'][2]}


def field_value(feature, name, scale):
    """A field at the precision in which the plan carries it, halves rounded away from zero."""
    raw = WHERE[name](feature) if name in WHERE else feature['properties'][name]
    if raw is None:
        return None
    step = decimal.Decimal(1).scaleb(-scale)
    return decimal.Decimal(str(raw)).quantize(step, decimal.ROUND_HALF_UP)


def matches(feature, condition, scales):
    value = field_value(feature, condition['field'], scales[condition['field']])
    if value is None:
        return False
    wanted = json.loads(json.dumps(condition['value']), parse_float=decimal.Decimal)
    return COMPARE[condition['op']](value, wanted)


def type_of(feature):
    return 'quake' if feature['properties']['type'] == 'earthquake' else 'blast'


def expected(path, plan):
    """Events, sources, and for each feed of the plan the events that must reach it once."""
    with open(path, encoding='utf-8') as file:
        features = json.load(file)['features']
    scales = {field['name']: field.get('scale', 0) for one in plan['types']
              for field in one['binary']['fields']}
    feeds = collections.OrderedDict((feed['name'], 0) for feed in plan['feeds'])
    for feature in features:
        reached, kind, source = set(), type_of(feature), feature['properties']['net']
        for rule in plan['rules']:
            if (kind in rule['types'] and source in rule['sources']
                    and f'{kind}.{source}' in rule['topics']
                    and all(matches(feature, one, scales) for one in rule.get('where', []))):
                reached.update(rule.get('feeds', []))
        for name in reached:
            feeds[name] += 1
    return Expected(len(features), {f['properties']['net'] for f in features}, feeds)
