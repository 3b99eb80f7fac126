#!/usr/bin/env python3
"""The key commands as people meet them, at a terminal (a pty): words shown and asked back, passphrases typed
and changed, signals while a question is open; and what scripts do instead. No node is needed.

The standard's words are taken to the key by hashlib, not by the wallet's code. Usage: test_keys.py BUILD"""
import hashlib
import hmac
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

FLEX = os.path.join(os.path.abspath(sys.argv[1]), "bin", "flex")
PATIENCE_S = 60  # of a hung program only


class Terminal:
    """flex with a terminal of its own. What it prints is kept in .seen; until() takes it piece by piece."""

    def __init__(self, home, *words, environment=None):
        self.seen, self.taken = "", 0
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.environ.update({"TERM": "xterm"} | (environment or {}))
            os.execv(FLEX, [FLEX, "--home", home, *words])

    def _more(self):
        ready, _, _ = select.select([self.end], [], [], PATIENCE_S)
        assert ready, f"nothing more after: {self.seen!r}"
        try:
            got = os.read(self.end, 4096)
        except OSError:  # the other end is closed
            got = b""
        self.seen += got.decode()
        return bool(got)

    def until(self, pattern):
        while (found := re.compile(pattern).search(self.seen, self.taken)) is None:
            assert self._more(), f"no {pattern!r} in: {self.seen!r}"
        self.taken = found.end()
        return found

    def echoes(self):
        return bool(termios.tcgetattr(self.end)[3] & termios.ECHO)

    def answer(self, pattern, text):
        found = self.until(pattern)
        # The prompt is there before echo is off; what is typed in between is flushed, as for people.
        deadline = time.monotonic() + PATIENCE_S
        while self.echoes():
            assert time.monotonic() < deadline, "the terminal still echoes"
            time.sleep(0.002)
        typed = text(found) if callable(text) else text
        os.write(self.end, typed.encode() + b"\n")
        return typed

    def status(self):
        while self._more():
            pass
        _, status = os.waitpid(self.child, 0)
        os.close(self.end)
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def flex(home, *words, given=()):
    """A script's call, without a terminal; `given`: (option, text) read from a descriptor. (status, object)"""
    options, descriptors = [], []
    for option, text in given:
        reader, writer = os.pipe()
        os.write(writer, text.encode())
        os.close(writer)
        options += [option, str(reader)]
        descriptors.append(reader)
    done = subprocess.run([FLEX, "--home", home, "--json", *words, *options], pass_fds=descriptors, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    for reader in descriptors:
        os.close(reader)
    return done.returncode, json.loads(done.stdout)


def refused(code, home, *words, given=()):
    status, said = flex(home, *words, given=given)
    assert (status, said.get("error", {}).get("code")) == (2, code), (status, said)


# The curve in its plainest form: the key of a secret, apart from libsecp256k1.
P = 2**256 - 2**32 - 977
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] ** 2 * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)) % P
    x = (slope**2 - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def key_of_words(phrase):
    """docs/spec/keys.md 2."""
    words = [word.strip() for word in open("words.txt", encoding="ascii")]
    bits = "".join(f"{words.index(word):011b}" for word in phrase.split())
    checked = len(bits) // 33
    entropy = int(bits[:-checked], 2).to_bytes((len(bits) - checked) // 8, "big")
    assert f"{hashlib.sha256(entropy).digest()[0]:08b}"[:checked] == bits[-checked:], "the checksum"
    seed = hashlib.pbkdf2_hmac("sha512", phrase.encode(), b"mnemonic", 2048)
    number = int.from_bytes(hmac.digest(b"Flexledger wallet key", seed + b"\0", "sha512")[:32], "big")
    point, total = G, None
    while number:
        total = add(total, point) if number & 1 else total
        point, number = add(point, point), number >> 1
    return f"{total[0]:064x}"


def shown_words(screen):
    return [word for _, word in sorted((int(n), word) for n, word in re.findall(r"(\d+) ([a-z]{3,8})", screen))]


def test_words():
    """Shown, cleared away, three asked back: one typed wrongly, one in capitals, one shortened."""
    terminal = Terminal("a", "key", "new", "--mnemonic", "--words", "12", "--no-passphrase")
    terminal.answer("on paper: ", "")
    words = shown_words(terminal.seen[terminal.seen.index("on paper, now"):terminal.taken])
    assert len(words) == 12, terminal.seen
    terminal.until(re.escape("\033[2J\033[3J\033[H"))
    places = []
    for wrong, change in ((True, str), (False, lambda word: f" {word.upper()} "), (False, lambda word: word[:4])):
        if wrong:
            terminal.answer(r"Word (\d+) .*: ", lambda m: words[int(m[1]) % 12])
            terminal.until("That is not word")
        terminal.answer(r"Word (\d+) .*: ", lambda m: (places.append(int(m[1])), change(words[int(m[1]) - 1]))[1])
    status = terminal.status()
    behind = terminal.seen[terminal.seen.index("\033[H"):]
    assert status == 0 and "as they should be" in behind, (status, terminal.seen)
    assert [(place - 1) // 4 for place in places] == [0, 1, 2], places
    assert not any(re.search(rf"\b{word}\b", behind) for word in words if len(word) > 4), "echoed"
    key = flex("a", "key", "show")[1]["public_key"]
    assert key == key_of_words(" ".join(words)), "another key than the standard's words make"
    terminal = Terminal("b", "key", "restore", "--no-passphrase")
    terminal.answer("The words, .*: ", " ".join(words))
    assert terminal.status() == 0 and words[0] + " " + words[1] not in terminal.seen, terminal.seen
    assert flex("b", "key", "show")[1]["public_key"] == key


def test_words_not_written_down():
    terminal = Terminal("c", "key", "new", "--mnemonic", "--no-passphrase", environment={"TERM": "dumb"})
    terminal.answer("on paper: ", "")
    for _ in range(3):
        terminal.answer(r"Word \d+ .*: ", "zzzz")
    assert terminal.status() == 2 and "words_not_repeated" in terminal.seen, terminal.seen
    assert "\033" not in terminal.seen, "a dumb terminal is not steered"
    assert os.path.exists("c/key.json"), "a key is never taken away"
    terminal = Terminal("d", "key", "new", "--mnemonic", "--no-passphrase", "--no-repeat")
    assert terminal.status() == 0 and "Word" not in terminal.seen, terminal.seen
    status, said = flex("e", "key", "new", "--mnemonic", "--words", "15", "--no-passphrase")
    assert status == 0 and said["public_key"] == key_of_words(said["mnemonic"]), said


def test_passphrase():
    terminal = Terminal("p", "key", "new")
    terminal.answer("New passphrase: ", "first one")
    terminal.answer("Once more: ", "first one")
    assert terminal.status() == 0 and "first one" not in terminal.seen, terminal.seen
    key = flex("p", "key", "show")[1]["public_key"]
    before = open("p/key.json", "rb").read()

    refused("passphrase_wrong", "p", "key", "passphrase", given=[("--passphrase-fd", "second\n")])
    refused("passphrase_missing", "p", "key", "passphrase", given=[("--passphrase-fd", "first one\n")])
    refused("passphrase_missing", "p", "key", "passphrase")
    refused("passphrase_missing", "p", "key", "passphrase", given=[("--passphrase-fd", "first one"),
                                                                 ("--new-passphrase-fd", "")])
    refused("bad_option", "p", "key", "passphrase", "--no-passphrase", "--new-passphrase-fd", "0")
    refused("no_key", "nowhere", "key", "passphrase", "--no-passphrase")
    terminal = Terminal("p", "key", "passphrase")
    terminal.answer("Passphrase: ", "first one")
    terminal.answer("New passphrase: ", "second")
    terminal.answer("Once more: ", "secund")
    assert terminal.status() == 2 and "not repeated" in terminal.seen, terminal.seen
    assert open("p/key.json", "rb").read() == before, "a refusal changed the file"

    os.rename("p/key.json", "p/real.json")
    os.symlink("real.json", "p/key.json")
    terminal = Terminal("p", "key", "passphrase")
    terminal.answer("Passphrase: ", "first one")
    terminal.answer("New passphrase: ", "second")
    terminal.answer("Once more: ", "second")
    assert terminal.status() == 0, terminal.seen
    assert os.path.islink("p/key.json") and os.stat("p/key.json").st_mode & 0o777 == 0o600
    assert sorted(os.listdir("p")) == ["key.json", "real.json"], "something is left behind"
    refused("passphrase_wrong", "p", "key", "passphrase", "--no-passphrase", given=[("--passphrase-fd", "first one")])
    status, said = flex("p", "key", "passphrase", "--no-passphrase", given=[("--passphrase-fd", "second\nmore")])
    assert status == 0 and not said["encrypted"] and said["public_key"] == key, said
    status, said = flex("p", "key", "passphrase", given=[("--new-passphrase-fd", "third\n")])
    assert status == 0 and said["encrypted"] and "secret" not in json.load(open("p/key.json", encoding="ascii")), said
    assert flex("w", "key", "watch", key)[0] == 0
    refused("watch_only", "w", "key", "passphrase", "--no-passphrase")


def test_signals():
    """Whatever ends the question, the terminal echoes again and nothing has been written."""
    for number, typed in ((signal.SIGINT, b"half a pass\x03"), (signal.SIGTERM, None), (signal.SIGQUIT, None)):
        # A shell stands between, as at a desk: the terminal outlives the command.
        child, end = pty.fork()
        if child == 0:
            os.execvp("sh", ["sh", "-c", f'trap : INT QUIT; "{FLEX}" --home s key new; echo "ended $?"; stty -a; '
                             'echo over'])
        terminal = Terminal.__new__(Terminal)
        terminal.seen, terminal.taken, terminal.child, terminal.end = "", 0, child, end
        terminal.until("New passphrase: ")
        deadline = time.monotonic() + PATIENCE_S
        while terminal.echoes():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if typed is not None:
            os.write(end, typed)
        else:
            asked = subprocess.run(["ps", "-o", "pid=", "--ppid", str(child)], capture_output=True, text=True, check=True)
            os.kill(int(asked.stdout.split()[0]), number)
        assert int(terminal.until(r"ended (\d+)")[1]) == 128 + number, terminal.seen
        terminal.until("over")
        assert terminal.status() == 0 and re.search(r"(?<!-)\becho\b", terminal.seen), terminal.seen
        assert not os.path.exists("s/key.json")


root = os.getcwd()
directory = tempfile.mkdtemp(prefix="flex-e2e-keys-")
try:
    os.chdir(directory)
    shutil.copy(os.path.join(root, "tools/data/bip39-english.txt"), "words.txt")
    for test in (test_words, test_words_not_written_down, test_passphrase, test_signals):
        test()
finally:
    os.chdir(root)
    shutil.rmtree(directory)
print("keys: words asked back, passphrases changed at a terminal and by scripts, signals leave it as it was")
