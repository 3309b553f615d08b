"""What dashboards and rules ask Prometheus, and what there is to be asked for."""

import json
import re
from pathlib import Path

import promql_parser
import yaml

DEPLOY = Path(__file__).resolve().parent.parent
# What a scrape adds to every series.
SCRAPED = {"job", "instance", "worker"}
BUILT_IN = {"__rate_interval"}
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")


def metrics():
    """Name of each series, with its labels: a histogram is three."""
    series = {}
    for line in (DEPLOY / "prometheus/metrics.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, kind, labels = line.split()
        labels = SCRAPED | set(labels.replace("-", "").split(",")) - {""}
        if kind == "histogram":
            series[f"{name}_bucket"] = labels | {"le"}
            series[f"{name}_count"] = series[f"{name}_sum"] = labels
        else:
            series[name] = labels
    return series


def rules():
    groups = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards():
    """Name of each dashboard, with its JSON."""
    files = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text()) for file in files}


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard):
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def used(text):
    """The dashboard variables in `text`."""
    return {braced or bare for braced, bare in VARIABLE.findall(text)}


def filled(text, values):
    """`text` with every dashboard variable replaced."""
    return VARIABLE.sub(lambda match: values[match.group(1) or match.group(2)], text)


def label_values(query):
    """The selector and the label of `label_values(selector, label)`."""
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    if not match:
        raise ValueError(f"{query!r} is no label_values(SELECTOR, LABEL)")
    return match.groups()


def nodes(expression):
    """Every part of a parsed expression."""
    yield expression
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        part = getattr(expression, name, None)
        if part is not None:
            yield from nodes(part)
    for part in getattr(expression, "args", None) or []:
        yield from nodes(part)


def mistakes(text, series):
    """What is wrong with an expression: it does not parse, or names a series or a label that there is not."""
    try:
        parts = list(nodes(promql_parser.parse(text)))
    except ValueError as error:
        return [f"{text}: {error}"]
    found = []
    known = set()
    for part in parts:
        if not isinstance(part, promql_parser.VectorSelector):
            continue
        if part.name not in series:
            found.append(f"{text}: there is no series {part.name}")
            continue
        known |= series[part.name]
        for matcher in part.matchers.matchers:
            if matcher.name not in series[part.name]:
                found.append(f"{text}: {part.name} has no label {matcher.name}")
    for part in parts:
        for label in grouped(part):
            if label not in known:
                found.append(f"{text}: no series in it has the label {label}")
    return found


def grouped(part):
    """The labels that an expression groups or matches by."""
    modifier = getattr(part, "modifier", None)
    if modifier is None:
        return []
    labels = modifier if hasattr(modifier, "labels") else modifier.matching
    return list(labels.labels) if labels else []
