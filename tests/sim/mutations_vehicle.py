"""Deliberate defects of vehicles: the transaction, Secondaries, the link, the Primary (see mutations.py)."""

from __future__ import annotations

from typing import Final

from tests.sim.mutation import Mutation

INSTALLATION: Final = (
    Mutation(
        name="erases-unlimited",
        path="uptane/verify/installation.py",
        before="    if spent >= ERASES_PER_TARGETS_MAX:",
        after="    if spent < 0:",
        breaks="whoever may ask wears out the flash",
        kills="",
    ),
    Mutation(
        name="counter-raised-at-commit",
        path="uptane/verify/installation.py",
        before="            return replace(ordered, state=state, outcome=Outcome.INSTALLED)",
        after="""\
            counter = max(installation.released_counter, installation.image.release_counter)
            return replace(ordered, state=state, outcome=Outcome.INSTALLED, released_counter=counter)""",
        breaks="the released counter rises while rolling back is still legal",
        kills="scenario plain",
    ),
    Mutation(
        name="old-slot-freed-at-commit",
        path="uptane/verify/installation.py",
        before="            return replace(ordered, state=state, outcome=Outcome.INSTALLED)",
        after="            return replace(_released(ordered), outcome=Outcome.INSTALLED)",
        breaks="an ECU releases when it is told to commit: it cannot go back when another one does not come up",
        kills="scenario plain",
    ),
    Mutation(
        name="boots-uncounted",
        path="uptane/verify/installation.py",
        before="running=new, boots=installation.boots + 1)",
        after="running=new, boots=installation.boots)",
        breaks="every boot of the new image is its first: a reset on trial does not go back",
        kills="scenario camera dead",
    ),
    Mutation(
        name="never-falls-back",
        path="uptane/verify/installation.py",
        before="Event.FALL_BACK if confirmed_once and installation.boots >= BOOT_ATTEMPTS_MAX else Event.BOOT",
        after="Event.BOOT",
        breaks="an image that has voted and then does not come up is booted for ever",
        kills="scenario brake dies when voted",
    ),
    Mutation(
        name="trial-survives-a-reset",
        path="uptane/verify/states.py",
        before="    (_S.TRIAL, _E.BOOT): _S.IDLE,",
        after="    (_S.TRIAL, _E.BOOT): _S.TRIAL,",
        breaks="a reset before the vote does not go back to the old image",
        kills="scenario cut on trial",
    ),
    Mutation(
        name="voted-by-a-failure",
        path="uptane/verify/states.py",
        before="    (_S.TRIAL, _E.FAILED): _S.IDLE,",
        after="    (_S.TRIAL, _E.FAILED): _S.VOTED,",
        breaks="a failed self-test is a vote for the new image",
        kills="scenario brake fails",
    ),
    Mutation(
        name="started-unhashed",
        path="uptane/verify/installation.py",
        before="    if (content.length, content.sha256) != (image.length, image.sha256):",
        after="    if content.length < 0:",
        breaks="a slot that has changed since it was prepared is started",
        kills="",
    ),
    Mutation(
        name="started-without-time",
        path="uptane/verify/installation.py",
        before="    if not attested:\n        raise Rejected(Check.TIME_UNATTESTED)\n",
        after="",
        breaks="an image is started though no time was attested since power-up",
        kills="scenario no time when prepared",
    ),
    Mutation(
        name="running-slot-erased",
        path="uptane/verify/installation.py",
        before="    if installation.running == installation.other:\n        raise Rejected(Check.INSTALL_STATE,",
        after="    if installation.home == installation.other:\n        raise Rejected(Check.INSTALL_STATE,",
        breaks="the slot that runs is erased, when a new image was given up and runs on",
        kills="",
    ),
    Mutation(
        name="released-slot-written",
        path="uptane/verify/installation.py",
        before="        return 1 - self.home",
        after="        return self.home",
        breaks="the released software is overwritten by what comes",
        kills="scenario plain",
    ),
    Mutation(
        name="prepared-bundle-kept",
        path="uptane/verify/installation.py",
        before="if installation.bundle == assigned.bundle else cancel(installation)",
        after="if installation.bundle == assigned.bundle else installation",
        breaks="newer Targets with another bundle do not cancel what is prepared",
        kills="scenario intruder",
    ),
    Mutation(
        name="rolled-back-tried-again",
        path="uptane/verify/installation.py",
        before="    if (assigned.bundle, assigned.targets_version) in installation.rolled_back:",
        after="    if assigned.targets_version < 0:",
        breaks="an ECU takes a bundle again that it was told to roll back",
        kills="scenario brake dies when voted",
    ),
)

