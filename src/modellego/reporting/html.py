"""The report: one self-contained page on a brick or an assembled model, for sending to a colleague."""

from modellego.decision_routes import render_fragment, routes_css, routes_script
from modellego.decision_routes.page import read_asset, text, whole_page
from modellego.decision_routes.theme import theme_css
from modellego.drawing import words
from modellego.reporting import charts
from modellego.reporting.contents import Example, ReportData, Score
from modellego.reporting.glossary import term
from modellego.reporting.lineage import lineage_svg
from modellego.reporting.plain import headline, plain_words

_PACKAGE = "modellego.reporting"


def render_report(data: ReportData) -> str:
    """Return the report as a self-contained HTML page; it fetches nothing from anywhere.

    >>> from modellego.reporting import Lineage
    >>> page = render_report(ReportData("pets", "Cats and dogs.", ("cat", "dog"), Lineage("pets", "brick", 2)))
    >>> "<h1>pets</h1>" in page
    True
    """
    sections = [
        ("examples", "Examples", _examples(data)),
        ("made", "Made from", _made_from(data)),
        ("accuracy", "Accuracy", _accuracy(data)),
        ("size", "Size", _size(data)),
        ("classes", "Class by class", _by_class(data)),
        ("confusion", "Confusion", _confusion(data)),
        ("off-task", "Off the task", _off_task(data)),
        ("routes", "Decision routes", _routes(data)),
        ("layers", "Layer widths", _widths(data)),
        ("how", "How it was made", _facts(data)),
    ]
    present = [(key, title, body) for key, title, body in sections if body]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in present)
    body = [
        f'<p class="lead">{text(plain_words(data))}</p>',
        f'<dl class="figures">{_figures(data)}</dl>',
        f'<nav aria-label="On this page">{links}</nav>',
        *(f'<section id="{key}"><h2>{term(title)}</h2>{part}</section>' for key, title, part in present),
    ]
    return whole_page(
        data.title,
        data.summary,
        "\n".join(body),
        style=theme_css() + read_asset(_PACKAGE, "report.css") + (routes_css() if data.routes else ""),
        script=routes_script(),
        kind="report",
        colophon="Choices were made on training images; the test images were used for the scores only.",
    )


def _figures(data: ReportData) -> str:
    """The four numbers to read first."""
    figures = []
    if (found := headline(data)) is not None:
        own, beside, balanced = found
        value, fair = ((s.balanced if balanced else s.accuracy) if s else None for s in (own, beside))
        under = f"{words.share(fair)} % {term('base restricted')}" if beside else text(own.note)
        title = term("Class-balanced", "class-balanced") + " accuracy" if balanced else term("Accuracy")
        figures.append((title, f"{words.share(value)} %", under))
    if data.sizes:
        own_size, sources = data.sizes[-1], data.sizes[:-1]
        for title, field in (("Parameters", "parameters"), ("MACs", "macs")):
            value = getattr(own_size, field)
            known = [getattr(size, field) for size in sources]
            part = words.ratio(value, sum(known)) if known and None not in known else ""
            if value is not None:
                whose = "source" if len(known) == 1 else f"{len(known)} sources"
                figures.append((term(title), words.count(value), f"{part} of the {whose}" if part else ""))
    named = text(", ".join(data.classes[:3]) + _more(data.classes[3:]))
    figures.append(("Classes", str(len(data.classes)), named))
    return "".join(
        f"<div><dt>{title}</dt><dd>{text(value)}</dd><dd class='under'>{under}</dd></div>"
        for title, value, under in figures
    )


def _more(rest: tuple[str, ...]) -> str:
    return f" and {len(rest)} more" if rest else ""


def _examples(data: ReportData) -> str:
    if not data.examples:
        return ""
    note = '<p class="remark">Images drawn by chance, the best and the worst alike, and what the model says.</p>'
    photos = "".join(map(_example, data.examples))
    return f'{note}<div class="examples">{photos}</div>'


def _example(example: Example) -> str:
    """A photo, the answer, and whether that is right."""
    if example.answer is None:
        answer, kind = term("none of these"), "wrong" if example.own else "right"
    else:
        answer = f"{text(example.answer)} <small>{words.share(example.probability)} %</small>"
        kind = "right" if example.own and example.answer == example.truth else "wrong"
    verdict = "right" if kind == "right" and example.own else f"it is {text(example.truth)}"
    return (
        f'<figure class="example {kind}"><img src="{text(example.picture)}" alt="An image of {text(example.truth)}">'
        f"<figcaption><b>{answer}</b><span>{'✓' if kind == 'right' else '✗'} {verdict}</span></figcaption></figure>"
    )


