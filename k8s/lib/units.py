"""Quantities as manifests, flags and nats.conf write them, as numbers."""

import re

# Of Kubernetes; of nats-server, where MB is 2^20 and M is 10^6; and of Go's GOMEMLIMIT.
SIZES = {"": 1, "B": 1}
for power, letter in enumerate("KMGT", 1):
    SIZES |= {letter: 1000**power, **dict.fromkeys((f"{letter}B", f"{letter}i", f"{letter}iB"), 1024**power)}


def seconds(text):
    """Of a duration such as 500ms, 20s, 2160h or 1h30m."""
    if not re.fullmatch(r"(\d+(ms|s|m|h))+", text):
        raise ValueError(f"{text!r} is no duration such as 20s")
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    return sum(int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)


def size(text):
    """Bytes."""
    found = re.fullmatch(r"(\d+)([A-Za-z]*)", str(text))
    unit = found and (found[2][:1].upper() + found[2][1:].replace("b", "B"))
    if unit not in SIZES:
        raise ValueError(f"{text!r} is no size such as 64MB or 1Gi")
    return int(found[1]) * SIZES[unit]


def quantity(text):
    """Of CPU or memory, or a number such as 20k."""
    text = str(text)
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text) if "." in text else size(text)


def part(value, whole, up):
    """A number of pods, or a share of them such as 25%, rounded up or down."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * whole
    return -(-share // 100) if up else share // 100
