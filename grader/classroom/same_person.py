"""Whether two submissions, of whichever run, are one person's."""

from __future__ import annotations

from grader.classroom.records import Submitted


def who_of(one: Submitted) -> set[tuple[str, str]]:
    """What tells whose a submission is: accounts, the entry number, e-mail addresses."""
    accounts = {
        (platform, number)
        for platform in ("moodle", "canvas")
        for number in one.platform_ids.get(platform, "").split()
    }
    number = {("entry", one.entry_number.casefold())} if one.entry_number else set()
    return accounts | number | {("email", email) for email in _emails(one)}


def are_strangers(one: Submitted, other: Submitted) -> bool:
    """Whether they are told apart by one platform's accounts. Then an entry number that both bear
    is one person's typing error: whoever logged in is who handed it in."""
    own, others = _accounts(one), _accounts(other)
    shared = [platform for platform in own if own[platform] and others[platform]]
    return bool(shared) and not any(own[platform] & others[platform] for platform in shared)


def are_one_party(one: Submitted, other: Submitted) -> bool:
    """Whether all of its people are the other's, by the accounts of each platform that both tell,
    else by an entry number, an address or Gradescope's number that both have."""
    own, others = _accounts(one), _accounts(other)
    shared = [platform for platform in own if own[platform] and others[platform]]
    if shared:
        return all(own[platform] == others[platform] for platform in shared)
    number = one.platform_ids.get("gradescope")
    is_one = number is not None and number == other.platform_ids.get("gradescope")
    return is_one or bool(who_of(one) & who_of(other))


def _accounts(one: Submitted) -> dict[str, set[str]]:
    """platform → accounts there. Gradescope numbers submissions: its accounts are addresses."""
    ids = one.platform_ids
    accounts = {platform: set(ids.get(platform, "").split()) for platform in ("moodle", "canvas")}
    return {**accounts, "gradescope": _emails(one) if "gradescope" in ids else set()}


def _emails(one: Submitted) -> set[str]:
    return {email for email in (one.email or "").casefold().split(", ") if email}
