"""The alert rules of production as a PrometheusRule: deploy/prometheus/rules.yaml, line by line.

`rules.py --write` makes overlays/prod/rules.yaml anew.
"""

import re
import sys
from pathlib import Path

import yaml

K8S = Path(__file__).resolve().parent.parent
SOURCE = K8S.parent / "deploy/prometheus/rules.yaml"
TARGET = K8S / "overlays/prod/rules.yaml"
HEAD = """\
# Made from deploy/prometheus/rules.yaml by `k8s/generate`. Its lines are two longer here.
# yamllint disable rule:line-length
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: jetsaga
spec:
  groups:
"""


def may_be_none():
    """The workers that KEDA may scale to zero: that there is none of them is no alarm."""
    scaled = yaml.safe_load_all((K8S / "scaling/keda/workers.yaml").read_text())
    return [it["spec"]["scaleTargetRef"]["name"] for it in scaled if it["spec"]["minReplicaCount"] == 0]


# The cluster knows how many replicas there should be, and an autoscaler takes some away every day.
UNWANTED = "ReplicasFewer"


def text():
    source, block = re.subn(rf"      - alert: {UNWANTED}\n(?:.+\n)+\n", "", SOURCE.read_text())
    if block != 1:
        raise SystemExit(f"{SOURCE}: no rule {UNWANTED}, or several")
    lines = source.split("\ngroups:\n", 1)[1].splitlines()
    quiet = [re.compile(rf'\s+or absent\(up{{job="jetsaga", worker="{name}"}}\)$') for name in may_be_none()]
    kept = [line for line in lines if not any(pattern.match(line) for pattern in quiet)]
    if len(lines) - len(kept) != len(quiet):
        raise SystemExit(f"{SOURCE}: not one line `or absent(…)` for each of {', '.join(may_be_none())}")
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in kept)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        TARGET.write_text(text())
    else:
        sys.stdout.write(text())
