"""The words and numbers of the page about budgets: what each bought, who is better, when to stop."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from frugalseg.report.budget import AUBC
from frugalseg.report.metrics import lower_is_better, signed, text, title
from frugalseg.report.records import Advised, Budgets, Gap
from frugalseg.report.statistics import Difference, Summary

EMPTY = "–"


def verdict(other: str, result: Difference, *, metric: str) -> str:
    """What a difference from another arm shows, in words; the metric says which sign is the better one."""
    if result.interval is None:
        return f"too few seeds or patients to tell it from {other}"
    if result.is_noise:
        return f"no significant difference from {other}"
    is_better = (result.difference > 0) != lower_is_better(metric)
    return f"{'better' if is_better else 'worse'} than {other}"


def sentences(budgets: Budgets) -> list[str]:
    """Who differs from an arm with which several are compared, and who does not; then what is left, arm by arm."""
    n_with = Counter(gap.b for gap in budgets.gaps)
    found: dict[str, list[str]] = {}
    for gap in sorted(budgets.gaps, key=lambda g: n_with[g.b] == 1):
        words = verdict(gap.b if n_with[gap.b] > 1 else "", gap.result, metric=budgets.metric)
        if n_with[gap.b] > 1:
            found.setdefault(f"{words[0].upper()}{words[1:]}", []).append(_with_numbers(gap, gap.a))
        else:
            found.setdefault(f"{gap.a}: {words.strip()}", []).append(_with_numbers(gap, gap.b))
    return [f"{words}{' ' if ': ' in words else ': '}{', '.join(arms)}." for words, arms in found.items()]


def _with_numbers(gap: Gap, arm: str) -> str:
    number = signed(AUBC, gap.result.difference)
    return f"{arm} ({number}, {gap.n_seeds} {'seed' if gap.n_seeds == 1 else 'seeds'})"


def budget_words(budgets: Budgets) -> dict[str, Any]:
    """What the template shows of the budgets."""
    units = sorted({n for at in budgets.at.values() for n in at})
    return {
        "metric": title(budgets.metric),
        "units": units,
        "rows": _rows(budgets, units),
        "sentences": sentences(budgets),
        "gaps": [_gap(gap, budgets.metric) for gap in budgets.gaps],
        "wins": _wins(budgets) if len(budgets.area) > 1 else [],
    }


def _rows(budgets: Budgets, units: Sequence[int]) -> list[dict[str, Any]]:
    columns = [budgets.area, *({arm: at[n] for arm, at in budgets.at.items() if n in at} for n in units)]
    best = [_best(column.values(), budgets.metric) for column in columns]
    return [
        {
            "arm": arm,
            "seeds": area.n,
            "cells": [_cell(c.get(arm), b, budgets.metric) for c, b in zip(columns, best, strict=True)],
        }
        for arm, area in budgets.area.items()
    ]


def _best(values: Any, metric: str) -> str:
    means = [summary.mean for summary in values]
    return text(metric, min(means) if lower_is_better(metric) else max(means))


def _cell(value: Summary | None, best: str, metric: str) -> dict[str, Any]:
    if value is None:
        return {"mean": EMPTY, "std": "", "is_best": False}
    mean = text(metric, value.mean)
    return {"mean": mean, "std": text(metric, value.std) if value.n > 1 else "", "is_best": mean == best}


def _gap(gap: Gap, metric: str) -> dict[str, Any]:
    result, interval = gap.result, EMPTY
    if result.interval is not None:
        interval = " to ".join(signed(AUBC, end) for end in result.interval)
    return {
        "a": gap.a,
        "b": gap.b,
        "seeds": gap.n_seeds,
        "groups": gap.n_groups,
        "difference": signed(AUBC, result.difference),
        "interval": interval,
        "is_clear": not result.is_noise,
        "verdict": verdict(gap.b, result, metric=metric),
    }


def _wins(budgets: Budgets) -> list[dict[str, Any]]:
    shares = [[None if a == b else budgets.wins[a][b] for b in budgets.wins] for a in budgets.wins]
    return [
        {"arm": arm, "cells": [{"text": _percent(share), "wins": (share or 0) > 0.5} for share in row]}
        for arm, row in zip(budgets.wins, shares, strict=True)
    ]


def _percent(share: float | None) -> str:
    return EMPTY if share is None else f"{100 * share:.0f}"


def advice_words(advice: Sequence[Advised]) -> list[dict[str, Any]]:
    """One group for each arm and seed, in the order in which the arms come."""
    arms = list(dict.fromkeys(a.arm for a in advice))
    ordered = sorted(advice, key=lambda a: (arms.index(a.arm), a.seed, a.round))
    return [
        {"arm": arm, "seed": seed, "summary": _summary(rounds), "rounds": [_advised(a) for a in rounds]}
        for (arm, seed), group in groupby(ordered, key=lambda a: (a.arm, a.seed))
        for rounds in [list(group)]
    ]


def _summary(rounds: Sequence[Advised]) -> str:
    stopped = next((a for a in rounds if a.stop), None)
    what = "go on" if stopped is None else f"stop after round {stopped.round} ({stopped.units} drawn)"
    return f"{what}; the curve is measured on {rounds[-1].basis}"


def _advised(advised: Advised) -> dict[str, Any]:
    return {
        "round": advised.round,
        "units": advised.units,
        "gain": EMPTY if advised.gain is None else signed("dice", advised.gain),
        "band": EMPTY if advised.band is None else " to ".join(signed("dice", end) for end in advised.band),
        "radius": f"{advised.radius:.2f}",
        "agreement": EMPTY if advised.agreement is None else text("dice", advised.agreement),
        "stop": advised.stop,
        "words": advised.words,
    }
