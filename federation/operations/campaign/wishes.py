"""Heed what people wish of a running study: go on, pause, stop, stop at once."""

import time
from collections.abc import Callable

from federation.domain.queue import Wish
from federation.domain.study import Study
from federation.errors.durable import StudyStoppedError
from federation.operations.campaign.voice import Voice

LOOK_S = 0.5


class Wishes:
    """The wishes about one run.

    Parameters
    ----------
    wish
        Returns what somebody asked for last.
    pause, resume
        Write down that the run is paused, with a reason, and that it goes on.
    rounds
        Returns how many rounds are done.
    """

    def __init__(
        self,
        study: Study,
        voice: Voice,
        *,
        wish: Callable[[], Wish],
        pause: Callable[[str], None],
        resume: Callable[[], None],
        rounds: Callable[[], int],
    ) -> None:
        self._study, self._voice, self.now = study, voice, wish
        self._pause, self._resume, self._rounds = pause, resume, rounds

    def heed(self) -> None:
        """Return when the study may go on: at once, or when a pause is over.

        Raises
        ------
        StudyStoppedError
            If somebody asked for it to stop.
        """
        if self.now() is Wish.PAUSE:
            self._pause("asked")
            self._voice.aside("paused")
            while self.now() is Wish.PAUSE:
                time.sleep(LOOK_S)
            self._check()
            self._resume()
            self._voice.back()
        self._check()

    @property
    def is_stop_now(self) -> bool:
        """Say whether the round in flight is to be given up."""
        return self.now() is Wish.STOP_NOW

    def _check(self) -> None:
        if self.now() in (Wish.STOP, Wish.STOP_NOW):
            raise StudyStoppedError(study=self._study.id, rounds=self._rounds())
