"""The words of a report that not everybody knows, each told in a sentence where it stands."""

from modellego.decision_routes.page import text

MEANINGS = {
    "accuracy": "How many in a hundred test images the model names rightly.",
    "class-balanced": (
        "The mean of the classes' own accuracies, so that a class with many images counts no more than one with few."
    ),
    "base": "The model that this one was cut from, as it is, with all its answers.",
    "base restricted": (
        "The same uncut model with its answers limited to these classes. Fewer answers to choose from make any model "
        "right more often, so this is the fair comparison."
    ),
    "parameters": "The numbers that a model has learnt. They decide how large its file is.",
    "macs": (
        "Multiply-accumulate operations: the arithmetic that one image takes. Fewer mean a faster model and less power."
    ),
    "bytes": "How much room the weights take.",
    "latency": "How long one image takes.",
    "confusion": "Which classes are taken for which others.",
    "off the task": "What the model says of images that show none of its classes.",
    "auroc": (
        "How well the model's confidence tells its own classes from other things: 1 is perfectly, 0.5 is by chance."
    ),
    "confidence": "A number, worked out from the model's answers to an image, that is large where the model is sure.",
    "none of these": "The answer where the model is less sure than a limit that was set on images of its own classes.",
    "decision routes": (
        "The channels, layer by layer, that decide for a class. A dot is a channel; a line joins two channels of "
        "which one acts strongly on the other."
    ),
    "channel": (
        "A layer passes on a stack of channels. Each tells where in the image one pattern is seen that the layer has "
        "learnt."
    ),
    "layer widths": "How many channels each layer has, after the cut and before it.",
    "logits": "The last numbers of a model, one for each class: the largest is its answer.",
    "brick": "A small model cut out of a larger one, for some of its classes.",
    "source": "The model that a brick was cut from.",
    "criterion": "What decided which channels stay.",
    "budget": "What the brick was allowed to cost.",
    "channel groups kept": (
        "Channels that only make sense together form a group: a cut keeps it or removes it as a whole."
    ),
    "refit": "After the cut, the layers that are left were fitted to give what the uncut model gave, by least squares.",
    "rejects": "Images of which the model says none of these.",
    "joint": "How the answers of several bricks are made comparable.",
    "samples": "Images that the choice of channels was made by.",
    "seed": "The number that random choices start from: the same seed gives the same brick.",
    "input": "What the model reads; every image is brought to this size.",
}


def term(shown: str, word: str | None = None) -> str:
    """Return a word as HTML that tells its meaning when hovered, tapped or reached by keyboard; others as they are.

    >>> term("MACs").startswith('<span class="term" tabindex="0">MACs<span class="gloss"')
    True
    >>> term("Teapots")
    'Teapots'
    """
    meaning = MEANINGS.get((word or shown).lower())
    if meaning is None:
        return text(shown)
    return f'<span class="term" tabindex="0">{text(shown)}<span class="gloss" role="note">{text(meaning)}</span></span>'
