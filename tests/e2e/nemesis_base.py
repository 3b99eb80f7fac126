"""What every file of scenarios needs: the list of them, and the small moves that they share."""
import signal
import time

from cluster import Failure, wait_until

SCENARIOS = {}  # in the order in which `all` runs them


class NotHere(Exception):
    """The machine does not permit what the scenario needs; said aloud, never counted as passed."""


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def settle(cluster, low=0.3, high=1.5):
    time.sleep(cluster.random.uniform(low, high))


def dies_of_fault(node, seconds=30):
    node.expected_down = True
    code = node.exit_code(seconds)
    if code != -signal.SIGKILL:
        raise Failure(f"{node.name} was to kill itself and ended with {code}")


def refuses_to_vote(c, node, why):
    """It follows the chain and says why it does not vote; voting for good needs a new key."""
    c.allowed_broken.append(f" {node.name} .*alarm: .*voting has stopped")
    wait_until(20, f"{node.name} refuses to vote", lambda: node.status().get("voting") is False and
               why in node.status().get("refusal", ""))
    c.progress(f"with {node.name} as an observer")
    if node.status().get("voting"):
        raise Failure(f"{node.name} votes again")


def observers_of(node):
    """Whose key others have used: asked what they know of its votes, it either votes or has refused."""
    wait_until(60, f"{node.name} votes or says why not",
               lambda: node.status().get("voting") or node.status().get("refusal"))
    return [] if node.status().get("voting") else [node.index]


def newest_segment(node):
    return max((node.home / "journal").glob("journal-*"))
