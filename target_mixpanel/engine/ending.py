"""How did the run end, and who is told?"""

import logging

from target_mixpanel.engine.report import RunOutcome, run_report, summary_block
from target_mixpanel.engine.report_place import ReportPlace
from target_mixpanel.engine.summary import Summary
from target_mixpanel.errors import TargetMixpanelError
from target_mixpanel.redaction import Secrets
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")


class Ending:
    """The end of one run: its summary in the log, and its report where it is wanted, once."""

    def __init__(
        self, summary: Summary, stop: Stop, secrets: Secrets, report_place: ReportPlace | None
    ) -> None:
        self.is_due = False
        """Whether there is a run to report of: one that began, and was not reported of yet."""
        self._summary = summary
        self._stop = stop
        self._secrets = secrets
        self._report_place = report_place

    def check(self) -> None:
        """
        See before the run that its report can be written.

        Raises:
            SettingsError: It cannot.
        """
        if self._report_place is not None:
            self._report_place.check(self._stop)

    def report(self, problem: str | None) -> None:
        """
        Say how the run ended, in the log and in `report_path`; a second time only what is wrong.

        Args:
            problem: What ended it; None: nothing did.

        Raises:
            SettingsError: The report cannot be written.
        """
        is_due, self.is_due = self.is_due, False
        outcome = self.outcome(problem)
        if is_due:
            logger.info(summary_block(self._summary, outcome))
        if problem is not None:
            logger.error(problem)
        if is_due and self._report_place is not None:
            self._report_place.write(run_report(self._summary, outcome, problem), self._stop)

    def outcome(self, problem: str | None) -> RunOutcome:
        """Return how a run ended that *problem* ended, or nothing did."""
        if problem is not None:
            return "failed"
        return "stopped" if self._stop.is_requested else "complete"

    def problem(self, error: BaseException) -> str:
        """Name *error* for a log: ours in its words; others, which may hold a record, by kind."""
        if isinstance(error, TargetMixpanelError):
            return self._secrets.hide(str(error))
        return f"ended by {type(error).__name__}"


def also(problem: str | None, second: TargetMixpanelError | None) -> str | None:
    """Return *problem*, and what kept the rows before it from being sent."""
    if problem is None or second is None:
        return problem
    return f"{problem}; and what was read before could not all be sent: {second}"
