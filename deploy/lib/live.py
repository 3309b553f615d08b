"""Runs every expression of dashboards and rules on a Prometheus, and every series of the list against what it has."""

import itertools
import json
import sys
import urllib.parse
import urllib.request

import yaml

import promql
from promql import DEPLOY


class Prometheus:
    def __init__(self, url):
        self.url = url.rstrip("/")

    def get(self, path, **query):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """The result, without what is no number: a quantile of nothing is NaN."""
        result = self.get("query", query=expression)["result"]
        return [sample for sample in result if sample["value"][1] != "NaN"]

    def values(self, selector, label):
        return self.get(f"label/{label}/values", **{"match[]": selector})

    def names(self):
        """The name and labels of each series of Jetsaga."""
        found = {}
        for series in self.get("series", **{"match[]": '{__name__=~"jetsaga_.*"}'}):
            found.setdefault(series.pop("__name__"), set()).update(series)
        return found


def cases(prometheus, dashboard):
    """Every set of values that the dashboard's variables can take; a variable for all takes all at once."""
    names, choices = [], []
    for name, variable in promql.variables(dashboard).items():
        names.append(name)
        # A query that names other variables has the values of all of them.
        selector, label = promql.label_values(variable["query"]["query"])
        selector = selector.replace("=", "=~") if promql.used(selector) else selector
        selector = promql.filled(selector, dict.fromkeys(promql.used(selector), ".*"))
        choices.append([".*"] if variable["includeAll"] else prometheus.values(selector, label))
    for values in itertools.product(*choices):
        yield dict(zip(names, values)) | {"__rate_interval": "2m"}


def dashboards(prometheus, may_be_empty):
    """What brings no data, and must; and how many questions were asked."""
    failures, asked, empty = [], 0, set()
    for name, dashboard in promql.dashboards().items():
        settings = list(cases(prometheus, dashboard))
        if not settings:
            failures.append(f"dashboard {name}: a variable has no values")
        for values, panel in itertools.product(settings, promql.panels(dashboard)):
            for target in panel["targets"]:
                asked += 1
                where = (name, panel["title"], target["refId"])
                expression = promql.filled(target["expr"], values)
                if prometheus.query(expression):
                    continue
                empty.add(where)
                if where not in may_be_empty:
                    failures.append(f"{' / '.join(where)} brings no data: {expression}")
    return failures, asked, empty


def series(prometheus, may_be_empty):
    """What is exported and not listed, and what is listed and not exported."""
    listed = {name: labels for name, labels in promql.metrics().items() if name.startswith("jetsaga_")}
    found = prometheus.names()
    for name, labels in sorted(found.items()):
        if name not in listed:
            yield f"metrics.txt: {name} is exported and not listed"
        elif labels - listed[name]:
            yield f"metrics.txt: {name} has the labels {', '.join(sorted(labels - listed[name]))}, which are not listed"
    for name in sorted(set(listed) - set(found) - may_be_empty):
        yield f"metrics.txt: {name} is listed and not exported"


def main(url):
    prometheus = Prometheus(url)
    entries = yaml.safe_load((DEPLOY / "grafana/may-be-empty.yaml").read_text())
    queries = {(entry["dashboard"], entry["panel"], entry["query"]) for entry in entries if "panel" in entry}
    absent = {entry["series"] for entry in entries if "series" in entry}
    failures, asked, empty = dashboards(prometheus, queries)
    failures += series(prometheus, absent)
    for rule in promql.rules():
        asked += 1
        prometheus.query(rule["expr"])  # it has to be understood; a healthy system gives it no data
    for failure in failures:
        print(failure)
    print(f"{asked} queries, {len(empty & queries)} panels empty that may be: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
