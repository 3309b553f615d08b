"""Checks rules, dashboards, runbook and compose against each other, the list of metrics, and the tool `jetsaga`."""

import functools
import re
import subprocess
import sys

import yaml

import promql
from promql import DEPLOY

SERIES = promql.metrics()


def rules():
    """Every rule asks for what there is, says what it means, and has a chapter and tests; no chapter is left over."""
    tests = yaml.safe_load((DEPLOY / "prometheus/rules.test.yaml").read_text())["tests"]
    tests = [test for case in tests for test in case["alert_rule_test"]]
    chapters = re.findall(r"^## (\w+)$", (DEPLOY / "RUNBOOK.md").read_text(), re.MULTILINE)
    names = []
    for rule in promql.rules():
        name = rule["alert"]
        names.append(name)
        yield from (f"rule {name}: {mistake}" for mistake in promql.mistakes(rule["expr"], SERIES))
        if rule["labels"].get("severity") not in ("critical", "warning"):
            yield f"rule {name}: severity is neither critical nor warning"
        for annotation in ("summary", "description", "runbook_url"):
            if not rule["annotations"].get(annotation):
                yield f"rule {name}: it has no {annotation}"
        if rule["annotations"].get("runbook_url") != f"deploy/RUNBOOK.md#{name.lower()}":
            yield f"rule {name}: runbook_url is not deploy/RUNBOOK.md#{name.lower()}"
        if name not in chapters:
            yield f"rule {name}: RUNBOOK.md has no chapter of that name"
        fires = [bool(test["exp_alerts"]) for test in tests if test["alertname"] == name]
        if set(fires) != {True, False}:
            yield f"rule {name}: it takes a test that fires it and one that does not"
    for chapter in sorted(set(chapters) - set(names)):
        yield f"RUNBOOK.md: there is no rule {chapter}"


def dashboards():
    """Every panel has a title, a unit and a description, and asks for what there is; every variable is used."""
    for name, dashboard in promql.dashboards().items():
        variables, used = promql.variables(dashboard), set()
        example = {variable: "any" for variable in variables} | {"__rate_interval": "1m"}
        ids = [panel["id"] for panel in dashboard["panels"]]
        if len(ids) != len(set(ids)):
            yield f"dashboard {name}: two panels have one id"
        asked = [(f"variable {v['name']}", promql.label_values(v["query"]["query"])[0]) for v in variables.values()]
        for panel in promql.panels(dashboard):
            where = f"panel {panel['title']!r}"
            if not (panel["title"] and panel.get("description") and panel["fieldConfig"]["defaults"].get("unit")):
                yield f"dashboard {name}: {where} lacks a title, a description or a unit"
            asked += [(where, target["expr"]) for target in panel["targets"]]
        for where, expression in asked:
            used |= promql.used(expression)
            unknown = promql.used(expression) - set(example)
            if unknown:
                yield f"dashboard {name}: {where} uses {', '.join(sorted(unknown))}, which it does not have"
                continue
            for mistake in promql.mistakes(promql.filled(expression, example), SERIES):
                yield f"dashboard {name}: {where}: {mistake}"
        for variable in sorted(set(variables) - used):
            yield f"dashboard {name}: nothing uses the variable {variable}"


def may_be_empty():
    """The list for check-live names queries and series that there are, and says why."""
    titles = {
        (name, panel["title"], target["refId"])
        for name, dashboard in promql.dashboards().items()
        for panel in promql.panels(dashboard)
        for target in panel["targets"]
    }
    for entry in yaml.safe_load((DEPLOY / "grafana/may-be-empty.yaml").read_text()):
        where = tuple(entry[key] for key in ("series", "dashboard", "panel", "query") if key in entry)
        if where not in titles and where[0] not in SERIES:
            yield f"may-be-empty.yaml: there is no query or series {' / '.join(where)}"
        if not entry.get("reason"):
            yield f"may-be-empty.yaml: {' / '.join(where)} has no reason"


