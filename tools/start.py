#!/usr/bin/env python3
"""Runs docs/start.md as it stands, in an empty place, and compares what is shown.

    python3 tools/start.py --binary PATH [--page docs/start.md]

The page's rules: a block ```csv NAME is a file to be saved; a block ```sh is typed into a shell; a
block ```text is what the commands before it show, in which … stands for any text of one line. A
command that ends with & is waited for by what it shows.

The place has the program, a shell, the libraries of both and nothing else: a root of its own in new
user, mount, process and network namespaces. Where these cannot be had it is an empty directory with
an empty environment, and the report says so; with CI_STRICT=1 that is a failure. Typed commands are counted: pipes, lists and
substitutions count as what they hold. Python 3.11, standard library only.
"""

import argparse
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

MAX_COMMANDS = 12
MAX_SECONDS = 300
NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"]
DONE = "@@done@@"


class Failed(Exception):
    """The page is not so."""


def blocks(text):
    """(info string, lines, number of the first line) of each fenced block."""
    found, begun = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if begun is None and line.startswith("```"):
            begun = (line[3:].strip(), [], number + 1)
        elif begun is not None and line == "```":
            found.append(begun)
            begun = None
        elif begun is not None:
            begun[1].append(line)
    if begun is not None:
        raise Failed(f"line {begun[2]}: a block without an end")
    return found


def steps(text):
    """The files to be saved, and the commands with what they show."""
    files, typed, shown_for = [], [], None
    for info, lines, number in blocks(text):
        kind, _, name = info.partition(" ")
        if kind == "csv" and name:
            files.append((name, "\n".join(lines) + "\n"))
        elif kind == "sh":
            joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")
            typed += [{"command": command, "line": number, "shows": None} for command in joined]
            shown_for = typed[-1]
        elif kind == "text" and shown_for is not None:
            shown_for["shows"], shown_for = lines, None
        else:
            raise Failed(f"line {number}: a block {info!r} that is no step")
    if not typed:
        raise Failed("the page has no commands")
    return files, typed


def count(command):
    """How many commands a line holds."""
    bare = re.sub(r"'[^']*'", "''", command).strip().removesuffix("&")
    inside = re.fullmatch(r"\w+=\$\((.*)\)", bare)
    bare = inside[1] if inside else bare
    return 1 + len(re.findall(r"&&|\|\||[|;&]|\$\(|`", bare))


def matches(shown, expected):
    def one(line, pattern):
        return re.fullmatch(".+?".join(re.escape(part) for part in pattern.split("…")), line)

    return len(shown) == len(expected) and all(map(one, shown, expected))


