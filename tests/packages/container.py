"""Makes the image of a Containerfile by hand, and runs its health check and its entry point as its user.

For machines without a container engine. It knows the instructions that the Containerfile uses, and refuses others. The base is an
empty directory with the libraries that the program is linked with, from this machine, in place of the image of the registry.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

containerfile, archive, directory = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
arguments = {"ARCHIVE": str(archive)}
stages: dict[str, Path] = {}
config: dict[str, object] = {}


def instructions():
    text = re.sub(r"\\\n", " ", containerfile.read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.split(maxsplit=1)
            yield name, re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], value)


def copy(stage: Path, sources: list[str], target: str, owner: str | None):
    """COPY: into a directory if the target ends with a slash, the contents if the source is a directory."""
    for pattern in sources:
        found = glob.glob(str(stage) + pattern)
        assert len(found) == 1, (pattern, found)
        source, destination = Path(found[0]), Path(str(root) + target)
        if target.endswith("/"):
            destination = destination / source.name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, destination, dirs_exist_ok=True)
        else:
            shutil.copy2(source, destination)
        user, group = map(int, (owner or "0:0").split(":"))
        os.chown(destination, user, group)


for name, value in instructions():
    if name == "ARG":
        key, _, default = value.partition("=")
        arguments.setdefault(key, default)
    elif name == "FROM":
        root = directory / str(len(stages))
        root.mkdir(parents=True)
        stages[value.partition(" AS ")[2] or "image"] = root
        base = value.split()[0]
    elif name == "ADD":
        source, target = value.split()
        tarfile.open(source).extractall(str(root) + target, filter="data")
    elif name == "WORKDIR":
        Path(str(root) + value).mkdir(parents=True)
    elif name == "COPY":
        flags = dict(part[2:].split("=") for part in value.split() if part.startswith("--"))
        *sources, target = [part for part in value.split() if not part.startswith("--")]
        copy(stages[flags["from"]], sources, target, flags.get("chown"))
    elif name == "HEALTHCHECK":
        config[name] = json.loads(value.partition(" CMD ")[2])
    elif name in ("ENTRYPOINT", "CMD"):
        config[name] = json.loads(value)
    elif name in ("USER", "VOLUME", "EXPOSE", "STOPSIGNAL"):
        config[name] = value
    else:
        sys.exit(f"unknown instruction {name}")

assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["USER"]), config["USER"]
assert base.startswith("gcr.io/distroless/cc-debian"), base
image = stages["image"]
program = str(image) + config["ENTRYPOINT"][0]
files = [path for path in image.rglob("*") if path.is_file()]
assert len(files) == 3, files

# The base.
libraries = re.findall(r"(/\S+) \(0x", subprocess.check_output(["ldd", program], text=True))
assert {Path(library).name for library in libraries} <= {
    "libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"
}, f"the base has no other libraries: {libraries}"
for library in libraries:
    target = Path(str(image) + library)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(Path(library).resolve(), target)
(image / "tmp").mkdir()
(image / "dev").mkdir()

# What an operator mounts. Another port than 7777, because this test has no network of its own.
port = 47777
mounted = image / "etc/delete-learning"
mounted.mkdir(parents=True)
(mounted / "delete-learning.toml").write_text(
    f'server.listen = "127.0.0.1:{port}"\n[[databases]]\nid = "main"\nurl = "sqlite:{config["VOLUME"]}/agno.db"\n'
    'create = true\n[auth]\nmode = "security-key"\n'
)
mounted.chmod(0o755)


def run(command: list[str], **options):
    user = ["--userspec", config["USER"], str(image)]
    environment = {"OS_SECURITY_KEY": "a key of the container, of 32 bytes"}
    return subprocess.Popen([shutil.which("chroot"), *user, *command], env=environment, **options)


health = [*config["HEALTHCHECK"], "--url", f"http://127.0.0.1:{port}/health"]
assert run(health, stderr=subprocess.DEVNULL).wait() == 1, "the health check of a server that does not run"
server = run([*config["ENTRYPOINT"], *config["CMD"]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
try:
    line = server.stdout.readline()
    assert line == f"listening on http://127.0.0.1:{port}\n", (line, line or server.stderr.read())
    assert run(health, stdout=subprocess.DEVNULL).wait() == 0, "the health check"
    request = urllib.request.Request(f"http://127.0.0.1:{port}/learnings/x", method="DELETE")
    try:
        status = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).status
    except urllib.error.HTTPError as error:
        status = error.code
    assert status == 401, status
    owner = os.stat(str(image) + config["VOLUME"] + "/agno.db").st_uid
    assert f"{owner}:" == config["USER"].split(":")[0] + ":", owner
    server.send_signal(getattr(signal, config["STOPSIGNAL"]))
    assert server.wait(timeout=20) == 0
finally:
    server.kill()
    server.wait()
print(f"container: {sum(path.stat().st_size for path in files) >> 20} MB, ran as {config['USER']} in a root of its own")
