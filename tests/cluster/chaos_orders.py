"""``make chaos-orders``: the fault campaign in full, and its table."""

import argparse
import sys
import time

from tests.cluster.campaign import Campaign
from tests.support.servers.hosts import Switch

FAULTS = {
    "worker_killed": "a worker, kill -9, back after 3 s",
    "leader_killed": "the queue leader, kill -9, back after 8 s",
    "node_cut_off": "the queue leader, cable cut for 20 s",
    "database_killed": "the database, kill -9, back after 5 s",
    "hsm_away": "the HSM, away for 5 s",
    "api_node_killed": "API and relay, kill -9 between commit and hand-out",
    "relay_killed": "the relay, kill -9, back after 3 s",
}


def main() -> int:
    options = _arguments()
    refusal = Switch.refusal()
    if refusal:
        sys.exit(f"The campaign cuts cables between hosts of its own, which is not possible here: {refusal}.")
    with Campaign(total=options.orders, per_second=options.per_second) as campaign:
        started = time.time()
        campaign.run(*options.faults)
        problems = campaign.verify()
        _report(campaign, problems, seconds=time.time() - started)
    return 1 if problems else 0


def _arguments():
    parser = argparse.ArgumentParser(description="Orders under faults, on a real cluster.")
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--per-second", type=float, default=10)
    parser.add_argument("--faults", nargs="*", choices=[*FAULTS], default=[*FAULTS])
    return parser.parse_args()


def _report(campaign, problems, *, seconds):
    placed = campaign.load.placed
    say(f"{'fault':<54}{'lasted s':>9}{'settled s':>10}{'longest order s':>16}  failed requests")
    for phase in campaign.phases:
        failed = campaign.failures_of(phase)
        words = ", ".join(f"{count} {kind}" for kind, count in failed.items()) or "0"
        say(
            f"{FAULTS[phase.fault]:<54}{phase.lasted_s:>9.1f}{phase.settled_s:>10.1f}"
            f"{campaign.longest_wait_s(phase):>16.1f}  {words}"
        )
    say("settled: from the repair until nothing that was ordered before it waits")
    given_back, reclaimed = campaign.retried()
    latencies = sorted(seconds for _, seconds in placed.latencies_s)
    say(
        f"\n{len(placed.acknowledged)} orders acknowledged in {seconds:.0f} s, "
        f"{len(placed.failures)} requests failed; POST p50 {latencies[len(latencies) // 2] * 1000:.0f} ms, "
        f"p99 {latencies[len(latencies) * 99 // 100] * 1000:.0f} ms, longest {latencies[-1]:.1f} s; "
        f"{given_back} orders given back after a fault, {reclaimed} claimed more than once"
    )
    say("\n".join(problems) or "Every order has exactly its result; no orphan, no loss, nothing waits.")


def say(line):
    """Print at once: a campaign takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
