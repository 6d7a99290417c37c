"""A probe speaks of the credential it was sent for, and of no other."""

from __future__ import annotations

from tests.unit.core.records import NOW, SLOT, after, build_account, build_due
from zhongkong.core.claim import Claim
from zhongkong.core.model import Mode, Record
from zhongkong.core.reject import BeginProbe, EndProbe, ProbeNow, ProbeRecent, Reject
from zhongkong.core.save import Save
from zhongkong.wechat.answers import Granted
from zhongkong.wechat.errcodes import ProbeVerdict


def renewed_while_probed() -> tuple[Record, str]:
    """Return a record whose credential was replaced after a probe of it had left, and the former one's sha-256."""
    record, begun = after(BeginProbe(SLOT, 1), build_due())
    assert begun == ProbeNow(NOW)
    assert record.credential is not None
    former = record.credential.sha256
    account = build_account(Mode.CLASSIC)
    record, _ = after(Claim(SLOT, account, "mine", 1), record)
    record, _ = after(Save(SLOT, account, "mine", Granted("token-2", 7200)), record, NOW + 1.0)
    assert record.generation == 2
    return record, former


def test_nobody_waits_for_a_verdict_on_a_credential_that_is_no_longer_there() -> None:
    """Who rejects the new one within the same 5 s is told to come again; he would wait in vain for an answer."""
    record, _ = renewed_while_probed()
    after_reject, answer = after(Reject(SLOT, "somebody", generation=2), record, NOW + 2.0)
    assert answer == ProbeRecent()
    assert after_reject.probe.last is ProbeVerdict.UNKNOWN


def test_a_late_verdict_says_nothing_of_the_successor() -> None:
    """The former one is dead because it was replaced: that proves that the platform answers, no more."""
    record, former = renewed_while_probed()
    ended, _ = after(EndProbe(SLOT, former, NOW, ProbeVerdict.DEAD, "probed"), record, NOW + 3.0)
    assert ended.condemned == ""
    assert ended.probe.last is ProbeVerdict.UNKNOWN
    assert ended.probe.answered_at == NOW
