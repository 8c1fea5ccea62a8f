"""How far a comparison is, on standard error."""
import os
import sys
import time


def clock_text(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """A line for each measurement where `stream` is a terminal, else one for each case. `planned` counts the measurements to come
    by their kind, which is anything that tells apart those of different times: what is left of a kind will take as it did."""

    def __init__(self, planned, cases, stream=sys.stderr, now=time.monotonic):
        self.left, self.cases, self.done = dict(planned), cases, 0
        self.stream, self.now = stream, now
        self.terminal = stream.isatty()
        self.seconds = {}  # of each kind's measurements
        self.start = now()

    def elapsed(self):
        """What has passed, and what the whole will take if anything tells."""
        passed = self.now() - self.start
        known = [seconds for times in self.seconds.values() for seconds in times]
        if not known:
            return f"{clock_text(passed)} elapsed"
        rest = sum(count * mean(self.seconds.get(kind, known)) for kind, count in self.left.items())
        return f"{clock_text(passed)} of about {clock_text(passed + rest)}"

    def measure(self, what, kind, work):
        """What work() reports, after it was said that `what` is being measured: a report with the times of all rounds so far."""
        if self.terminal:
            columns = os.get_terminal_size(self.stream.fileno()).columns or sys.maxsize
            self.write(f"{what}: running; {self.elapsed()}"[:columns - 1])
        begin = self.now()
        report = work()
        self.seconds.setdefault(kind, []).append(self.now() - begin)
        self.drop(kind)
        if self.terminal:
            said = f"{report['rounds_ms'][-1]:.4g} ms, best so far {report['best_ms']:.4g}" if "best_ms" in report else "no time"
            self.write(f"\r\033[K{what}: {said}; {self.elapsed()}\n")
        return report

    def drop(self, kind):
        """One measurement less of this kind to come."""
        self.left[kind] -= 1

    def end_case(self, text):
        self.done += 1
        if not self.terminal:
            self.write(f"{text}; {self.done} of {self.cases}, {self.elapsed()}\n")

    def interrupt(self):
        """Leaves the line that an interrupted measurement began."""
        if self.terminal:
            self.write("\r\033[K")

    def write(self, text):
        self.stream.write(text)
        self.stream.flush()


def mean(values):
    return sum(values) / len(values)