SECONDARY: Final = (
    Mutation(
        name="vote-not-stored",
        path="secondary/install.py",
        before="    yield from install(state, voted)\n",
        after="    state.installation = voted\n    yield from ()\n",
        breaks="the vote is reported and not stored: a reset goes back after the decision to commit",
        kills="scenario plain",
    ),
    Mutation(
        name="boot-not-stored",
        path="secondary/install.py",
        before="    yield from install(state, booted)\n",
        after="    state.installation = booted\n",
        breaks="a boot is not counted durably",
        kills="scenario plain",
    ),
    Mutation(
        name="order-not-stored",
        path="secondary/delivered.py",
        before="    yield from install(state, obeyed)\n",
        after="    state.installation = obeyed\n    yield from ()\n",
        breaks="an order is acknowledged and not stored",
        kills="scenario plain",
    ),
    Mutation(
        name="erased-before-it-is-stored",
        path="secondary/install.py",
        before="""\
    yield from install(state, installation.erase(before, assigned))
    state.progress[slot] = state.untouched = None
    try:
        yield EraseSlot(slot, tag)
""",
        after="""\
    erased = installation.erase(before, assigned)
    state.progress[slot] = state.untouched = None
    try:
        yield EraseSlot(slot, tag)
        yield from install(state, erased)
""",
        breaks="a slot is erased while the record still says what it holds, and the erase is not counted",
        kills="scenario two",
    ),
    Mutation(
        name="voted-without-self-test",
        path="secondary/ecu.py",
        before="            self._effects.append(SelfTest(state.installation.running, image.length, image.sha256))",
        after="            assert image.length\n            self._tested(Verdict.PASSED)",
        breaks="a new image is confirmed without a self-test",
        kills="scenario plain",
    ),
    Mutation(
        name="failed-test-passes",
        path="secondary/install.py",
        before="    voted = installation.vote(before, passed=verdict is Verdict.PASSED)",
        after="    voted = installation.vote(before, passed=verdict is not Verdict.DEAD)",
        breaks="a failed self-test counts as passed",
        kills="scenario brake fails",
    ),
    Mutation(
        name="prepared-unhashed",
        path="secondary/install.py",
        before="    content: Content = yield HashSlot(slot, image.length)\n    try:",
        after="    content = Content(image.length, image.sha256, image.sha512)\n    try:",
        breaks="a slot is prepared without a look at what it holds",
        kills="",
    ),
    Mutation(
        name="resumes-another-image",
        path="secondary/install.py",
        before="    return progress.next_offset if progress is not None and progress.tag == tag else 0",
        after="    return progress.next_offset if progress is not None else 0",
        breaks="a download goes on where that of another image stopped",
        kills="",
    ),
    Mutation(
        name="begins-in-another-image",
        path="secondary/install.py",
        before="    if progress is None or progress.tag != tag:",
        after="    if progress is None:",
        breaks="an image is written into a slot that was erased for another one",
        kills="",
    ),
    Mutation(
        name="started-expired",
        path="secondary/install.py",
        before="""\
    assigned = recheck(state.facts.verifier, state.held_now, state.facts.own.ecu)
    image = now.images""",
        after="""\
    assert state.targets is not None
    assigned = assigned_to(state.facts.verifier.hasher, state.targets.value, state.facts.own.ecu)
    image = now.images""",
        breaks="an image is started under metadata that have expired since",
        kills="",
    ),
    Mutation(
        name="restarts-while-driving",
        path="secondary/ecu.py",
        before="        if install.is_reverting(self._state) and self._interlock() is uds.Interlock.SAFE:",
        after="        if install.is_reverting(self._state):",
        breaks="an ECU goes back to its old image while the vehicle moves",
        kills="",
    ),
    Mutation(
        name="nonce-drawn-twice",
        path="secondary/report.py",
        before="    yield Store(NONCE, counter_octets(counter))\n",
        after="    yield from ()\n",
        breaks="a nonce is drawn again after a power cut: the attestation of then is good once more",
        kills="scenario plain",
    ),
    Mutation(
        name="nonce-kept-after-use",
        path="secondary/delivered.py",
        before="    state.clock_set = state.now\n    yield from draw_nonce(state)\n",
        after="    state.clock_set = state.now\n",
        breaks="an attestation is good as often as it is delivered",
        kills="scenario subsets",
    ),
    Mutation(
        name="report-counter-not-reserved",
        path="secondary/report.py",
        before="        yield Store(REPORT, counter_octets(ceiling))\n",
        after="        yield from ()\n",
        breaks="a report counter is used again after a power cut",
        kills="scenario two",
    ),
    Mutation(
        name="interlock-ignored",
        path="uptane/link/uds_server.py",
        before="        if word is Interlock.SAFE:",
        after="        if isinstance(word, Interlock):",
        breaks="an ECU is erased, written and restarted while the vehicle moves",
        kills="",
    ),
    Mutation(
        name="session-unasked",
        path="uptane/link/uds_server.py",
        before="        if self._session not in sessions:",
        after="        if not sessions:",
        breaks="everything may be asked in any session",
        kills="",
    ),
    Mutation(
        name="session-shared",
        path="uptane/link/uds_server.py",
        before="        if self._holder not in {None, peer}:",
        after="        if peer < 0:",
        breaks="two testers work on one ECU at a time",
        kills="",
    ),
    Mutation(
        name="block-written-twice",
        path="uptane/link/uds_server.py",
        before="""\
        if request.counter == transfer.last_counter:
            self._say(request, peer)  # our acknowledgement was lost; the octets are written once
            return
        if request.counter != transfer.next_counter:
""",
        after="""\
        if request.counter not in {transfer.last_counter, transfer.next_counter}:
""",
        breaks="a block whose acknowledgement was lost is written twice",
        kills="",
    ),
    Mutation(
        name="block-counter-ignored",
        path="uptane/link/uds_server.py",
        before="        if request.counter != transfer.next_counter:",
        after="        if request.counter > 0xFF:",
        breaks="blocks are written in any order",
        kills="",
    ),
    Mutation(
        name="more-than-was-announced",
        path="uptane/link/uds_server.py",
        before="        if len(request.octets) > transfer.left:",
        after="        if transfer.left < 0:",
        breaks="a transfer goes on after its announced length",
        kills="",
    ),
    Mutation(
        name="session-never-ends",
        path="uptane/link/uds_server.py",
        before="        if self._session_end is not None and now >= self._session_end:",
        after="        if self._session_end is not None and now >= self._session_end and self._transfer is not None:",
        breaks="a tester that went away keeps its session",
        kills="",
    ),
    Mutation(
        name="sequence-ignored",
        path="uptane/link/isotp_receive.py",
        before="        if frame.number != self._number:",
        after="        if frame.number >= SEQUENCE_MODULO:",
        breaks="a frame that came twice is taken twice",
        kills="",
    ),
    Mutation(
        name="transfer-goes-on-blind",
        path="uptane/link/uds_transfer.py",
        before="        offset = (yield from read_status(ecu)).next_offset\n    raise Silent",
        after="        offset = reached\n    raise Silent",
        breaks="after a loss the Primary does not ask where the ECU stands",
        kills="",
    ),
)

