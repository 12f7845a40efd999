"""What the map says of itself."""

from dataclasses import replace

import numpy as np

from modellego.channels import ChannelMap


def made(**ids: list[int]) -> ChannelMap:
    """A map of six groups, the first two kept whole."""
    cuttable = np.array([False, False, True, True, True, True])
    arrays = {name: np.array(found, dtype=np.int64) for name, found in ids.items()}
    layers = {"a": np.array([0, 1, -1]), "b": np.array([2, 3, 3, 1])}
    return ChannelMap(arrays, {"parts": [np.array([4, 5]), np.array([3])]}, 6, cuttable, [], {}, layers, None)


def test_keeping_all_keeps_every_group() -> None:
    assert made().keep_all().tolist() == [True] * 6


def test_a_cut_leaves_what_may_not_go_and_of_the_logits_those_wanted() -> None:
    channels = replace(made(), logit_groups=np.array([3, 5]))
    keep = np.array([False, True, True, False, False, True])
    assert np.flatnonzero(channels.left_by(keep, logits=[0])).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(channels.left_by(keep)).tolist() == [0, 1, 2, 5]


def test_logits_tied_to_other_channels_are_left_as_the_mask_says() -> None:
    keep = np.array([True, True, True, False, False, False])
    assert made().left_by(keep, logits=[1]).tolist() == keep.tolist()


def test_tensors_are_told_once_each_and_only_where_they_may_end_empty() -> None:
    found = made(x=[-1, 2], y=[3, 2, 3], z=[2, 3], w=[0]).tensors()
    assert [groups.tolist() for groups in found] == [[2, 3], [0], [4, 5], [3]]


def test_the_summary_counts_groups_and_output_channels() -> None:
    assert made().summary() == {"groups": 6, "cuttable_groups": 4, "channels": 7, "cuttable_channels": 3}


def test_the_summary_of_a_network_without_layers_counts_none() -> None:
    empty = ChannelMap({}, {}, 0, np.zeros(0, dtype=bool), [], {}, {}, None)
    assert empty.summary() == {"groups": 0, "cuttable_groups": 0, "channels": 0, "cuttable_channels": 0}
