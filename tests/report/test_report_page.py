from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest
from report_worlds import make_label, make_points, make_volume

from frugalseg.report.page import render, write_report
from frugalseg.report.pictures import case_panel
from frugalseg.report.records import Chosen, Panel, Report
from frugalseg.report.tables import comparison, rows_of

PNG = b"\x89PNG made up"


class Reader(HTMLParser):
    """The words of a page, what it would load, and whether every element is closed."""

    VOID = ("meta", "img", "br", "link", "use", "path")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset") and v]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@cache
def make_report() -> Report:
    points = make_points()
    return Report(
        title="Hips & <b>more</b>",
        subtitle="two arms",
        curves=points,
        rows=rows_of(points),
        comparisons=(
            comparison(points, "good", "plain", metric="dice"),
            comparison(points, "good", "plain", metric="hd95_mm"),
            comparison(make_points(seeds=1), "good", "bound", metric="dice"),
        ),
        gallery=(case_panel(make_volume(), make_label(), make_label(), title="v0", caption="Dice 0.5"),),
        chosen=(Chosen("good", 0, 1, ("v3: planes 1,2,3",)), Chosen("good", 0, 0, ("v1: planes", "v2: planes"))),
        configuration="seeds: [0, 1]\n",
        facts={"Command": "frugalseg run x.yaml"},
    )


@cache
def whole_page() -> str:
    return render(make_report())


def test_the_page_is_whole_and_loads_nothing():
    page = Reader(whole_page())
    assert page.open == []
    assert all(link.startswith(("data:", "#")) for link in page.loads)
    assert "http" not in page.text


def test_the_page_says_what_is_in_the_report():
    words = Reader(whole_page()).text
    for part in (
        "two arms",
        "0.710 ± 0.010",
        "good − plain",
        "v0",
        "Dice 0.5",
        "seeds: [0, 1]",
        "frugalseg run x.yaml",
    ):
        assert part in words
    assert "good, seed 0: 3 units in 2 rounds Round 0 v1: planes v2: planes Round 1 v3: planes 1,2,3" in words


def test_words_of_the_user_cannot_break_the_page():
    page = whole_page()
    assert "<b>more</b>" not in page
    assert "Hips &amp; &lt;b&gt;more&lt;/b&gt;" in page


def test_verdicts_know_the_direction_of_a_metric_and_what_one_seed_is_worth():
    words = Reader(whole_page()).text
    assert "good − plain Dice +0.100 +0.100 to +0.100 good is better" in words
    assert "good − plain HD95 (mm) −1.00 −1.00 to −1.00 good is better" in words
    assert "good − bound Dice −0.200 – one seed: no interval" in words


def test_a_difference_whose_interval_holds_zero_is_called_noise():
    points = [p for p in make_points() if p.arm == "good"]
    noisy = [type(p)("other", p.seed, p.round, p.seconds, p.units, {"dice": 0.7 + (p.seed - 1) * 0.1}) for p in points]
    found = comparison((*points, *noisy), "good", "other", metric="dice")
    words = Reader(render(Report("x", comparisons=(found,)))).text
    assert "inside the noise" in words


@pytest.mark.parametrize("part", ["curves", "rows", "comparisons", "gallery", "chosen", "facts", "configuration"])
def test_what_is_empty_is_left_out(part):
    whole, less = whole_page(), render(replace(make_report(), **{part: type(getattr(make_report(), part))()}))
    assert len(less) < len(whole)
    assert Reader(less).open == []


def test_arms_that_cost_no_annotation_are_shown_without_it():
    points = [replace(p, seconds=0.0, units=0) for p in make_points(rounds=1)]
    words = Reader(render(Report("x", curves=tuple(points), rows=rows_of(points)))).text
    assert "Annotation" not in words
    assert "annotation" not in words
    assert "0.510 ± 0.010" in words


def test_an_empty_report_is_a_page():
    assert "nothing yet" in Reader(render(Report("nothing yet"))).text


def test_the_file_is_written_whole_and_the_same_every_time(tmp_path):
    for name in ("a.html", "b.html"):
        write_report(tmp_path / "out" / name, make_report())
    a, b = ((tmp_path / "out" / name).read_bytes() for name in ("a.html", "b.html"))
    assert a == b
    assert a.startswith(b"<!DOCTYPE html>")
    assert len(list((tmp_path / "out").iterdir())) == 2


def page_of(*chosen: Chosen) -> Reader:
    return Reader(render(Report("t", chosen=chosen)))


def test_chosen_units_have_rank_picture_and_reason():
    panels = tuple(Panel(unit, "", PNG, f"{unit}: the image") for unit in ("v1: slice", "v2: slice"))
    chosen = Chosen("good", 0, 0, ("v1: slice", "v2: slice"), ("nothing before", "nearest chosen: v1 <1>"), panels)
    page = page_of(chosen)
    assert "1. v1: slice nothing before 2. v2: slice nearest chosen: v1 <1>" in page.text
    assert page.loads == [panel.uri for panel in panels]
    assert "position 0 is the first slice" in page.text
    assert page.open == []


def test_pictures_of_the_first_only_are_said_to_be_that():
    page = page_of(Chosen("good", 0, 3, ("v1", "v2", "v3"), (), (Panel("v1", "", PNG),)))
    assert "Round 3 with pictures of the first 1 1. v1 2. v2 3. v3" in page.text
    assert len(page.loads) == 1
    assert "position 0 is" not in page.text


def test_a_round_that_bought_nothing_says_so():
    assert "Round 0 nothing" in page_of(Chosen("good", 0, 0, ())).text
