"""Bricks in memory: one network with its preprocessing, or several bricks with a joint."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import fx, nn

from modellego.brick.body import Head, body_of, find_head
from modellego.brick.info import BrickInfo, make_info
from modellego.brick.joint import Joint, Read
from modellego.brick.methods import Verbs
from modellego.brick.reject_rule import predict_reject
from modellego.capture.network import Network, annotated, reads_graph
from modellego.data.labels import Vocabulary
from modellego.errors import AssemblyError, DataError, FormatError
from modellego.preprocess import Frame, Framed, apply


class BrickModule(nn.Module, Verbs):
    """What a brick and an assembled model have in common."""

    info: BrickInfo
    name: str = ""  # what it is called in assemblies: its directory, once it was saved or loaded

    def save(self, path: str | Path, force: bool = False) -> Path:
        """Write the brick to a directory and return it; see `modellego.brick.save`.

        Raises:
            FormatError: as `modellego.brick.save`.
        """
        from modellego.brick.format.disk import save  # what is written is built again: the format knows the bricks

        if not isinstance(self, Brick | Assembled):
            raise FormatError(f"a {type(self).__name__} cannot be saved: only a Brick or an Assembled can")
        return save(self, path, force)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        licences: Mapping[str, str] | None = None,
        origins: Mapping[str, str] | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        message: str | None = None,
    ) -> str:
        """Write the brick to a repository of the hub and return its address; see `modellego.brick.hub.push`.

        `licences` and `origins` say of sources under which licence their weights are and where they come from, where
        the brick does not know it.

        Raises:
            HubError: as `modellego.brick.hub.push`.
        """
        from modellego.brick.hub import push

        told = {"licences": licences, "origins": origins, "private": private, "token": token}
        return push(self, repo_id, **told, revision=revision, message=message)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        from modellego.brick.summary import one_line  # which works out what the brick costs

        return one_line(self)  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        from modellego.brick.summary import as_html

        return as_html(self)  # type: ignore[arg-type]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the logits."""
        return self.info.classes

    @property
    def vocabulary(self) -> Vocabulary:
        """The class names and what else labels of images may call the classes."""
        numbers: dict[int, int] = {}
        total = 0
        if len(self.info.sources) == 1 and len(self.info.sources[0].of) == sum(self.info.sizes):
            owners = [k for k, size in enumerate(self.info.sizes) for _ in range(size)]
            numbers = dict(zip(self.info.sources[0].of, owners, strict=True))
            total = self.info.sources[0].total or 0
        return Vocabulary(self.classes, self.info.members, numbers, total)

    def predict_reject(self, logits: torch.Tensor) -> torch.Tensor:
        """Return which rows of this brick's logits `[B, C]` its reject rule turns away, bool `[B]`."""
        return predict_reject(logits, self.info.reject)


class Brick(BrickModule):
    """A classifier of one network: `network(apply(info.preprocess, images))`.

    `network` is the captured graph, each tensor's shape noted in it; `info` is what the brick says about itself. It
    starts in eval mode.

    Raises:
        FormatError: the network does not give one logit per class.
    """

    def __init__(self, network: fx.GraphModule, info: BrickInfo) -> None:
        super().__init__()
        if info.kind != "brick" or info.input_shape is None:
            raise FormatError("a Brick holds one network: its info must have kind 'brick'; use Assembled for several")
        self.network = network
        self.info = info
        if reads_graph(network) != (info.inputs == "graph"):
            raise FormatError("the network's inputs are not those its info names: one image, or a graph's two tensors")
        self.num_outputs = _num_columns(annotated(network, info.input_shape))
        if info.outputs == "logits" and self.num_outputs != len(info.classes):
            raise FormatError(f"the network gives {self.num_outputs} logits for {len(info.classes)} classes")
        self.eval()

    @property
    def frame(self) -> Frame:
        """What of an image the network reads."""
        if self.info.preprocess is not None:
            return self.info.preprocess.frame
        return Frame(cast(tuple[int, ...], self.info.input_shape), None)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What of an image the model's networks read: one frame."""
        return (self.frame,)

    def forward(self, images: torch.Tensor | Framed, edge_index: torch.Tensor | None = None) -> torch.Tensor:
        """Map images, float `[B, c, h, w]` in [0,1] of any size, to logits (or features) `[B, num_outputs]`.

        Images that differ in size come as `Framed`. A brick whose info says `inputs="graph"` takes node features
        `[N, F]` and `edge_index` int64 `[2, E]` instead.

        Raises:
            DataError: images that are not floats, or of channels or a shape this brick cannot take; edges missing, or
                given to a brick that reads images.
        """
        if (self.info.inputs == "graph") != (edge_index is not None):
            takes = "a graph: node features and edge_index" if self.info.inputs == "graph" else "images, and no edges"
            raise DataError(f"this brick takes {takes}")
        prepared = self.prepare(images)
        return cast(torch.Tensor, self.network(prepared) if edge_index is None else self.network(prepared, edge_index))

    def prepare(self, images: torch.Tensor | Framed) -> torch.Tensor:
        """Return what the network reads: the images brought to its frame and normalised, of its dtype, where it is."""
        own = images[self.frame] if isinstance(images, Framed) else images
        if not own.is_floating_point():
            raise DataError(f"images must be floats in [0, 1], not {own.dtype}: divide bytes by 255")
        like = next(self.network.parameters(), None)
        dtype, device = (torch.float32, own.device) if like is None else (like.dtype, like.device)
        if self.info.preprocess is None:
            return self.frame(own).to(device, dtype)
        # half precision cannot resize on every device, and loses digits: prepare in 32 bits at least
        return apply(self.info.preprocess, own.to(torch.promote_types(dtype, torch.float32))).to(device, dtype)

    @property
    def head(self) -> Head | None:
        """The linear layer in which the network ends, if it does."""
        return find_head(self.captured().graph)

    @property
    def body(self) -> fx.GraphModule | None:
        """The network without its head: what the head reads, `[B, width]`, of a prepared input; None without a head."""
        if "_body" not in self.__dict__:  # no submodule: its layers are the network's
            head = self.head
            self.__dict__["_body"] = None if head is None else body_of(self.network, head)
        return cast(fx.GraphModule | None, self.__dict__["_body"])

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_body"}

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        self.__dict__.pop("_body", None)  # its constants are its own, and would not move with the network's
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def features(self, images: torch.Tensor | Framed) -> torch.Tensor:
        """Map images, as `forward` takes them, to what the last linear layer reads: float `[B, width]`.

        Raises:
            AssemblyError: the network does not end in a linear layer.
        """
        if self.body is None:
            raise AssemblyError("the brick does not end in a linear layer, so it has logits but no features")
        return cast(torch.Tensor, self.body(self.prepare(images)))

    def captured(self) -> Network:
        """Return the bare network with its shapes, to be analysed or cut again; they are kept, not worked out anew."""
        return annotated(self.network, self.info.input_shape or ())


