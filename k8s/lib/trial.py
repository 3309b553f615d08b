"""Each worker is started with what its container reads, against a nats-server that is not there: it has to get as far as
that, so every value is one that it takes."""

import subprocess
import tempfile

# What is a file in the cluster and none here.
FILES = ("_FILE", "GATEWAY_KEYS")


def check(world):
    with tempfile.TemporaryDirectory() as folder:
        for pod in world.pods():
            for container in pod.containers():
                args = container.get("args", [])
                if args[:1] == ["worker"] and args[1] != "provider":
                    yield from (f"{pod}, container {container['name']}: {why}" for why in start(world, container, folder))


def start(world, container, folder):
    read = {k: v for k, v in world.environment(container).items() if v is not None and not k.endswith(FILES)}
    read |= {"JETSAGA_NATS_URL": "nats://127.0.0.1:1", "JETSAGA_HTTP_LISTEN": "127.0.0.1:0"}
    if "GATEWAY_LISTEN" in read:
        read["GATEWAY_LISTEN"] = "127.0.0.1:0"
    done = subprocess.run(
        [world.facts["tool"].path, *container["args"]], env=read, cwd=folder, capture_output=True, text=True, check=False, timeout=30
    )
    said = (done.stderr or done.stdout).strip()
    if done.returncode != 1 or "127.0.0.1:1" not in said:
        yield f"with its environment it ends with {done.returncode}: {said}"
