"""The judge can see: a journal in which all is well has no violation, and each one that is planted is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.evidence import Call, Evidence, HubEvent, Passed, Read, Rejected, Spell, Token
from tests.chaos.judge import Violation, judge

APPID = "wxclassic"
HUB = "127.0.0.1"
CLASSIC, STABLE, PROBE = "/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/get_api_domain_ip"
LIFE, OVERLAP = 1200, 50.0
LASTS = 100.0


class Journal:
    """What a run of 100 s leaves behind in which nothing happens: one token, read every quarter of a second.

    Instants are seconds after its begin. Each method tells one thing more, or otherwise.
    """

    def __init__(self) -> None:
        self.evidence = Evidence(openids={APPID: "o_one"})
        self.mint("first", -50.0)
        self.read_on("first", 1, 0.0, LASTS)
        self.passed(10.0, openids=("o_one",))

    def judged(self) -> list[Violation]:
        """Return the violations that the judge finds."""
        return judge(self.evidence)

    # --- the platform

    def mint(self, value: str, at: float, generation: int = 0, **call: Any) -> None:
        """The hub asks for a token and saves it, at once, as that generation (the number of its tokens)."""
        self.issue(value, at)
        self.call(at, CLASSIC, issued=value, **call)
        self.event(at + 0.2, "minted", generation or len(self.evidence.tokens))

    def issue(self, value: str, at: float, ip: str = HUB) -> None:
        """The platform makes a token, which ends the former one an overlap later."""
        tokens = self.evidence.tokens
        for former in list(tokens.values())[-1:]:
            if former.dies_at > at + OVERLAP:
                self.end(former.value, at + OVERLAP, "replaced")
        tokens[value] = Token(value, APPID, "classic", at, LIFE, at + LIFE, "age", ip, forced=False)

    def end(self, value: str, at: float, end: str) -> None:
        """A token ends before its time."""
        self.evidence.tokens[value] = self.evidence.tokens[value]._replace(dies_at=at, end=end)

    def call(self, at: float, path: str, *, after: float = 0.1, **told: Any) -> None:
        """A call of the hub reaches the platform."""
        told = {"ip": HUB, "access_token": "", "force_refresh": False, "issued": "", "errcode": 0, **told}
        self.evidence.calls.append(Call(at, at + after, APPID, path, answer=told.pop("answer", "whole"), **told))

    def revoke(self, value: str, at: float, *, found_out: bool = True) -> None:
        """Somebody revokes a token; with `found_out` a probe is told a second later, and that is saved."""
        self.spell("revoke", at, at + 0.5, APPID)
        self.end(value, at, "revoked")
        if found_out:
            self.call(at + 1, PROBE, access_token=value, errcode=40001)
            self.event(at + 1.2, "condemned", 1)

    # --- the hub

    def event(self, at: float, code: str, generation: int = 0) -> None:
        """The hub writes its audit log."""
        self.evidence.events.append(HubEvent(len(self.evidence.events) + 1, at, code, APPID, generation))

    def read(self, at: float, value: str, generation: int, *, after: float = 0.01, **told: Any) -> None:
        """A reader is handed a token."""
        self.evidence.reads.append(Read(at, at + after, APPID, 200, value=value, generation=generation, **told))

    def read_on(self, value: str, generation: int, began: float, ended: float, **told: Any) -> None:
        """Readers are handed that token from then on, and nothing else."""
        self.evidence.reads = [read for read in self.evidence.reads if not began <= read.began < ended]
        for quarter in range(int(4 * (ended - began))):
            self.read(began + quarter / 4, value, generation, **told)

    def fail(self, at: float, status: int, problem: str, *, after: float = 0.01, hub: str = "") -> None:
        """A reader is handed nothing."""
        self.evidence.reads.append(Read(at, at + after, APPID, status, problem, hub=hub))

    def passed(
        self, at: float, errcode: int = 0, said: str = "", *, status: int = 200, openids: tuple[str, ...] = ()
    ) -> None:
        """An SDK calls through the gateway."""
        self.evidence.passed.append(Passed(at, at + 0.1, APPID, status, errcode, said, openids))

    def reject(self, at: float, value: str, outcome: str, got: str, caller: str = "good") -> None:
        """A caller rejects a token, and is answered."""
        read = Read(at, at + 1.5, APPID, 200, value=got, generation=1 + list(self.evidence.tokens).index(got))
        self.evidence.rejects.append(Rejected(caller, value, outcome, read))

    def spell(self, kind: str, began: float, ended: float, appid: str = "", hub: str = "") -> None:
        """Something goes wrong for a while."""
        self.evidence.weather.spells.append(Spell(kind, began, ended, appid, hub=hub))


def test_a_run_in_which_nothing_happens_has_no_violation() -> None:
    """Else the others would prove nothing."""
    assert Journal().judged() == []


def test_a_rotation_as_it_should_be_has_no_violation() -> None:
    """Revoked, rejected, probed, condemned, minted, and another one handed out a poll later at most."""
    journal = Journal()
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, LASTS)
    journal.reject(51.0, "first", "refreshed", "second")
    assert journal.judged() == []


def handed_after_its_death_was_saved(journal: Journal) -> None:
    """Readers get it for 30 s more."""
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 80.0, LASTS)


def handed_after_a_probe_proved_its_death(journal: Journal) -> None:
    """The proof is never saved; that the platform is slow is no reason."""
    journal.spell("slow", 45.0, LASTS)
    journal.revoke("first", 50.0, found_out=False)
    journal.call(51.0, PROBE, access_token="first", errcode=40001)


def handed_although_anybody_could_have_found_out(journal: Journal) -> None:
    """Callers were refused and rejected it; nobody looked."""
    journal.revoke("first", 50.0, found_out=False)


def handed_after_a_mint_of_ours_ended_it(journal: Journal) -> None:
    """An answer that came is not saved: who minted keeps it to himself."""
    journal.issue("second", 20.0)
    journal.call(20.0, CLASSIC, issued="second")


def handed_after_its_age(journal: Journal) -> None:
    """Its `expires_at` was reckoned too late."""
    journal.end("first", 50.0, "age")


def handed_stale_although_the_store_was_well(journal: Journal) -> None:
    """A mark is an excuse only where something kept the hub from its store."""
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, 60.0)
    journal.read_on("first", 1, 60.0, LASTS, stale=True)


def handed_what_nobody_issued(journal: Journal) -> None:
    """A token that the platform does not know."""
    journal.read_on("invented", 2, 50.0, 51.0)


def promised_beyond_the_overlap(journal: Journal) -> None:
    """The token is due, another one is minted, and who read the former was told more than its overlap."""
    journal.read(20.0, "first", 1, expires_in=900)
    journal.end("first", 25.0, "age")
    journal.mint("second", 24.0)
    journal.read_on("second", 2, 24.5, LASTS)


def rejected_and_handed_the_same_as_refreshed(journal: Journal) -> None:
    """A client would repeat its call, and be refused again."""
    journal.reject(50.0, "first", "refreshed", "first")


def rejected_and_called_still_valid_long_after_its_death(journal: Journal) -> None:
    """A verdict of before the death holds 10 s."""
    handed_after_its_death_was_saved(journal)
    journal.reject(75.0, "first", "still_valid", "first")


def rejected_and_handed_what_was_known_to_be_dead(journal: Journal) -> None:
    """A reject is decided on the store's record; a poll's time ago is no excuse."""
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, LASTS)
    journal.reject(53.0, "second", "already_newer", "first")


def two_requests_at_once(journal: Journal) -> None:
    """Two replicas mint: each ends what the other gets."""
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0, after=2.0)
    journal.mint("third", 52.5, after=2.0)
    journal.read_on("second", 2, 54.0, 54.25)
    journal.read_on("third", 3, 54.25, LASTS)


def a_token_that_is_no_generation(journal: Journal) -> None:
    """A mint whose answer came, and which nobody was ever handed."""
    journal.revoke("first", 50.0)
    journal.issue("lost", 52.0)
    journal.call(52.0, CLASSIC, issued="lost")
    journal.mint("third", 60.0)
    journal.read_on("third", 2, 60.5, LASTS)


def a_token_that_nobody_had_reason_to_replace(journal: Journal) -> None:
    """It lived, was trusted and not due, and nobody wanted another."""
    journal.mint("second", 50.0)
    journal.read_on("second", 2, 50.5, LASTS)


def one_generation_of_two_values(journal: Journal) -> None:
    """Two replicas saved over each other."""
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.mint("third", 65.0, generation=2)
    journal.read_on("second", 2, 52.5, 65.5)
    journal.read_on("third", 2, 65.5, LASTS)


def one_value_as_two_generations(journal: Journal) -> None:
    """A save that did not look what was there."""
    journal.read_on("first", 2, 50.0, LASTS)


def one_value_again_after_another(journal: Journal) -> None:
    """As when a stable account is made classic, and stable again: its stable token lived on."""
    journal.mint("second", 50.0)
    journal.read_on("second", 2, 50.5, 70.0)
    journal.read_on("first", 3, 70.0, LASTS)


def failed_without_a_reason(journal: Journal) -> None:
    """A credential that nobody ended is not there."""
    journal.fail(50.0, 503, "refreshing")


def failed_for_want_of_a_store(journal: Journal) -> None:
    """Every replica had the credential in memory."""
    journal.spell("locked", 45.0, 60.0)
    journal.fail(50.0, 503, "store_locked")


def withheld_while_the_platform_was_away(journal: Journal) -> None:
    """What lives is handed out, whatever becomes of its successor."""
    journal.spell("dark", 45.0, 60.0)
    journal.fail(50.0, 503, "unanswered")


def withheld_for_seconds_while_the_platform_was_away(journal: Journal) -> None:
    """It is handed out at last, but the caller waited for another one."""
    journal.spell("dark", 45.0, 60.0)
    journal.read(50.0, "first", 1, after=4.0)


def kept_waiting_beyond_the_deadline(journal: Journal) -> None:
    """A caller waits 5 s at most."""
    journal.revoke("first", 50.0)
    journal.mint("second", 62.0)
    journal.fail(51.5, 503, "refreshing", after=9.0)
    journal.read_on("second", 2, 62.5, LASTS)


def hung_up_on(journal: Journal) -> None:
    """No worker was killed, and the connection broke."""
    journal.fail(50.0, 0, "ServerDisconnectedError")


def hung_up_on_by_a_hub_that_nobody_touched(journal: Journal) -> None:
    """Another one was killed."""
    journal.spell("kill", 49.5, 50.0, hub="http://one")
    journal.fail(50.0, 0, "ServerDisconnectedError", hub="http://two")


def handed_stale_by_a_hub_whose_wire_was_well(journal: Journal) -> None:
    """Another one was cut off from the store."""
    journal.spell("severed", 50.0, LASTS, hub="http://one")
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, LASTS)
    journal.read_on("first", 1, 60.0, LASTS, stale=True, hub="http://two")


def withheld_by_a_hub_that_was_cut_off_later(journal: Journal) -> None:
    """It knew the credential, and its wire was cut long after."""
    journal.spell("severed", 45.0, 60.0, hub="http://one")
    journal.fail(50.0, 503, "store_server_away", hub="http://one")


def withheld_what_came_while_the_hub_was_cut_off(journal: Journal) -> None:
    """It knew that the former was dead, and nothing more."""
    journal.spell("severed", 51.5, 70.0, hub="http://one")
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, LASTS)
    journal.fail(60.0, 503, "store_server_away", hub="http://one")


def withheld_what_came_just_before_the_server_crashed(journal: Journal) -> None:
    """Who had not polled since knows that the former was dead, and nothing more."""
    journal.spell("crash", 52.5, 60.0)
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, LASTS)
    journal.fail(61.0, 503, "store_server_away", hub="http://one")


def withheld_what_came_while_the_hub_stood_still(journal: Journal) -> None:
    """When it went on, its wire was cut already."""
    journal.spell("stop", 48.0, 72.0, hub="http://one")
    journal.spell("severed", 71.0, 80.0, hub="http://one")
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 52.5, LASTS)
    journal.fail(76.0, 503, "refreshing", hub="http://one")


def handed_after_a_stranger_ended_it(journal: Journal) -> None:
    """He fetched a token of his own; callers were refused in good weather, and nobody looked."""
    journal.issue("his", 20.0, ip="203.0.113.7")
    journal.end("first", 30.0, "replaced")


def handed_until_a_stranger_was_found_out(journal: Journal) -> None:
    """A few seconds later."""
    journal.spell("stranger", 20.0, 20.5, APPID)
    journal.read(19.0, "first", 1, expires_in=900)
    journal.issue("his", 20.0, ip="203.0.113.7")
    journal.end("first", 50.0, "replaced")
    journal.mint("second", 55.0, generation=2)
    journal.read_on("second", 2, 55.5, LASTS)


def promised_while_its_successor_was_revoked(journal: Journal) -> None:
    """Nobody knew that the successor was dead when it was promised; the next one ended what came before both."""
    journal.read(59.0, "first", 1, expires_in=34)
    journal.issue("second", 50.0)
    journal.call(50.0, CLASSIC, issued="second", answer="cut")
    journal.end("second", 52.0, "revoked")
    journal.mint("third", 67.0, generation=2)
    journal.end("first", 67.0, "replaced")
    journal.read_on("third", 2, 67.5, LASTS)


def promised_while_a_force_was_held_up(journal: Journal) -> None:
    """Somebody asked for another one eight seconds before; the hub that he asked got to its store only now."""
    journal.read(59.0, "first", 1, expires_in=34)
    journal.mint("second", 60.0)
    journal.end("first", 60.0, "replaced")
    journal.read_on("second", 2, 60.5, LASTS)


def handed_until_a_late_commit(journal: Journal) -> None:
    """The transaction was stamped, and its commit was slow to arrive."""
    journal.revoke("first", 50.0)
    journal.mint("second", 52.0)
    journal.read_on("second", 2, 58.0, LASTS)


def answered_as_no_weather_explains(journal: Journal) -> None:
    """An error of the hub's own."""
    journal.spell("dark", 45.0, 60.0)
    journal.fail(50.0, 500, "internal_error")