class Assembled(BrickModule):
    """Bricks side by side on the same images, and a joint that makes their outputs one row of logits.

    Raises:
        AssemblyError: the joint does not fit the bricks, or does not give one logit per class.
    """

    def __init__(self, bricks: "Sequence[Brick | Assembled]", joint: Joint, info: BrickInfo) -> None:
        super().__init__()
        if info.kind != "assembled":
            raise AssemblyError("an Assembled's info must have kind 'assembled'")
        if not bricks:
            raise AssemblyError("there is nothing to assemble: give at least one brick")
        self.bricks = nn.ModuleList(bricks)
        self.joint = joint
        self.info = info
        if joint.reads is not None and len(joint.reads) != len(bricks):
            raise AssemblyError(f"the joint reads {len(joint.reads)} bricks, and there are {len(bricks)}")
        if info.assembly is not None and len(info.assembly.names) != len(bricks):
            raise AssemblyError(f"{len(info.assembly.names)} names are given for {len(bricks)} bricks")
        self.num_outputs: int = joint.width(sum(width for _, _, width in self.parts))
        if info.outputs == "logits" and self.num_outputs != len(info.classes):
            raise AssemblyError(f"the joint gives {self.num_outputs} logits for {len(info.classes)} classes")
        self.eval()

    @property
    def vocabulary(self) -> Vocabulary:
        """The class names and, for classes made of others, the names of those."""
        names = self.info.assembly.names if self.info.assembly is not None else ("",) * len(self.bricks)
        members: dict[str, tuple[str, ...]] = {}
        for brick, name in zip(self.bricks, names, strict=True):
            assert isinstance(brick, Brick | Assembled)
            for label, inner in brick.vocabulary.members.items():
                own = next((c for c in (label, f"{name}/{label}") if c in self.classes), None)
                if own is not None:
                    members[own] = (*members.get(own, ()), *inner)
        return Vocabulary(self.classes, members)

    @property
    def parts(self) -> "tuple[tuple[Brick | Assembled, Read, int], ...]":
        """The bricks, what the joint reads of each, and how many columns that is."""
        found = []
        for brick, read in zip(self.bricks, self.joint.reads or ["output"] * len(self.bricks), strict=True):
            assert isinstance(brick, Brick | Assembled)
            head = brick.head if isinstance(brick, Brick) and read == "features" else None
            if read == "features" and head is None:
                raise AssemblyError("the joint reads features of a brick that does not end in a linear layer")
            found.append((brick, cast(Read, read), brick.num_outputs if head is None else head.width))
        return tuple(found)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What of an image the bricks' networks read, each frame once."""
        return tuple(dict.fromkeys(frame for brick in self.bricks for frame in cast(Brick | Assembled, brick).frames))

    def forward(self, images: torch.Tensor | Framed) -> torch.Tensor:
        """Map images, float `[B, c, h, w]` in [0,1] of any size, to logits `[B, num_outputs]`.

        Images that differ in size come as `Framed`, from which each brick takes its own.
        """
        reads = self.joint.reads or ("output",) * len(self.bricks)
        columns = [
            cast(Brick, brick).features(images) if read == "features" else brick(images)
            for brick, read in zip(self.bricks, reads, strict=True)
        ]
        return cast(torch.Tensor, self.joint(torch.cat(columns, 1)))


AnyBrick = Brick | Assembled


def assembled_info(bricks: Sequence[Brick | Assembled], classes: Sequence[str], **fields: Any) -> BrickInfo:
    """Return the info of bricks put together: the given classes and fields, and the lineage of all bricks.

    >>> assembled_info([], ["cat"]).kind
    'assembled'
    """
    sources = tuple(source for brick in bricks for source in brick.info.sources)
    return make_info(**{"kind": "assembled", "classes": tuple(classes), "sources": sources} | fields)


def _num_columns(network: Network) -> int:
    result = next(n for n in reversed(network.graph.graph.nodes) if n.op == "output").args[0]
    if not isinstance(result, fx.Node):
        raise FormatError("a brick's network must return one tensor")
    shape = result.meta["shape"]
    if len(shape) != 2:
        raise FormatError(f"a brick's network must return [B, columns], not {list(shape)}")
    return int(shape[1])