def _made_from(data: ReportData) -> str:
    origins: dict[str, list[str]] = {}
    for index, name in enumerate(data.classes):
        origins.setdefault(data.groups[index] if data.groups else "", []).append(name)
    lists = []
    for origin, names in origins.items():
        words_ = ", ".join(text(name) for name in names)
        label = f"Classes of {text(origin)}" if origin else "Classes"
        if len(names) > 30:
            lists.append(f"<details><summary>{label} ({len(names)})</summary><p>{words_}</p></details>")
        else:
            lists.append(f'<p class="classes"><b>{label}</b> {words_}</p>')
    return f'<div class="scroll">{lineage_svg(data.lineage)}</div>{"".join(lists)}'


def _accuracy(data: ReportData) -> str:
    if not data.scores:
        return ""
    rows = "".join(_score_row(score, score is data.scores[-1]) for score in data.scores)
    warning = ""
    if len(data.classes) == 1:
        warning = (
            '<p class="remark">A model with one class has only one answer, so it is always right. '
            "Its behaviour off the task says more.</p>"
        )
    head = f"<tr><th>Model</th><th>{term('Accuracy')}</th><th>{term('Class-balanced')}</th></tr>"
    note = (
        '<p class="remark">Per cent of the test images. <i>Base</i> is the source with all its logits; '
        "<i>base restricted</i> is the same uncut source with its logits limited to these classes, "
        "which is the fair comparison.</p>"
    )
    table = f'<table class="scores"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f'{note}<div class="scroll">{table}</div>{warning}'


def _score_row(score: Score, own: bool) -> str:
    note = f"<small>{text(score.note)}</small>" if score.note else ""
    numbers = f"<td>{words.share(score.accuracy)}</td><td>{words.share(score.balanced)}</td>"
    return f'<tr{" class=own" if own else ""}><th scope="row">{term(score.name)}{note}</th>{numbers}</tr>'


def _size(data: ReportData) -> str:
    return charts.size_bars(data.sizes) if data.sizes else ""


def _by_class(data: ReportData) -> str:
    if len(data.classes) < 2:
        return ""
    bars = charts.class_bars(data)
    if not bars:
        return ""
    key = (
        f' The tick is {term("base restricted")}.<span class="tick"></span>'
        if data.restricted_per_class is not None
        else ""
    )
    return f'<p class="remark">Accuracy of each class, per cent.{key}</p>{bars}'


def _confusion(data: ReportData) -> str:
    if data.confusion is None or len(data.classes) < 2:
        return ""
    matrix = charts.confusion_svg(data.confusion, data.classes, data.groups)
    mistakes = charts.confusions_list(data.confusion, data.classes)
    note = '<p class="remark">Rows are true classes, columns answers; per cent of each row.</p>'
    return (
        f'{note}<div class="beside"><div class="scroll">{matrix}</div><div><h3>Most frequent</h3>{mistakes}</div></div>'
    )


def _off_task(data: ReportData) -> str:
    off = data.off_task
    if off is None:
        return ""
    described = text(off.description) + " " if off.description else ""
    limit = ""
    if off.threshold is not None:
        limit = f' <span><i class="swatch limit"></i>answers below {off.threshold:.4g} are rejected</span>'
    key = (
        f'<p class="key"><span><i class="swatch inside"></i>images of the task ({len(off.inside):,})</span> '
        f'<span><i class="swatch outside"></i>other images ({len(off.outside):,})</span>{limit}</p>'
    )
    return (
        f'<p class="remark">{described}The model\'s {term("confidence")} ({text(off.statistic)}), as shares '
        "of the images. AUROC says how well this separates the two: 0.5 is not at all, 1 perfectly.</p>"
        f'<p class="auroc"><b>{off.auroc:.3f}</b> {term("AUROC")}</p>{charts.histogram(off)}{key}'
    )


def _routes(data: ReportData) -> str:
    several = len(data.routes) > 1
    return "".join((f"<h3>{text(g.title)}</h3>" if several else "") + render_fragment(g) for g in data.routes)


def _widths(data: ReportData) -> str:
    if not data.widths:
        return ""
    before, after = (sum(getattr(w, field) for w in data.widths) for field in ("before", "after"))
    kept = f"{after:,} of {before:,} ({words.ratio(after, before)})"
    note = f'<p class="remark">{term("Channels", "channel")} kept: {kept}.</p>'
    return note + charts.width_bars(data.widths)


def _facts(data: ReportData) -> str:
    rows = "".join(f"<div><dt>{term(name)}</dt><dd>{text(value)}</dd></div>" for name, value in data.facts)
    notes = "".join(f'<p class="remark">{text(note)}</p>' for note in data.notes)
    return (f'<dl class="facts">{rows}</dl>' if rows else "") + notes
