"""`simulate --history FILE`: could one log per partition have let clients see what they saw?"""

from pathlib import Path

from .arguments import WrongUsage


def judge_file(path: str, *, as_json: bool) -> int:
    """Judge the history in a file. 1 if it has anomalies."""
    from ..simulation.analysis import analyse
    from ..simulation.history import read
    from .output import as_json as print_json

    try:
        verdict = analyse(read(Path(path)))
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WrongUsage(f"{path} is no history: {error}") from None
    if as_json:
        anomalies = [{"kind": found.kind, "key": found.key, "sentence": found.sentence} for found in verdict.anomalies]
        print_json({"valid": not anomalies, "counts": verdict.counts, "anomalies": anomalies})
    else:
        for anomaly in verdict.anomalies:
            print(f"{anomaly.kind}: {anomaly.sentence}")
        print(", ".join(f"{name} {count}" for name, count in sorted(verdict.counts.items())))
    return 1 if verdict.anomalies else 0
