"""The report is well-formed, whole, says what it was given, and lets no text become markup."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np

from modellego.reporting import Example, Lineage, ReportData, Score, Width, render_report

_VOID = {"meta", "input", "br", "link", "img", "hr", "wbr"}


class Checker(HTMLParser):
    """Follows open tags, and collects the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.seen.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


def read(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


def test_the_whole_report_says_what_it_was_given(whole_data: ReportData) -> None:
    words = " ".join(read(render_report(whole_data)).words)
    for expected in ("four things", "83.1", "86.0 %", "0.875", "150 k", "relative contribution",
                     "Classes of small", "29 of 48", "Pooling is not counted."):  # fmt: skip
        assert expected in words, expected


def test_sections_without_data_are_left_out(plain_data: ReportData) -> None:
    page = render_report(plain_data)
    read(page)
    headings = re.findall(r"<h2>(?:<span[^>]*>)?([^<]*)", page)
    expected = ["Made from", "Class by class", "Confusion"] if len(plain_data.classes) > 1 else ["Made from"]
    assert headings == expected


def test_one_class_is_called_by_its_name() -> None:
    data = ReportData("t", "", ("dog",), Lineage("t", "brick", 1), scores=(Score("t", 1.0),), confusion=np.array([[9]]))
    assert "one answer, so it is always right" in render_report(data)


def test_hostile_text_stays_text(whole_data: ReportData) -> None:
    evil = "</script></style><img src=x onerror=alert(1)>\"'{{style}}"
    lineage = Lineage(evil, "brick", 4, detail=evil, made_from=(Lineage(evil, "source", 9),))
    page = render_report(
        dataclasses.replace(
            whole_data, title=evil, summary=evil, classes=(evil, "a", "b", "c"), lineage=lineage, groups=(evil,) * 4,
            scores=(Score(evil, 0.5, note=evil),), widths=(Width(evil, 2, 1),), facts=((evil, evil),), notes=(evil,),
            examples=(Example(evil, evil, evil, 0.5),),
        )
    )  # fmt: skip
    assert read(page).seen.count("img") == 1


def test_the_page_fetches_nothing(whole_data: ReportData) -> None:
    page = render_report(whole_data)
    assert set(re.findall(r"https?://[^\s'\"]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|iframe)\b|\ssrc=(?!\"data:image/)|@import|url\(", page)
    assert "unsafe" not in page
    assert not re.search(r"<[^>]*\s(style|on\w+)=", page)


def test_the_lineage_is_told_in_words(whole_data: ReportData) -> None:
    label = re.search(r'class="lineage wide".*?aria-label="(.*?)"', render_report(whole_data))
    assert label is not None
    assert label[1].startswith(
        "four things, assembled with 4 classes, made from: air, brick with 2 classes, made from: ten"
    )


def test_the_headline_sets_like_beside_like() -> None:
    base = Score("base restricted", None, 0.931)
    page = render_report(
        ReportData("ab", "", ("a", "b"), Lineage("ab", "assembled", 2), scores=(base, Score("ab", 0.906, 0.881)))
    )
    words = " ".join(read(page).words)
    assert "names about 88 rightly; the uncut model, given the same choice of answers, about 93." in words
    assert re.search(r"Class-balanced.*</dt><dd>88.1 %</dd><dd class='under'>93.1 % .*base restricted", page)


def test_examples_say_whether_the_answer_is_right(whole_data: ReportData) -> None:
    page = render_report(whole_data)
    shown = re.findall(r'<figure class="example (\w+)">.*?alt="An image of (\w+)"', page)
    assert shown == [
        ("right", "bee"), ("wrong", "apple"), ("wrong", "automobile"), ("right", "fox"), ("wrong", "owl"),
    ]  # fmt: skip


def test_words_are_told_where_they_stand(whole_data: ReportData) -> None:
    page = render_report(whole_data)
    told = set(re.findall(r'class="term" tabindex="0">([^<]+)<span class="gloss" role="note">[^<]{20,}<', page))
    assert {"Accuracy", "base restricted", "Parameters", "MACs", "AUROC", "Decision routes", "none of these"} <= told
