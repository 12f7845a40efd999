"""The closed list of ops a network may call, by name and by family; an op that is not on it is refused by name.

The family says what an op does to channels, and picks its rule in the `channels` room. A user may add an op of a
library of theirs with `modellego.channels.add_rule`, which enters it here.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch

# Every position is worked on alone; channels pass through.
ELEMENTWISE = """
abs.default celu.default clamp.default clamp.Tensor clamp_min.default clamp_max.default clone.default
contiguous.default cos.default detach.default elu.default erf.default exp.default expm1.default floor.default
gelu.default hardsigmoid.default hardswish.default hardtanh.default leaky_relu.default log.default log1p.default
log_sigmoid.default logical_not.default mish.default neg.default pow.Tensor_Scalar reciprocal.default relu.default
relu6.default round.default rsqrt.default selu.default sigmoid.default sign.default silu.default sin.default
softplus.default sqrt.default square.default tan.default tanh.default threshold.default to.device to.dtype
to.dtype_layout to.other _to_copy.default alias.default lift_fresh_copy.default type_as.default dropout.default
nan_to_num.default bitwise_not.default zero.default fill.Scalar fill.Tensor
"""
# Two or more tensors meet position by position: channels that meet are tied.
BINARY = """
add.Tensor add.Scalar sub.Tensor sub.Scalar rsub.Scalar rsub.Tensor mul.Tensor mul.Scalar div.Tensor div.Scalar
div.Tensor_mode maximum.default minimum.default pow.Tensor_Tensor where.self where.ScalarOther where.ScalarSelf
lerp.Tensor lerp.Scalar addcmul.default eq.Scalar ne.Scalar gt.Scalar lt.Scalar ge.Scalar le.Scalar eq.Tensor
ne.Tensor gt.Tensor lt.Tensor ge.Tensor le.Tensor logical_and.default logical_or.default masked_fill.Scalar
masked_fill.Tensor atan2.default index_add.default index_reduce.default
"""
# Works on the last axes (positions), channel by channel.
SPATIAL = """
avg_pool1d.default avg_pool2d.default avg_pool3d.default max_pool1d.default max_pool2d.default max_pool3d.default
adaptive_avg_pool1d.default adaptive_avg_pool2d.default adaptive_avg_pool3d.default adaptive_max_pool1d.default
adaptive_max_pool2d.default max_pool2d_with_indices.default upsample_nearest2d.vec upsample_nearest2d.default
upsample_bilinear2d.vec upsample_bilinear2d.default upsample_bicubic2d.vec upsample_bicubic2d.default
_upsample_bilinear2d_aa.vec _upsample_bicubic2d_aa.vec upsample_nearest1d.vec upsample_linear1d.vec
grid_sampler.default reflection_pad2d.default replication_pad2d.default
"""
# Moves positions about; executed on an array of channel ids.
STRUCTURAL = """
cat.default stack.default split.Tensor split_with_sizes.default chunk.default tensor_split.sections unbind.int
slice.Tensor select.int narrow.default index_select.default index.Tensor flatten.using_ints unflatten.int
view.default reshape.default _unsafe_view.default transpose.int t.default permute.default movedim.int
movedim.intlist unsqueeze.default squeeze.dim squeeze.dims squeeze.default expand.default expand_as.default
repeat.default tile.default roll.default flip.default pixel_shuffle.default pixel_unshuffle.default
channel_shuffle.default repeat_interleave.self_int broadcast_to.default swapaxes.default numpy_T.default mT.default
view_as.default reshape_as.default unfold.default
"""
# An axis is summed, averaged or normalised away.
REDUCTION = """
mean.dim mean.default sum.dim_IntList sum.default amax.default amin.default std.correction var.correction std.dim
var.dim var_mean.correction max.dim min.dim norm.ScalarOpt_dim linalg_vector_norm.default logsumexp.default
prod.dim_int argmax.default softmax.int log_softmax.int _softmax.default cumsum.default
"""
# Tensors are multiplied with one another: attention.
MATMUL = "matmul.default bmm.default baddbmm.default scaled_dot_product_attention.default"
# New constants of a size that depends on the batch.
CONSTANT = """
zeros.default ones.default full.default arange.default arange.start arange.start_step zeros_like.default
ones_like.default full_like.default new_zeros.default new_ones.default new_full.default
linspace.default scalar_tensor.default eye.default
"""
# Padding: zeros beside the channels are channels of their own; elsewhere they are positions.
PAD = "pad.default constant_pad_nd.default"
# Whole-tensor ops whose channels stay as they are: everything that touches them is kept whole.
OPAQUE = """
conv1d.default conv2d.default conv2d.padding conv3d.default conv_transpose2d.input linear.default einsum.default
batch_norm.default layer_norm.default group_norm.default instance_norm.default prelu.default fft_rfft2.default
fft_irfft2.default fft_fft2.default fft_ifft2.default complex.default view_as_complex.default view_as_real.default
real.default imag.default topk.default sort.default gather.default scatter_add.default scatter_reduce.two
scatter.src scatter.value index_put.default native_layer_norm.default addmm.default mm.default addbmm.default
im2col.default unfold_copy.default col2im.default masked_select.default nonzero.default local_response_norm.default
rms_norm.default one_hot.default meshgrid.indexing bitwise_and.Tensor bitwise_or.Tensor native_group_norm.default
outer.default dot.default tril.default triu.default copy.default slice_scatter.default select_scatter.default
embedding.default cdist.default lstm.input gru.input
"""
SCALAR = {
    "aten.sym_size.int": torch.ops.aten.sym_size.int,
    "operator.getitem": operator.getitem,
    "operator.mul": operator.mul,
    "operator.add": operator.add,
    "operator.sub": operator.sub,
    "operator.floordiv": operator.floordiv,
    "operator.truediv": operator.truediv,
    "operator.mod": operator.mod,
    "operator.neg": operator.neg,
    "operator.pow": operator.pow,
    "operator.eq": operator.eq,
    "operator.ge": operator.ge,
    "operator.le": operator.le,
    "operator.gt": operator.gt,
    "operator.lt": operator.lt,
    "operator.ne": operator.ne,
    "math.ceil": __import__("math").ceil,
    "math.floor": __import__("math").floor,
    "torch.sym_max": torch.sym_max,
    "torch.sym_min": torch.sym_min,
    "torch.sym_int": torch.sym_int,
    "torch.sym_float": torch.sym_float,
}


def _resolve(names: str) -> dict[str, Callable[..., Any]]:
    """Look the ops of one family up in `torch.ops.aten`, leaving out what this torch does not have."""
    found: dict[str, Callable[..., Any]] = {}
    for name in names.split():
        packet = getattr(torch.ops.aten, name.split(".")[0], None)
        overload = getattr(packet, name.split(".")[1], None)
        if overload is not None:
            found[f"aten.{name}"] = overload
    return found


_FAMILIES: dict[str, str] = {
    "elementwise": ELEMENTWISE,
    "binary": BINARY,
    "spatial": SPATIAL,
    "structural": STRUCTURAL,
    "reduction": REDUCTION,
    "matmul": MATMUL,
    "constant": CONSTANT,
    "pad": PAD,
    "opaque": OPAQUE,
}

OPS: dict[str, Callable[..., Any]] = dict(SCALAR)
FAMILY: dict[str, str] = dict.fromkeys(SCALAR, "scalar")
for _family, _names in _FAMILIES.items():
    for _name, _op in _resolve(_names).items():
        OPS[_name] = _op
        FAMILY[_name] = _family


def add_op(name: str, op: Callable[..., Any], family: str = "opaque") -> None:
    """Enter an op from outside into the closed list, for this process only."""
    OPS[name] = op
    FAMILY[name] = family
    _NAMES[op] = name


_NAMES: dict[Any, str] = {op: name for name, op in OPS.items()}


def op_name(op: Any) -> str | None:
    """Return the name of an op on the closed list, or None.

    >>> op_name(torch.ops.aten.relu.default)
    'aten.relu.default'
    """
    return _NAMES.get(op)