def generations_that_fall(journal: Journal) -> None:
    """A client that knew the second one is handed the first."""
    journal.read(50.0, "first", 1, seen=2)


def shown_a_refused_token_at_the_gateway(journal: Journal) -> None:
    """The real token was revoked, and the SDK sees it."""
    journal.revoke("first", 50.0)
    journal.passed(50.5, 40001)


def answered_for_another_account(journal: Journal) -> None:
    """Somebody else's followers."""
    journal.passed(50.0, openids=("o_other",))


def answered_later_without_a_reason(journal: Journal) -> None:
    """A system error in fair weather."""
    journal.passed(50.0, -1, "system error")


def answered_still_valid_long_after_its_death(journal: Journal) -> None:
    """A verdict of before the death holds 10 s."""
    journal.spell("revoke", 20.0, 20.5, APPID)
    journal.passed(50.0, -1, "system error, zhongkong: 40001, still_valid")


def answered_nothing_at_the_gateway(journal: Journal) -> None:
    """No worker was killed."""
    journal.passed(50.0, status=0)


@pytest.mark.parametrize(
    ("rule", "said", "plant"),
    [
        ("1", "proof or successor was saved", handed_after_its_death_was_saved),
        ("1", "a probe had proved it", handed_after_a_probe_proved_its_death),
        ("1", "nobody found out", handed_although_anybody_could_have_found_out),
        ("1", "a request of ours ended it", handed_after_a_mint_of_ours_ended_it),
        ("1", "it died of age", handed_after_its_age),
        ("1", "nothing kept the hub from its store", handed_stale_although_the_store_was_well),
        ("1", "never issued", handed_what_nobody_issued),
        ("1", "before what was announced", promised_beyond_the_overlap),
        ("1", "with the very value it named", rejected_and_handed_the_same_as_refreshed),
        ("1", "was called still valid", rejected_and_called_still_valid_long_after_its_death),
        ("1", "whose end had been saved", rejected_and_handed_what_was_known_to_be_dead),
        ("2", "under way", two_requests_at_once),
        ("2", "is no generation", a_token_that_is_no_generation),
        ("2", "nobody had reason to replace", a_token_that_nobody_had_reason_to_replace),
        ("2", "is not one value", one_generation_of_two_values),
        ("2", "as two generations", one_value_as_two_generations),
        ("2", "as two generations", one_value_again_after_another),
        ("4", "failed without a reason", failed_without_a_reason),
        ("4", "was withheld (store_locked)", failed_for_want_of_a_store),
        ("4", "was withheld (unanswered)", withheld_while_the_platform_was_away),
        ("4", "was withheld for 4.0 s", withheld_for_seconds_while_the_platform_was_away),
        ("4", "waited 9.0 s", kept_waiting_beyond_the_deadline),
        ("4", "no answer came", hung_up_on),
        ("4", "no answer came", hung_up_on_by_a_hub_that_nobody_touched),
        ("1", "nothing kept the hub from its store", handed_stale_by_a_hub_whose_wire_was_well),
        ("4", "was withheld (store_server_away)", withheld_by_a_hub_that_was_cut_off_later),
        ("1", "nobody found out", handed_after_a_stranger_ended_it),
        ("1", "proof or successor was saved", handed_until_a_late_commit),
        ("4", "no weather explains", answered_as_no_weather_explains),
        ("7", "after 2", generations_that_fall),
        ("gateway", "was refused", shown_a_refused_token_at_the_gateway),
        ("gateway", "another account", answered_for_another_account),
        ("gateway", "-1 without a reason", answered_later_without_a_reason),
        ("gateway", "-1 without a reason", answered_still_valid_long_after_its_death),
        ("gateway", "no answer came", answered_nothing_at_the_gateway),
    ],
)
def test_a_planted_violation_is_found(rule: str, said: str, plant: Callable[[Journal], None]) -> None:
    """And is called what it is."""
    journal = Journal()
    plant(journal)
    assert any(one.rule == rule and said in one.text for one in journal.judged()), journal.judged()


