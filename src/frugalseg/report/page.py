"""One HTML file that needs neither a server nor a network."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from frugalseg.files import write_bytes
from frugalseg.report.curves import learning_curves
from frugalseg.report.metrics import count, duration, lower_is_better, signed, text, title
from frugalseg.report.page_budget import advice_words, budget_words
from frugalseg.report.palette import arm_style
from frugalseg.report.records import Chosen, Comparison, Report, Row


def write_report(path: Path, report: Report) -> None:
    """Writes the report as one HTML file, atomically; the same report gives the same bytes."""
    write_bytes(path, render(report).encode())


def render(report: Report) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("frugalseg.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    curves = learning_curves(report.curves, report.headline)
    return environment.get_template("page.html.j2").render(
        report=report,
        curves=[(panel, Markup(panel.image.decode())) for panel in curves],
        table=_table(report.rows),
        comparisons=[_comparison(c) for c in report.comparisons],
        budgets=budget_words(report.budgets) if report.budgets else None,
        advice=advice_words(report.advice),
        chosen=_chosen(report.chosen),
        has_reasons=any(one.reasons for one in report.chosen),
    )


def _table(rows: Sequence[Row]) -> dict[str, Any]:
    """Titles of the metrics and the words of each row; metrics in the order in which the arms bring them."""
    keys = list(dict.fromkeys(key for row in rows for key in row.metrics))
    best = {key: _best(rows, key) for key in keys}
    return {
        "has_cost": any(row.seconds.mean or row.units.mean for row in rows),
        "has_strokes": any(row.strokes.mean for row in rows),
        "columns": [f"{title(key)}\N{NO-BREAK SPACE}{'↓' if lower_is_better(key) else '↑'}" for key in keys],
        "rows": [
            {
                "arm": row.arm,
                "colour": arm_style(place)[0],
                "seeds": row.seconds.n,
                "duration": duration(row.seconds.mean),
                "units": count(row.units.mean),
                "strokes": count(row.strokes.mean),
                "cells": [_cell(row, key, best[key]) for key in keys],
            }
            for place, row in enumerate(rows)
        ],
    }


def _cell(row: Row, key: str, best: str) -> dict[str, Any]:
    """What stands in a cell; times are no contest, so nothing is bold there."""
    value = row.metrics.get(key)
    if value is None:
        return {"mean": "–", "std": "", "is_best": False}
    mean = text(key, value.mean)
    return {
        "mean": mean,
        "std": text(key, value.std) if value.n > 1 else "",
        "is_best": mean == best and not key.endswith("seconds"),
    }


def _best(rows: Sequence[Row], key: str) -> str:
    """The best mean as it is written, so that equal numbers are equally bold."""
    means = [row.metrics[key].mean for row in rows if key in row.metrics]
    return text(key, min(means) if lower_is_better(key) else max(means))


def _comparison(comparison: Comparison) -> dict[str, Any]:
    result, key = comparison.result, comparison.metric
    words = {
        "a": comparison.a,
        "b": comparison.b,
        "metric": title(key),
        "difference": signed(key, result.difference),
        "is_clear": not result.is_noise,
    }
    if result.interval is None:
        return {**words, "interval": "–", "verdict": "one seed: no interval"}
    low, high = result.interval
    a_is_better = (result.difference > 0) != lower_is_better(key)
    verdict = "inside the noise" if result.is_noise else f"{comparison.a if a_is_better else comparison.b} is better"
    return {**words, "interval": f"{signed(key, low)} to {signed(key, high)}", "verdict": verdict}


def _chosen(chosen: Sequence[Chosen]) -> list[dict[str, Any]]:
    """One group for each arm and seed, in the order in which the arms come."""
    arms = list(dict.fromkeys(c.arm for c in chosen))
    ordered = sorted(chosen, key=lambda c: (arms.index(c.arm), c.seed, c.round))
    groups = []
    for (arm, seed), items in groupby(ordered, key=lambda c: (c.arm, c.seed)):
        rounds = [_round(item) for item in items]
        groups.append({"arm": arm, "seed": seed, "rounds": rounds, "total": sum(len(r["units"]) for r in rounds)})
    return groups


def _round(item: Chosen) -> dict[str, Any]:
    """The units of a round with rank, reason and picture as far as there are any; with neither they are plain."""
    n, n_pictures = len(item.units), len(item.pictures)
    reasons, pictures = item.reasons or ("",) * n, (*item.pictures, *[None] * (n - n_pictures))
    return {
        "number": item.round,
        "units": list(zip(range(1, n + 1), item.units, reasons, pictures, strict=True)),
        "is_plain": not item.reasons and not item.pictures,
        "note": f"with pictures of the first {n_pictures}" if 0 < n_pictures < n else "",
    }