class Shell:
    """A shell that reads its commands from us and shows both streams in one."""

    def __init__(self, argv, place, environment, root):
        enter = (lambda: (os.chroot(root), os.chdir(place))) if root else None
        self.child = subprocess.Popen(
            argv, cwd=None if root else place, env=environment, preexec_fn=enter,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.kept, self.ends = b"", time.monotonic() + MAX_SECONDS

    def type(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def line(self):
        while b"\n" not in self.kept:
            left = self.ends - time.monotonic()
            if left <= 0 or not select.select([self.child.stdout], [], [], left)[0]:
                raise Failed(f"the page takes more than {MAX_SECONDS} s")
            got = os.read(self.child.stdout.fileno(), 65536)
            if not got:
                raise Failed("the shell ended")
            self.kept += got
        line, self.kept = self.kept.split(b"\n", 1)
        return line.decode()

    def end(self):
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()


def run_step(shell, step):
    expected, shown, background = step["shows"], [], step["command"].rstrip().endswith("&")
    shell.type(step["command"])
    shell.type(f'echo "{DONE}$?"')
    status = None
    while status is None or (background and expected and len(shown) < len(expected)):
        line = shell.line()
        if line.startswith(DONE):
            status = line.removeprefix(DONE)
        else:
            shown.append(line)
        if background and any(text.startswith("error[") for text in shown):
            break
    if status not in (None, "0") or (expected is not None and not matches(shown, expected)):
        said = "\n".join(shown)
        raise Failed(f"line {step['line']}: {step['command']}\nended with {status} and showed\n{said}\n"
                     f"where the page shows\n" + "\n".join(expected or []))


def run_page(page, place, environment, root):
    with open(page, encoding="utf-8") as file:
        files, typed = steps(file.read())
    for name, text in files:
        with open(os.path.join(root or "/", place.lstrip("/"), os.path.basename(name)), "w", encoding="utf-8") as file:
            file.write(text)
    commands = sum(count(step["command"]) for step in typed)
    shell, begun = Shell(["/bin/sh"], place, environment, root), time.monotonic()
    try:
        for step in typed:
            run_step(shell, step)
    finally:
        seconds = time.monotonic() - begun
        shell.end()
    if commands > MAX_COMMANDS:
        raise Failed(f"the page has {commands} commands, and {MAX_COMMANDS} is the most")
    return commands, seconds


def libraries(program):
    """The files that the loader needs for a program; none for a static one."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", done.stdout)


def fill_root(root, binary, page):
    """A root with the program, a shell, their libraries and the page."""
    for folder in ("bin", "dev", "home", "tmp"):
        os.makedirs(os.path.join(root, folder))
    put = [(binary, "bin/twinpact"), ("/bin/sh", "bin/sh"), (page, "home/start.md")]
    put += [(path, path.lstrip("/")) for program in (binary, "/bin/sh") for path in libraries(program)]
    for source, target in put:
        target = os.path.join(root, target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)
    open(os.path.join(root, "dev/null"), "wb").close()


def bring_up_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # SIOCSIFFLAGS with IFF_UP (netdevice(7)).
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


def inside(root):
    """In the new namespaces: brings up the loopback, and runs the page in the root."""
    subprocess.run(["mount", "--bind", "/dev/null", os.path.join(root, "dev/null")], check=True)
    bring_up_loopback()
    os.mkdir(os.path.join(root, "home/empty"))
    environment = {"PATH": "/bin", "HOME": "/home", "LANG": "C.UTF-8"}
    return run_page(os.path.join(root, "home/start.md"), "/home/empty", environment, root)


def outside(binary, page, scratch):
    """Without namespaces: an empty directory, and nothing on the PATH but the program."""
    place, tools = os.path.join(scratch, "empty"), os.path.join(scratch, "bin")
    os.mkdir(place)
    os.mkdir(tools)
    shutil.copy(binary, os.path.join(tools, "twinpact"))
    return run_page(page, place, {"PATH": tools, "HOME": place, "LANG": "C.UTF-8"}, None)


def why_no_namespaces():
    try:
        done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no unshare"
    return None if done.returncode == 0 else done.stderr.strip() or "unshare failed"


def report(result, where):
    commands, seconds = result
    print(f"start: {commands} typed commands of at most {MAX_COMMANDS}, "
          f"{seconds:.1f} s of machine time of at most {MAX_SECONDS} s, {where}")


def main():
    parser = argparse.ArgumentParser(description="Runs docs/start.md as it stands.")
    parser.add_argument("--binary")
    parser.add_argument("--page", default=os.path.join(os.path.dirname(__file__), "../docs/start.md"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        report(inside(arguments.inside), "in a root with twinpact, sh and their libraries, without a network")
        return 0
    why = why_no_namespaces()
    with tempfile.TemporaryDirectory() as scratch:
        if why is not None:
            if os.environ.get("CI_STRICT") == "1":
                raise Failed(f"CI_STRICT=1 and no namespaces: {why}")
            print(f"start: no namespaces ({why}): an empty directory and an empty environment instead")
            report(outside(arguments.binary, arguments.page, scratch), "in an empty directory")
            return 0
        fill_root(scratch, arguments.binary, arguments.page)
        again = [sys.executable, os.path.abspath(__file__), "--inside", scratch]
        return subprocess.run([*NAMESPACES, *again], check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as why:
        sys.exit(f"start: {why}")
