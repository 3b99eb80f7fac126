#!/usr/bin/env python3
"""Runs docs/operator.md, "Runbook": every command of it, in its order, on machines that are directories.

A fenced block ```sh NAME... is run for each machine NAME, with its paths, hosts and ports put in place of
the document's. Four commands of a real machine are played by scripts: systemctl (starts flexd on the home,
ends it with SIGTERM), scp (copies), apt-get (the next release's programs take the place of today's), and
what a person does between the blocks (reading keys out, writing the genesis, losing a machine) is in
`between`. A block that this script does not know a machine for fails it. Usage: runbook.py BUILD"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ports import free_ports

BUILD = os.path.abspath(sys.argv[1])
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MACHINES = ["operator", "dso", "agg-a", "agg-b", "meters"]
DOCUMENT = open(os.path.join(ROOT, "docs/operator.md")).read()

SYSTEMCTL = r"""#!/bin/bash
# start, stop, restart, enable --now of flexd on this machine's home
set -eu
stop() {
    [ ! -e "$MACHINE/pid" ] && return
    pid=$(cat "$MACHINE/pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    rm -f "$MACHINE/pid"
}
start() {
    setsid "$MACHINE/bin/flexd" start --home "$MACHINE/home" >>"$MACHINE/log" 2>&1 </dev/null &
    echo $! >"$MACHINE/pid"
}
case "$1" in
enable) [ "$2 $3" = "--now flexd" ]; start ;;
start) start ;;
stop) stop ;;
restart) stop; start ;;
*) echo "systemctl $1?" >&2; exit 1 ;;
esac
"""
SCP = r"""#!/bin/bash
# scp FILE... HOST.example:/var/lib/flexledger/DIR/ (the runner has put the machine's home in place)
set -eu
cp "${@:1:$#-1}" "${!#}"
"""
APT = r"""#!/bin/bash
set -eu
[ "$1" = install ]
ln -sf "$NEXT/flexd" "$MACHINE/bin/flexd"
ln -sf "$NEXT/flex" "$MACHINE/bin/flex"
"""


class Run:
    def __init__(self, directory):
        self.dir = directory
        base = free_ports(2 * len(MACHINES))
        self.p2p = {m: base + 2 * i for i, m in enumerate(MACHINES)}
        self.api = {m: base + 2 * i + 1 for i, m in enumerate(MACHINES)}
        self.values = {"AHEAD": "24"}
        self.commands = 0
        for machine in MACHINES:
            self.make_machine(machine)

    def place(self, machine, *parts):
        return os.path.join(self.dir, machine, *parts)

    def make_machine(self, machine):
        bin_dir = self.place(machine, "bin")
        os.makedirs(bin_dir)
        for name in ("flexd", "flex"):
            os.symlink(os.path.join(BUILD, "bin", name), os.path.join(bin_dir, name))
        for name, text in (("systemctl", SYSTEMCTL), ("scp", SCP), ("apt-get", APT)):
            with open(os.path.join(bin_dir, name), "w") as file:
                file.write(text)
            os.chmod(os.path.join(bin_dir, name), 0o755)
        self.flex(machine, "wallet", "key", "new", "--no-passphrase")

    def flex(self, machine, wallet, *arguments):
        out = subprocess.run([os.path.join(BUILD, "bin/flex"), "--home", self.place(machine, wallet),
                              "--json", *arguments], capture_output=True, text=True)
        if out.returncode != 0:
            sys.exit(f"flex {arguments}: {out.stdout}{out.stderr}")
        return json.loads(out.stdout)

    def environment(self, machine):
        here = dict(os.environ, MACHINE=self.place(machine), NEXT=os.path.join(BUILD, "tests/preview"),
                    NAME=machine, HOME=self.place(machine), **self.values)
        here["PATH"] = self.place(machine, "bin") + ":" + here["PATH"]
        return here

    def localised(self, machine, text):
        """The document's command with this machine's paths and ports."""
        text = re.sub(r"(\S+)\.example:/var/lib/flexledger", lambda m: self.place(m[1], "home"), text)
        text = re.sub(r"([a-z-]+)\.example:7400", lambda m: f"127.0.0.1:{self.p2p[m[1]]}", text)
        text = text.replace("0.0.0.0:7400", f"127.0.0.1:{self.p2p[machine]}")
        text = text.replace("127.0.0.1:8400", f"127.0.0.1:{self.api[machine]}")
        text = text.replace("/var/lib/flexledger", self.place(machine, "home"))
        text = text.replace("/srv/backup", self.place(machine, "backup"))
        if text.startswith("flexd init"):
            # Five nodes on one machine can't share the API's default port.
            text += f" --listen-api 127.0.0.1:{self.api[machine]}"
        return text

    def command(self, machine, line):
        text = self.localised(machine, line)
        try:
            out = subprocess.run(["/bin/bash", "-euc", text], cwd=self.place(machine), text=True,
                                 env=self.environment(machine), stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=90)
            code, said = out.returncode, out.stdout
        except subprocess.TimeoutExpired as late:
            code, said = "timeout", str(late.stdout)
        if code != 0:
            sys.exit(f"FAILED on {machine}: {line}\n({text})\nexit {code}\n{said}")
        self.commands += 1
        match = re.search(r"^\s*proof:?\s+([0-9a-f]{128})$", said, re.M)
        if "prove-key" in line:
            self.values["PROOF"] = match[1] if match else sys.exit(f"no proof in: {said}")
        if line.startswith("flexd init"):
            key = re.search(r"^node key\s+([0-9a-f]{64})$", said, re.M)[1]
            self.values[machine.upper().replace("-", "_")] = key

    def write_genesis(self):
        genesis = json.loads(re.search(r"```json\n(\{\"chain\".*?)```", DOCUMENT, re.S)[1])
        genesis.update(block_interval_ms=50, max_idle_ms=200, delta_ms=150)
        genesis["time_ms"] = str(int(time.time() * 1000) - 60000)
        validators = genesis["params"]["validators"]
        for one in validators:
            one["key"] = self.values[one["operator"].upper().replace("-", "_")]
        validators.sort(key=lambda one: one["key"])
        self.flex("operator", "treasurer", "key", "new", "--no-passphrase")
        for one in genesis["participants"]:
            at = ("operator", "treasurer") if one["id"] == "treasurer" else (one["id"], "wallet")
            one["key"] = self.flex(*at, "key", "show")["public_key"]
        for machine in MACHINES:
            with open(self.place(machine, "genesis.json"), "w") as file:
                json.dump(genesis, file)

    def kill(self, machine):
        path = self.place(machine, "pid")
        if os.path.exists(path):
            try:
                os.kill(int(open(path).read()), signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.remove(path)

    def between(self, before, line):
        """What people do before that command."""
        if line.startswith("flexd join") and before.startswith("scp") and "METERS" not in self.values:
            self.write_genesis()
        if line.startswith("flexd restore"):
            self.kill("agg-b")
            time.sleep(0.2)
            shutil.rmtree(self.place("agg-b", "home"))
        if line.startswith("systemctl restart") and before.startswith("curl") and self.restored():
            # The document's two minutes: the mark is put forward.
            path = self.place("agg-b", "home", "restored")
            mark = json.load(open(path))
            mark["votes_after_ms"] = mark["restored_ms"]
            json.dump(mark, open(path, "w"))

    def restored(self):
        return os.path.exists(self.place("agg-b", "home", "restored"))


def blocks():
    section = DOCUMENT.split("\n## Runbook\n")[1].split("\n## ")[0]
    found = re.findall(r"^```sh([^\n]*)\n(.*?)^```", section, re.S | re.M)
    for machines, text in found:
        names = machines.split()
        if not names or set(names) - set(MACHINES):
            sys.exit(f"a block for {names or 'nobody'}: {text}")
        yield names, text.strip().split("\n")


def main():
    directory = tempfile.mkdtemp(prefix="flex-e2e-runbook-", dir="/tmp")
    run = Run(directory)
    try:
        before = ""
        for names, lines in blocks():
            for machine in names:
                for line in lines:
                    run.between(before, line)
                    run.command(machine, line)
                    before = line
        if run.commands < 60:
            sys.exit(f"only {run.commands} commands")
        for machine in MACHINES:
            log = open(run.place(machine, "log")).read()
            # A validator that was restored says so once as loudly as it can.
            broken = [one for one in log.split("\n") if " broken: " in one and "restored from a backup" not in one]
            if broken:
                sys.exit(f"{machine}: {broken[0]}")
        print(f"the runbook's {run.commands} commands run: four start, a fifth joins, one is lost and restored, all upgrade")
    except SystemExit:
        for machine in MACHINES:
            if os.path.exists(run.place(machine, "log")):
                print(f"== {machine}")
                print("\n".join(open(run.place(machine, "log")).read().split("\n")[-14:]))
        raise
    finally:
        for machine in MACHINES:
            run.kill(machine)
        shutil.rmtree(directory, ignore_errors=True)


main()