PRIMARY: Final = (
    Mutation(
        name="journal-not-stored",
        path="primary/transaction.py",
        before="        yield Save(TRANSACTION, dump(transactions))\n",
        after="        yield from ()\n",
        breaks="what was decided is not stored",
        kills="scenario plain",
    ),
    Mutation(
        name="told-before-it-is-journalled",
        path="primary/transaction.py",
        before='            yield from save(memory, memory.transactions.under(journal.at(stage, failure or "")))\n',
        after="""\
            decided = journal.at(stage, failure or "")
            yield from _tell_decision(means, memory, decided)
            yield from save(memory, memory.transactions.under(decided))
""",
        breaks="ECUs are told to commit or to roll back before that is durable",
        kills="scenario plain",
    ),
    Mutation(
        name="released-before-all-committed",
        path="primary/transaction.py",
        before="        if missing:\n",
        after="        if missing and journal.stage is not Stage.COMMITTING:\n",
        breaks="ECUs are released while another one has not committed",
        kills="",
    ),
    Mutation(
        name="commit-without-all-votes",
        path="primary/transaction.py",
        before='        if failure is not None:\n            return f"{ecu}: {failure}"',
        after="        if failure is not None:\n            continue",
        breaks="the bundle is committed though an ECU did not vote for it",
        kills="scenario cut on trial",
    ),
    Mutation(
        name="rolled-back-after-commit",
        path="primary/transaction.py",
        before="            return False\n        yield Note(STEP_OF",
        after="""\
            if journal.stage is Stage.COMMITTING:
                yield from save(memory, memory.transactions.under(replace(journal, stage=Stage.ROLLING_BACK)))
            return False
        yield Note(STEP_OF""",
        breaks="commit was decided, and an ECU that does not answer has all the others roll back",
        kills="",
    ),
    Mutation(
        name="trial-counts-as-vote",
        path="primary/participants.py",
        before="            case Standing.TRIAL:\n                return where",
        after="            case Standing.TRIAL:\n                return None",
        breaks="the decision to commit does not wait for the votes",
        kills="",
    ),
    Mutation(
        name="gate-ignored",
        path="primary/cycle.py",
        before="    if shut:\n",
        after="    if shut and not plan.participants:\n",
        breaks="the vehicle is changed though it is not parked, nobody agreed, or an ECU is not ready",
        kills="",
    ),
    Mutation(
        name="consent-unasked",
        path="primary/gate.py",
        before="    if state.consent is not None and bundle not in state.consent:",
        after="    if state.consent is not None and not bundle:",
        breaks="a bundle is installed that nobody has agreed to",
        kills="",
    ),
    Mutation(
        name="own-boot-not-stored",
        path="primary/own.py",
        before="    yield from save(memory, booted)\n",
        after="    memory.installation = booted\n",
        breaks="the Primary does not count its boots durably",
        kills="scenario plain",
    ),
    Mutation(
        name="own-vote-not-stored",
        path="primary/own.py",
        before="    yield from save(memory, install.vote(memory.installation, passed=passed))\n",
        after="    memory.installation = install.vote(memory.installation, passed=passed)\n    yield from ()\n",
        breaks="the Primary's vote is not stored",
        kills="scenario plain",
    ),
    Mutation(
        name="own-order-not-stored",
        path="primary/own.py",
        before="    yield from save(memory, install.obey(memory.installation, order))\n",
        after="    memory.installation = install.obey(memory.installation, order)\n",
        breaks="the Primary takes its own orders and does not store that",
        kills="scenario plain",
    ),
    Mutation(
        name="own-self-test-skipped",
        path="primary/own.py",
        before="    passed: bool = yield SelfTest()\n    return passed",
        after="    return True",
        breaks="the Primary votes for its new software without a self-test",
        kills="scenario plain",
    ),
    Mutation(
        name="own-slot-unhashed",
        path="primary/own.py",
        before="        content = yield from measure(means, slot)\n",
        after="        content = Content(image.length, image.sha256, image.sha512)\n",
        breaks="the Primary prepares its slot without a look at what it holds",
        kills="",
    ),
    Mutation(
        name="manifest-counter-used-twice",
        path="primary/collect.py",
        before="""\
    yield Save(MANIFEST, octets)
    memory.manifest, memory.manifest_said = octets, manifest
    return octets
""",
        after="""\
    yield from ()
    memory.manifest, memory.manifest_said = octets, manifest
    return octets
""",
        breaks="a manifest leaves before it is stored: its counter is used again after a power cut",
        kills="scenario plain",
    ),
    Mutation(
        name="own-report-counter-used-twice",
        path="primary/collect.py",
        before="    yield Save(REPORTS + own, new.octets)\n    memory.reports[own] = new\n    return new\n",
        after="    yield from ()\n    memory.reports[own] = new\n    return new\n",
        breaks="the Primary's report leaves before it is stored: its counter is used again after a power cut",
        kills="scenario plain",
    ),
    Mutation(
        name="own-nonce-drawn-twice",
        path="primary/refresh.py",
        before='    yield Save(NONCES, numbers_out({"drawn": memory.nonces + 1}))\n',
        after="    yield from ()\n",
        breaks="the Primary draws a nonce again after a power cut",
        kills="scenario plain",
    ),
    Mutation(
        name="download-unhashed",
        path="primary/download.py",
        before="    running.compare()\n",
        after="",
        breaks="what was downloaded is handed to ECUs unchecked",
        kills="",
    ),
    Mutation(
        name="report-unsigned",
        path="primary/reports.py",
        before="    said = accept_from(means.verifier, envelope, key, EcuReport, check=Check.REPORT_SIGNATURE).value",
        after="    said = means.codec.parse(envelope.payload)\n    assert isinstance(said, EcuReport) and key",
        breaks="whoever answers in an ECU's place is believed",
        kills="scenario worn slot",
    ),
    Mutation(
        name="report-replayed",
        path="primary/reports.py",
        before="    if after.counter < before.counter or (after.counter == before.counter and after != before):",
        after="    if after.counter < 0:",
        breaks="an ECU's older report is taken for its latest",
        kills="",
    ),
    Mutation(
        name="silence-unsaid",
        path="primary/collect.py",
        before="        if each.ecu not in memory.statuses or each.ecu not in memory.reports",
        after="        if each.ecu not in memory.reports",
        breaks="an ECU that does not answer is not declared silent",
        kills="scenario vanishes when prepared",
    ),
    Mutation(
        name="silent-is-excused",
        path="primary/cycle.py",
        before="        if gone and targets.value.entries.find(ecu) is None:",
        after="        if gone:",
        breaks="an ECU that is assigned its image is left out of the decision because it is silent",
        kills="",
    ),
    Mutation(
        name="bundle-tried-again",
        path="primary/transaction.py",
        before="    if memory.transactions.was_rolled_back(plan.bundle, plan.targets_version):",
        after="    if plan.targets_version < 0:",
        breaks="a bundle that was rolled back is tried again and again",
        kills="",
    ),
    Mutation(
        name="lost-journal-means-back",
        path="primary/adopt.py",
        before="    decided = bool(_DECIDED & set(states.values()))",
        after="    decided = not states",
        breaks="a journal that was lost means to roll back, also when commit was decided",
        kills="",
    ),
    Mutation(
        name="images-unvouched",
        path="primary/cycle.py",
        before="    yield from _vouch(means, memory, plan)\n",
        after="",
        breaks="when all ECUs seemed to run what is assigned, the Image repository is not asked at all",
        kills="",
    ),
    Mutation(
        name="own-start-not-stored",
        path="primary/own.py",
        before="    yield from save(memory, started)\n",
        after="",
        breaks="the Primary restarts without having stored that its new software is on trial",
        kills="scenario cuts of camera",
    ),
    Mutation(
        name="primary-goes-first",
        path="primary/layout.py",
        before="in (*two, *one, self.ecu) if ecu in ecus)",
        after="in (self.ecu, *two, *one) if ecu in ecus)",
        breaks="the Primary is activated before its Secondaries have voted",
        kills="scenario plain",
    ),
)