@pytest.mark.parametrize(
    ("plant", "spells"),
    [
        (handed_after_its_death_was_saved, [("stop", 51.0, 82.0)]),
        (handed_although_anybody_could_have_found_out, [("dark", 50.0, LASTS)]),
        (handed_stale_although_the_store_was_well, [("full", 55.0, LASTS)]),
        (two_requests_at_once, [("stop", 40.0, 60.0)]),
        (a_token_that_nobody_had_reason_to_replace, [("force", 49.0, 50.0)]),
        (one_generation_of_two_values, [("full", 51.0, 65.0), ("kill", 64.0, 65.0)]),
        (one_value_again_after_another, [("mode", 49.0, 50.0), ("mode", 69.0, 70.0)]),
        (failed_for_want_of_a_store, [("kill", 48.0, 49.0)]),
        (kept_waiting_beyond_the_deadline, [("kill", 51.0, 55.0), ("stop", 51.0, 60.0)]),
        (hung_up_on, [("kill", 49.5, 50.0)]),
        (hung_up_on, [("stall", 49.5, 50.0)]),
        (withheld_what_came_while_the_hub_was_cut_off, []),
        (withheld_what_came_just_before_the_server_crashed, []),
        (withheld_what_came_while_the_hub_stood_still, []),
        (handed_until_a_stranger_was_found_out, []),
        (promised_while_its_successor_was_revoked, [("force", 49.0, 50.0)]),
        (promised_while_a_force_was_held_up, [("force", 52.0, 56.0), ("half_open", 50.0, 61.0)]),
        (handed_until_a_late_commit, [("distant", 50.0, 57.0)]),
        (answered_later_without_a_reason, [("dark", 45.0, 60.0)]),
        (answered_still_valid_long_after_its_death, [("revoke", 42.0, 42.5)]),
        (answered_nothing_at_the_gateway, [("kill", 49.5, 50.0)]),
    ],
)
def test_what_the_invariants_set_aside_is_no_violation(
    plant: Callable[[Journal], None], spells: list[tuple[str, float, float]]
) -> None:
    """Where the run itself made the weather that excuses it."""
    journal = Journal()
    plant(journal)
    for spell in spells:
        journal.spell(*spell)
    assert journal.judged() == []
