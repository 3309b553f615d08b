"""nats.conf, as far as it is asked here: settings by their path, such as `cluster.tls.verify`."""

import re

WORD = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]|[{}\n;,]|[^\s{}\[\];,\"']+")
ON = ("true", "yes", "on", "1")


def settings(text):
    """What stands there, as texts. Of what stands there twice, the last; `include` names every file, with spaces."""
    found, path, words = {}, [], []
    for word in WORD.findall(re.sub(r"(?m)(^|\s)(#|//).*$", r"\1", text) + "\n"):
        if word not in ("{", "}", "\n", ";", ","):
            words.append(word)
            continue
        key, value = said(words)
        if word == "{":
            path.append(key)
        elif key:
            name = ".".join([*path, key])
            found[name] = f"{found[name]} {value}" if key == "include" and name in found else value
        if word == "}":
            path = path[:-1]
        words = []
    return found


def said(words):
    """Key and value of one statement: `a: b`, `a = b`, `a b` and `a:b` say the same."""
    parts = re.fullmatch(r"(\w*)\s*[:=]?\s*(.*)", " ".join(words), re.DOTALL)
    return parts[1], parts[2].strip("\"'")


def block(conf, name):
    return {key: value for key, value in conf.items() if key.startswith(f"{name}.")}


def port(conf, name, listen, usual=None):
    """A port that has a setting of its own, or is the end of an address to listen at."""
    value = conf.get(name) or conf.get(listen, "").rpartition(":")[2] or usual
    return value and int(value)
