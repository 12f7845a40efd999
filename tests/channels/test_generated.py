"""Property: on generated networks the analysis finds the groups that the literal one finds on full integer arrays."""

import numpy as np
from hypothesis import HealthCheck, given, settings

from modellego.capture import capture
from modellego.channels import analyse

from ..cut.generated import Generated, Grouped, networks
from .reference import Reference

# grouped convolutions also tie what must stay equal in number
ungrouped = networks().filter(lambda model: not any(isinstance(block, Grouped) for block in model.blocks))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(ungrouped)
def test_groups_are_those_of_full_integer_arrays(model: Generated) -> None:
    network = capture(model.eval(), (3, 4, 4))
    channels, reference = analyse(network), Reference(network)
    assert set(channels.layer_out) == set(reference.made)
    renamed: dict[int, int] = {-1: -1}
    for path in channels.layer_out:
        for found, wanted in ((channels.layer_in, reference.read), (channels.layer_out, reference.made)):
            for group, known in zip(found[path].tolist(), reference.groups(wanted[path]).tolist(), strict=True):
                assert renamed.setdefault(group, known) == known
    assert len(set(renamed.values())) == len(renamed)
    cuttable = {renamed[group] for group in np.flatnonzero(channels.cuttable).tolist()}
    assert cuttable == reference.cuttable()