def compose(jetsaga):
    """Every variable of a worker is one that it reads, every command is one of the tool, every image has a version."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    tool = run(jetsaga, "--help")
    commands = inventory(jetsaga)
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        if not re.match(r"v?\d+\.\d+\.\d+", tag) or service["image"].count("/") > 1:
            yield f"service {name}: {service['image']} is not NAME:VERSION without a host"
        for setting in ("restart", "read_only", "cap_drop", "security_opt", "mem_limit", "cpus", "pids_limit"):
            if setting not in service:
                yield f"service {name}: it has no {setting}"
        if not service["image"].startswith("jetsaga:"):
            continue
        command = service["command"]
        if command[0] == "worker":
            known = read(run(jetsaga, "worker", command[1], "--help"))
            if "healthcheck" not in service:
                yield f"service {name}: it has no healthcheck"
        elif command == ["idle"]:  # somebody runs commands of every kind in it
            known = set().union(*commands.values())
        else:
            known = read(run(jetsaga, *command[:2], "--help"))
        for variable in service["environment"]:
            # One shared group of variables goes to the one-shot commands; the tool reads less of it than a worker.
            if variable not in known | ({"JETSAGA_REPLICAS"} if command[0] != "worker" else set()):
                yield f"service {name}: nothing there reads {variable}; it reads {', '.join(sorted(known))}"
        probe = service.get("healthcheck", {}).get("test", [])
        if probe and not re.search(rf"^  {re.escape(probe[2])}\s", tool, re.MULTILINE):
            yield f"service {name}: {jetsaga} has no command {probe[2]}, which its healthcheck runs"


def runbook(jetsaga):
    """Every command in RUNBOOK.md is one of the tool; so is every service and volume that it names to compose."""
    commands = inventory(jetsaga)
    text = (DEPLOY / "RUNBOOK.md").read_text()
    for command in re.findall(r"(?:`|^\$)jetsaga ([a-z][^`\n]*)", text, re.MULTILINE):
        words = command.split()
        if words[0] not in commands and " ".join(words[:2]) not in commands:
            yield f"RUNBOOK.md: jetsaga has no command {command}"
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for line in re.findall(r"^\$compose (?:rm|up) (.*)$", text, re.MULTILINE):
        for service in line.split():
            if not service.startswith("--") and service not in composed["services"]:
                yield f"RUNBOOK.md: compose has no service {service}"
    for line in re.findall(r"^docker volume rm (.*)$", text, re.MULTILINE):
        for volume in line.split():
            if volume.removeprefix("jetsaga_") not in composed["volumes"]:
                yield f"RUNBOOK.md: compose has no volume {volume}"


@functools.cache
def inventory(jetsaga):
    """Every command of the tool but the workers, as one would type it, with the variables that it reads."""
    found = {}
    for name in listed(run(jetsaga, "--help")) - {"worker", "help"}:
        text = run(jetsaga, name, "--help")
        nested = listed(text) - {"help"}
        found |= {f"{name} {inner}": read(run(jetsaga, name, inner, "--help")) for inner in nested} or {name: read(text)}
    return found


def listed(help_text):
    """The commands that a help text lists."""
    commands = help_text.partition("\nCommands:\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^  ([a-z]\S*)", commands, re.MULTILINE))


def read(help_text):
    return set(re.findall(r"\[env: (\w+)=", help_text)) | set(re.findall(r"\[env: (\w+)\]", help_text))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(jetsaga):
    found = [*rules(), *dashboards(), *may_be_empty(), *compose(jetsaga), *runbook(jetsaga)]
    for mistake in found:
        print(mistake)
    boards = promql.dashboards()
    queries = sum(len(panel["targets"]) for board in boards.values() for panel in promql.panels(board))
    print(f"{len(promql.rules())} rules, {len(boards)} dashboards, {queries} queries: {len(found)} mistakes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
